/** Encodes the dialogues of LLaMA-Factory's fixtures with our templates. */
import { type OpenTemplateOptions, openPromptTemplate } from '../src/encode/prompt-template.js';
import { encodeConversation } from '../src/encode/sample-encoder.js';
import { IGNORE_LABEL, type TokenizedSample } from '../src/encode/samples.js';
import type { SlotPromptTemplate } from '../src/encode/slot-template.js';
import { type Conversation, isRejection } from '../src/handlers/conversation.js';
import {
  FixtureTokenizers,
  type LfCase,
  type LfDialogue,
  type LfResult,
  type LfSamples,
  llamaFactoryFixture,
  toDialogue,
  unpackLabels,
} from './template-fixtures.js';

const NO_CUTOFF = 1 << 20;
/** The fixture. */
export const samples = llamaFactoryFixture<LfSamples>('samples.json.gz');
/** Its tokenizers; whoever uses them removes the folder. */
export const tokenizers = new FixtureTokenizers(samples.tokenizers);

const opened = new Map<string, Promise<SlotPromptTemplate>>();

/** Opens a template with a tokenizer of the fixture, once per setting. */
export function open(name: string, tokenizer: string, change: LfCase): Promise<SlotPromptTemplate> {
  const { default_system, enable_thinking, tool_format } = change;
  const key = [name, tokenizer, default_system, String(enable_thinking), tool_format].join('|');
  const known = opened.get(key) ?? openFresh(name, tokenizer, change);
  opened.set(key, known);
  return known;
}

async function openFresh(
  name: string,
  tokenizer: string,
  { default_system, enable_thinking, tool_format }: LfCase,
): Promise<SlotPromptTemplate> {
  const options: OpenTemplateOptions = {
    name,
    modelPath: tokenizers.path(tokenizer),
    tokenizer: await tokenizers.open(tokenizer),
    generationConfig: null,
    resizeVocab: true,
    now: () => new Date(2025, 5, 17),
    ...(default_system === undefined ? {} : { defaultSystem: default_system }),
    ...(enable_thinking === undefined ? {} : { enableThinking: enable_thinking }),
    ...(tool_format === undefined ? {} : { toolFormat: tool_format }),
  };
  const template = await openPromptTemplate(options);
  if (template.form !== 'slots') throw new Error(`${name} is not a named template`);
  return template;
}

function labelsOf({ ids, learned, labels }: TokenizedSample): number[] {
  return [...(labels ?? ids.map((id, i) => (learned[i] === 1 ? id : IGNORE_LABEL)))];
}

/** Runs a case of the fixture. */
export function encodeCase(name: string, tokenizer: string, caseName: string): Promise<LfResult> {
  const settings = samples.cases[caseName];
  const dialogue = samples.dialogues[settings?.dialogue ?? ''];
  if (settings === undefined || dialogue === undefined) throw new Error(`no case ${caseName}`);
  return encodeToResult({ name, tokenizer, dialogue, settings });
}

/** What is encoded, and how. */
export interface CaseToEncode {
  readonly name: string;
  readonly tokenizer: string;
  readonly dialogue: LfDialogue;
  readonly settings: Omit<LfCase, 'dialogue'>;
}

/** Encodes a dialogue as LLaMA-Factory would. */
export async function encodeToResult(wanted: CaseToEncode): Promise<LfResult> {
  const { name, tokenizer, dialogue, settings } = wanted;
  const template = await open(name, tokenizer, { dialogue: '', ...settings });
  if (settings.train_on_prompt === true && template.endTokenId !== null) {
    return { refused: 'Current template does not support `train_on_prompt`.' };
  }
  const conversation: Conversation = {
    kind: 'conversation',
    source: 'fixture',
    row: 1,
    ...toDialogue(dialogue),
  };
  const encoded = encodeConversation(conversation, {
    tokenizer: template.tokenizer,
    template,
    cutoffLength: settings.cutoff_len ?? NO_CUTOFF,
    overlength: 'truncate',
    maskHistory: settings.mask_history ?? false,
    trainOnPrompt: settings.train_on_prompt ?? false,
  });
  if (isRejection(encoded)) return { refused: encoded.reason };
  return { ids: [...encoded.sample.ids], labels: labelsOf(encoded.sample) };
}

/** What is compared: everything where there is a sample, else that there is none. */
export function comparable(result: LfResult): unknown {
  return 'refused' in result ? 'refused' : { ids: result.ids, labels: result.labels };
}

/** A result of the fixture with its labels unpacked. */
export function expected(result: LfResult): LfResult {
  return 'refused' in result ? result : { ...result, labels: unpackLabels(result.labels) };
}

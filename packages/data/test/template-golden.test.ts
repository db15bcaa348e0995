/** Every named template against what LLaMA-Factory 0.9.3 makes of the same dialogues: ids and labels, exactly. */
import { rmSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { encodeAnswer, encodePreference } from '../src/encode/preference.js';
import { type OpenTemplateOptions, openPromptTemplate } from '../src/encode/prompt-template.js';
import { encodeConversation, encodePrompt } from '../src/encode/sample-encoder.js';
import { IGNORE_LABEL, type TokenizedSample } from '../src/encode/samples.js';
import type { SlotPromptTemplate } from '../src/encode/slot-template.js';
import { type Conversation, isRejection } from '../src/handlers/conversation.js';
import { TEMPLATE_SPECS } from '../src/templates/index.js';
import {
  FixtureTokenizers,
  type LfCase,
  type LfResult,
  type LfSamples,
  llamaFactoryFixture,
  toDialogue,
  toMessage,
  unpackLabels,
} from './template-fixtures.js';

const NO_CUTOFF = 1 << 20;
const samples = llamaFactoryFixture<LfSamples>('samples.json.gz');
const tokenizers = new FixtureTokenizers(samples.tokenizers);
afterAll(() => rmSync(tokenizers.root, { recursive: true }));

const opened = new Map<string, Promise<SlotPromptTemplate>>();

function open(name: string, tokenizer: string, change: LfCase): Promise<SlotPromptTemplate> {
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

function conversation(name: string): Conversation {
  const dialogue = samples.dialogues[name];
  if (dialogue === undefined) throw new Error(`no dialogue ${name}`);
  return { kind: 'conversation', source: name, row: 1, ...toDialogue(dialogue) };
}

function labelsOf({ ids, learned, labels }: TokenizedSample): number[] {
  return [...(labels ?? ids.map((id, i) => (learned[i] === 1 ? id : IGNORE_LABEL)))];
}

async function encodeCase(name: string, tokenizer: string, caseName: string): Promise<LfResult> {
  const change = samples.cases[caseName];
  if (change === undefined) throw new Error(`no case ${caseName}`);
  const template = await open(name, tokenizer, change);
  if (change.train_on_prompt === true && template.endTokenId !== null) {
    return { refused: 'Current template does not support `train_on_prompt`.' };
  }
  const encoded = encodeConversation(conversation(change.dialogue), {
    tokenizer: template.tokenizer,
    template,
    cutoffLength: change.cutoff_len ?? NO_CUTOFF,
    overlength: 'truncate',
    maskHistory: change.mask_history ?? false,
    trainOnPrompt: change.train_on_prompt ?? false,
  });
  if (isRejection(encoded)) return { refused: encoded.reason };
  return { ids: [...encoded.sample.ids], labels: labelsOf(encoded.sample) };
}

/** What is compared: everything where there is a sample, else that there is none. */
function comparable(result: LfResult): unknown {
  return 'refused' in result ? 'refused' : { ids: result.ids, labels: result.labels };
}

function expected(result: LfResult): LfResult {
  return 'refused' in result ? result : { ...result, labels: unpackLabels(result.labels) };
}

describe.each(Object.keys(samples.templates))('template %s', (name) => {
  const fixture = samples.templates[name]!;

  it.each(Object.keys(fixture.cases))('%s', async (caseName) => {
    const result = await encodeCase(name, fixture.tokenizer, caseName);
    expect(comparable(result)).toEqual(comparable(expected(fixture.cases[caseName]!)));
  });

  it('stops at the same tokens', async () => {
    const template = await open(name, fixture.tokenizer, { dialogue: '' });
    expect([...template.stopTokenIds].sort((a, b) => a - b)).toEqual(fixture.stop);
    expect(template.stopTokenIds[0]).toBe(fixture.eos);
  });

  it('writes the same prompts', async () => {
    const { system = 'Count.', messages } = samples.dialogues['thoughts']!;
    const dialogue = toDialogue({ system, messages: messages.slice(0, 5) });
    const prompt = async (thinking: boolean) => {
      const template = await open(name, fixture.tokenizer, {
        dialogue: '',
        enable_thinking: thinking,
      });
      const ids = encodePrompt(dialogue, { tokenizer: template.tokenizer, template });
      return isRejection(ids) ? ids : [...ids];
    };
    expect(await prompt(true)).toEqual(fixture.prompt);
    if (fixture.promptThinkingOff !== undefined) {
      expect(await prompt(false)).toEqual(fixture.promptThinkingOff);
    }
  });

  it.each(Object.keys(fixture.preferences))('preferences, %s', async (caseName) => {
    const cutoffLength = samples.preferences.cutoffs[caseName]!;
    const template = await open(name, fixture.tokenizer, {
      dialogue: '',
      enable_thinking: cutoffLength !== 90,
    });
    const options = {
      tokenizer: template.tokenizer,
      template,
      cutoffLength,
      overlength: 'truncate',
    } as const;
    const origin = { source: 'pairs', row: 1 };
    const { question, chosen, rejected } = samples.preferences;
    const pair = encodePreference(
      {
        ...origin,
        messages: question.map(toMessage),
        chosen: toMessage(chosen),
        rejected: toMessage(rejected),
      },
      options,
    );
    const messages = [...question, rejected];
    const answer = encodeAnswer(
      { ...origin, ...toDialogue({ system: 'Be kind.', messages }) },
      options,
    );
    if (isRejection(pair) || isRejection(answer)) throw new Error('refused');
    const record = fixture.preferences[caseName]!;
    expect([...pair.chosen.ids]).toEqual(record['chosen']);
    expect([...pair.chosen.labels]).toEqual(unpackLabels(record['chosenLabels']!));
    expect([...pair.rejected.ids]).toEqual(record['rejected']);
    expect([...pair.rejected.labels]).toEqual(unpackLabels(record['rejectedLabels']!));
    expect([...answer.ids]).toEqual(record['kto']);
    expect([...answer.labels]).toEqual(unpackLabels(record['ktoLabels']!));
  });

  const { foreign } = fixture;
  if (foreign === undefined) return;
  it.each(Object.keys(foreign.cases))(`${foreign.tokenizer}: %s`, async (caseName) => {
    const result = await encodeCase(name, foreign.tokenizer, caseName);
    expect(comparable(result)).toEqual(comparable(expected(foreign.cases[caseName]!)));
  });
});

describe('the registry', () => {
  it('has every template that the fixtures have', () => {
    expect(TEMPLATE_SPECS.map((spec) => spec.name)).toEqual(Object.keys(samples.templates).sort());
  });
});

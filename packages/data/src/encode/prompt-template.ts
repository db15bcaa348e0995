/** The ways from a dialogue to text with a mask, behind one interface. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import {
  type ConversationMessage,
  isRejection,
  type Rejection,
  reject,
} from '../handlers/conversation.js';
import {
  type ChatTemplate,
  chatTemplateFor,
  renderSegments,
  TEMPLATE_ERRORS,
  type ToolFormat,
  templateSpec,
} from '../templates/index.js';
import { strftime } from '../templates/strftime.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { type Segment, tokenizeSegments } from './segments.js';
import { type SlotPromptTemplate, slotPromptTemplate } from './slot-template.js';
import { fitTokens } from './slot-tokens.js';

/** What is rendered. A message may carry `call_text`: its calls as the JSON text that the record has. */
export interface Dialogue {
  readonly messages: readonly ConversationMessage[];
  readonly tools?: readonly unknown[];
  /** The tools as the JSON text that the record has; wins over `tools` in named templates. */
  readonly toolsText?: string;
}

/** Either kind of template: the model's own text, or a named one at the level of tokens. */
export type PromptTemplate = TextPromptTemplate | SlotPromptTemplate;

/** Renders dialogues as masked and learned text. */
export interface TextPromptTemplate {
  readonly form: 'text';
  /** For reports: a template's name, or where a chat template came from. */
  readonly name: string;
  /** Ids that end an answer; generation stops at each. Empty when answers end without one. */
  readonly stopTokenIds: readonly number[];
  /** A dialogue that ends with an answer. Learned: every answer with its stop token, nothing else. */
  renderDialogue(dialogue: Dialogue): readonly Segment[] | Rejection;
  /** A dialogue that ends with a user turn or a tool result, up to where the answer begins. */
  renderPrompt(dialogue: Dialogue): readonly Segment[] | Rejection;
}

/** Options of {@link openPromptTemplate}. */
export interface OpenTemplateOptions {
  /** `auto` = the model's own chat template; `plain` for a base model; or a name of the registry. */
  readonly name: string;
  /** Hugging Face directory or GGUF file. */
  readonly modelPath: string;
  readonly tokenizer: Tokenizer;
  /** The model's `generation_config.json`, when there is one. */
  readonly generationConfig: Readonly<Record<string, unknown>> | null;
  /** System text for dialogues that have none; of a named template it replaces that one's own. */
  readonly defaultSystem?: string;
  /** Named templates: how tools and calls are written, instead of the template's own way. */
  readonly toolFormat?: ToolFormat;
  /**
   * Named templates for models that think: true (the default) learns an empty thought where an answer has none,
   * false takes thoughts out and shows an empty one, null keeps them and shows an empty one. A model's own template
   * is given true or false as `enable_thinking`, and nothing by default.
   */
  readonly enableThinking?: boolean | null;
  /** Named templates: true gives stop words that the vocabulary lacks ids at its end. Default false. */
  readonly resizeVocab?: boolean;
  /** The clock behind the date that Llama 3 is told with its tools. Default: the current time. */
  readonly now?: () => Date;
}

/**
 * Opens the template that a recipe names.
 *
 * Throws: `CHAT_TEMPLATE_MISSING` when `auto` finds none, `CHAT_TEMPLATE_UNKNOWN`, `DATA_NO_STOP_TOKEN`, and
 * `DATA_TEMPLATE_MISMATCH` when a named template is written with a token that the tokenizer does not have: such a
 * model could not learn to stop.
 */
export async function openPromptTemplate(options: OpenTemplateOptions): Promise<PromptTemplate> {
  const { name, modelPath, tokenizer, generationConfig, defaultSystem } = options;
  if (name === 'plain') {
    return plainPromptTemplate(chooseStopToken(generationConfig, tokenizer), defaultSystem);
  }
  if (name === 'auto') {
    const own = await ownTemplate(modelPath, tokenizer);
    const thinking = options.enableThinking ?? null;
    return chatPromptTemplate(own, {
      tokenizer,
      name: own.origin,
      ...systemOf(defaultSystem),
      ...(thinking === null ? {} : { extra: { enable_thinking: thinking } }),
    });
  }
  return await openNamed(options);
}

async function openNamed(options: OpenTemplateOptions): Promise<SlotPromptTemplate> {
  const { name, modelPath, tokenizer, generationConfig } = options;
  const { enableThinking, toolFormat, resizeVocab = false, now = () => new Date() } = options;
  const spec = templateSpec(name);
  const fallbackEos = () => chooseStopToken(generationConfig, tokenizer);
  const tokens = await fitTokens(spec, { tokenizer, modelPath, fallbackEos, resizeVocab });
  return slotPromptTemplate(spec, {
    tokens,
    date: strftime(now(), '%d %b %Y'),
    ...systemOf(options.defaultSystem),
    ...(toolFormat === undefined ? {} : { toolFormat }),
    ...(enableThinking === undefined ? {} : { enableThinking }),
  });
}

function systemOf(defaultSystem: string | undefined): { readonly defaultSystem?: string } {
  return defaultSystem === undefined ? {} : { defaultSystem };
}

async function ownTemplate(modelPath: string, tokenizer: Tokenizer): Promise<ChatTemplate> {
  try {
    return await chatTemplateFor(modelPath, tokenizer);
  } catch (error) {
    if (!(error instanceof TuneyardError) || error.code !== TEMPLATE_ERRORS.CHAT_TEMPLATE_MISSING) {
      throw error;
    }
    throw new TuneyardError(error.code, error.message, {
      category: error.category,
      details: error.details,
      hint: 'For a base model use template: plain; chat formats such as chatml can be named too.',
      cause: error,
    });
  }
}

/**
 * The token that ends an answer of a base model: the first `eos_token_id` of its generation config, else
 * the tokenizer's.
 *
 * Throws: `DATA_NO_STOP_TOKEN` when neither names one.
 */
export function chooseStopToken(
  generationConfig: Readonly<Record<string, unknown>> | null,
  tokenizer: Tokenizer,
): number {
  const declared = generationConfig?.['eos_token_id'];
  const first: unknown = Array.isArray(declared) ? declared[0] : declared;
  if (typeof first === 'number' && Number.isSafeInteger(first) && first >= 0) return first;
  if (tokenizer.eosTokenId !== null) return tokenizer.eosTokenId;
  throw new TuneyardError(
    DATA_ERRORS.DATA_NO_STOP_TOKEN,
    `${tokenizer.origin} names no token that ends an answer`,
    { hint: 'Set eos_token_id in the generation_config.json of the model.' },
  );
}

/**
 * The format for base models: the question's text, a blank unless one is there, the answer, the stop token.
 * System text stands in front with a blank after it. No markers, so nothing has to be learned about them.
 */
export function plainPromptTemplate(stopTokenId: number, defaultSystem = ''): TextPromptTemplate {
  const render = (dialogue: Dialogue): readonly Segment[] | Rejection => {
    const { messages } = withSystem(dialogue, defaultSystem);
    const usesTools = messages.some((m) => m.role === 'tool' || m.tool_calls !== undefined);
    if (usesTools || dialogue.tools !== undefined) {
      return reject('bad_tools', "template 'plain' cannot write tools or tool calls");
    }
    return messages.flatMap((message, index) =>
      plainTurn(message, messages[index - 1]?.content ?? '', stopTokenId),
    );
  };
  return {
    form: 'text',
    name: 'plain',
    stopTokenIds: [stopTokenId],
    renderDialogue: render,
    renderPrompt: render,
  };
}

function plainTurn(message: ConversationMessage, before: string, stopTokenId: number): Segment[] {
  const { role, content } = message;
  if (role === 'system') return [{ text: `${content} `, learned: false }];
  if (role === 'user') return [{ text: content, learned: false }];
  const needsBlank = /\S$/.test(before) && /^\S/.test(content);
  return [
    { text: needsBlank ? ` ${content}` : content, learned: true },
    { ids: [stopTokenId], learned: true },
  ];
}

/** Options of {@link chatPromptTemplate}. */
export interface ChatPromptOptions {
  readonly tokenizer: Tokenizer;
  readonly name: string;
  /** System text for dialogues that have none. */
  readonly defaultSystem?: string;
  /** Further variables of the template. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * Uses a chat template. What the template refuses is a rejection of that row, not an error; its stop token
 * is found by rendering a short dialogue.
 */
export function chatPromptTemplate(
  template: ChatTemplate,
  options: ChatPromptOptions,
): TextPromptTemplate {
  const { tokenizer, name, defaultSystem = '', extra = {} } = options;
  const variablesOf = ({ tools }: Dialogue) => ({
    extra,
    ...(tools === undefined ? {} : { tools }),
  });
  const renderDialogue = (dialogue: Dialogue): readonly Segment[] | Rejection =>
    lostTools(dialogue, template) ??
    orRejection(() => {
      const { messages } = withSystem(dialogue, defaultSystem);
      return renderSegments(template, messages, variablesOf(dialogue));
    });
  const renderPrompt = (dialogue: Dialogue): readonly Segment[] | Rejection =>
    lostTools(dialogue, template) ??
    orRejection(() => {
      const { messages } = withSystem(dialogue, defaultSystem);
      const text = template.render(messages, {
        addGenerationPrompt: true,
        ...variablesOf(dialogue),
      });
      return [{ text, learned: false }];
    });
  return {
    form: 'text',
    name,
    stopTokenIds: findStopTokens(renderDialogue, tokenizer),
    renderDialogue,
    renderPrompt,
  };
}

/** Refuses what a template would leave out without a word: it never looks at the field. */
function lostTools(dialogue: Dialogue, template: ChatTemplate): Rejection | undefined {
  const hasCalls = dialogue.messages.some((message) => message.tool_calls !== undefined);
  if (hasCalls && !template.source.includes('tool_calls')) {
    return reject('bad_tools', `${template.origin} cannot write tool calls`);
  }
  if (dialogue.tools !== undefined && !/\btools\b/.test(template.source)) {
    return reject('bad_tools', `${template.origin} cannot write a list of tools`);
  }
  return undefined;
}

const PROBE: Dialogue = {
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ],
};

function findStopTokens(
  renderDialogue: TextPromptTemplate['renderDialogue'],
  tokenizer: Tokenizer,
): readonly number[] {
  const segments = renderDialogue(PROBE);
  if (isRejection(segments)) return [];
  const answer = tokenizeSegments(segments, tokenizer).findLast((span) => span.learned);
  const last = answer?.ids.at(-1);
  return last !== undefined && tokenizer.isSpecial(last) ? [last] : [];
}

function withSystem(dialogue: Dialogue, system: string): Dialogue {
  if (system === '' || dialogue.messages[0]?.role === 'system') return dialogue;
  return { ...dialogue, messages: [{ role: 'system', content: system }, ...dialogue.messages] };
}

const REFUSALS: readonly string[] = [
  TEMPLATE_ERRORS.CHAT_TEMPLATE_REFUSED,
  TEMPLATE_ERRORS.CHAT_TEMPLATE_FAILED,
  TEMPLATE_ERRORS.CHAT_TEMPLATE_NOT_PREFIX_PRESERVING,
];

function orRejection<T>(render: () => T): T | Rejection {
  try {
    return render();
  } catch (error) {
    if (error instanceof TuneyardError && REFUSALS.includes(error.code)) {
      return reject('template_refused', error.message);
    }
    throw error;
  }
}

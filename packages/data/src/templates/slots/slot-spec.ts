/**
 * What a named template is: for every kind of turn a list of slots.
 *
 * A slot is a text with `{{content}}` in it (and `{{idx}}`, the number of the turn), a token by its name, or one of
 * the tokenizer's own special tokens. Each slot is tokenized by itself and the ids are put end to end, so a model
 * sees in training the very ids that the template's makers used.
 *
 * Source: the template registry of LLaMA-Factory v0.9.3, whose meaning this follows to the id.
 */

/** One element of a turn. */
export type Slot = string | { readonly token: string } | { readonly special: 'bos' | 'eos' };

/** The tokenizer's beginning-of-sequence token; nothing where it has none. */
export const BOS = { special: 'bos' } as const;

/** The tokenizer's end-of-sequence token, as replaced by {@link TemplateSpec.replaceEos}. */
export const EOS = { special: 'eos' } as const;

/** How tools and calls are written. */
export const TOOL_FORMATS = ['default', 'glm4', 'llama3', 'mistral', 'qwen'] as const;

/** One of {@link TOOL_FORMATS}. */
export type ToolFormat = (typeof TOOL_FORMATS)[number];

/** Placeholders of media in texts, and what counts and expands them. */
export interface MediaTokens {
  /** The rule by which a placeholder becomes tokens, named as in LLaMA-Factory. */
  readonly plugin: string;
  readonly image?: string;
  readonly video?: string;
  readonly audio?: string;
}

/** A named template. */
export interface TemplateSpec {
  readonly name: string;
  /** Models that were trained with it. */
  readonly suits: string;
  /** Before everything. Default: nothing. */
  readonly prefix?: readonly Slot[];
  /** System text, with the description of tools appended to it. Default: the text alone. */
  readonly system?: readonly Slot[];
  /** A question, up to where the answer begins. Default: the text alone. */
  readonly user?: readonly Slot[];
  /** An answer with what ends it. Default: the text, then EOS unless {@link TemplateSpec.efficientEos}. */
  readonly assistant?: readonly Slot[];
  /** Calls of functions. Default: as an answer. */
  readonly function?: readonly Slot[];
  /** The result of a call, up to where the answer begins. Default: as a question. */
  readonly observation?: readonly Slot[];
  /** Default `default`. */
  readonly toolFormat?: ToolFormat;
  /** System text of dialogues that bring none. Default: none. */
  readonly defaultSystem?: string;
  /** Texts that end an answer besides EOS; they are made special tokens of the tokenizer. */
  readonly stopWords?: readonly string[];
  /** What encloses a thought. Default `<think>` and `</think>`. */
  readonly thoughtWords?: readonly [string, string];
  /** True: an answer ends where the next question begins, so the first token of a question is learned as EOS. */
  readonly efficientEos?: boolean;
  /** True: the first stop word takes the place of EOS. */
  readonly replaceEos?: boolean;
  /** True: system text stands inside the first question. */
  readonly systemInUser?: boolean;
  /** True: an answer without a thought gets an empty one. */
  readonly reasoning?: boolean;
  /** Present where the models read images, videos or sound; only the text part is written here. */
  readonly media?: MediaTokens;
}

const TEXT: readonly Slot[] = ['{{content}}'];

/** The slots of every kind of turn, defaults filled in. */
export interface TurnSlots {
  readonly prefix: readonly Slot[];
  readonly system: readonly Slot[];
  readonly user: readonly Slot[];
  readonly assistant: readonly Slot[];
  readonly function: readonly Slot[];
  readonly observation: readonly Slot[];
}

/**
 * Fills in the defaults of a template.
 *
 * A tool format that is asked for instead of the template's own also resets how calls end, as in LLaMA-Factory.
 */
export function turnSlots(spec: TemplateSpec, toolFormat?: ToolFormat): TurnSlots {
  const ended: readonly Slot[] = spec.efficientEos === true ? TEXT : ['{{content}}', EOS];
  const user = spec.user ?? TEXT;
  const assistant = spec.assistant ?? ended;
  return {
    prefix: spec.prefix ?? [],
    system: spec.system ?? TEXT,
    user,
    assistant,
    function: toolFormat === undefined ? (spec.function ?? assistant) : ended,
    observation: spec.observation ?? user,
  };
}

/** Puts texts into the slots of a turn; an empty text among the results is left out. */
export function fillSlots(
  slots: readonly Slot[],
  content: string,
  index: string | null = null,
): readonly Slot[] {
  return slots.flatMap((slot): readonly Slot[] => {
    if (typeof slot !== 'string') return [slot];
    const numbered = index === null ? slot : slot.replace('{{idx}}', () => index);
    const text = numbered.replace('{{content}}', () => content);
    return text === '' ? [] : [text];
  });
}

/** The two ways from a dialogue to text with a mask, behind one interface. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { type ConversationMessage, type Rejection, reject } from '../handlers/conversation.js';
import type { Tokenizer } from '../tokenizer/tokenizer.js';
import type { Segment, SegmentJoin } from './segments.js';
import { SLOT_TEMPLATES, type SlotTemplate } from './slot-templates.js';

/** What is rendered. */
export interface Dialogue {
  readonly messages: readonly ConversationMessage[];
  readonly tools?: readonly unknown[];
}

/** Renders dialogues as masked and learned text. */
export interface PromptTemplate {
  /** For reports: a template's name, or where a chat template came from. */
  readonly name: string;
  readonly join: SegmentJoin;
  /** Ids that end an answer; generation stops at each. Empty when answers end without one. */
  readonly stopTokenIds: readonly number[];
  /** Texts of tokens that must be single in the tokenizer's vocabulary. */
  readonly specialTexts: readonly string[];
  /** A dialogue that ends with an answer. Learned: every answer with its stop token, nothing else. */
  renderDialogue(dialogue: Dialogue): readonly Segment[] | Rejection;
  /** A dialogue that ends with a user turn or a tool result, up to where the answer begins. */
  renderPrompt(dialogue: Dialogue): readonly Segment[] | Rejection;
}

/** Options of {@link createSlotPromptTemplate}. */
export interface SlotTemplateOptions {
  /** The id for `{eos}`; see {@link chooseStopToken}. */
  readonly stopTokenId: number;
  /** Replaces the template's default system text. */
  readonly defaultSystem?: string;
}

/**
 * Makes a named slot template usable with a tokenizer.
 *
 * Throws: `DATA_UNKNOWN_TEMPLATE` with the known names; `DATA_TEMPLATE_MISMATCH` when the tokenizer lacks a
 * token that the template is made of.
 */
export function createSlotPromptTemplate(
  name: string,
  tokenizer: Tokenizer,
  options: SlotTemplateOptions,
): PromptTemplate {
  const slots = SLOT_TEMPLATES.get(name);
  if (slots === undefined) {
    const known = [...SLOT_TEMPLATES.keys()].join(', ');
    throw new TuneyardError(
      DATA_ERRORS.DATA_UNKNOWN_TEMPLATE,
      `There is no template '${name}'; known are ${known}`,
      { details: { name }, hint: "template: auto takes the model's own chat template." },
    );
  }
  const texts = specialTexts(slots);
  const missing = texts.find((text) => tokenizer.tokenToId(text) === undefined);
  if (missing !== undefined) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_TEMPLATE_MISMATCH,
      `Template '${name}' is made of ${missing}, which ${tokenizer.origin} does not have as a token`,
      {
        details: { template: name, token: missing, tokenizer: tokenizer.origin },
        hint: "Use template: auto for the model's own, or template: plain for a base model.",
      },
    );
  }
  const stopId = slots.stop === '{eos}' ? options.stopTokenId : tokenizer.tokenToId(slots.stop);
  return new SlotPromptTemplate(slots, {
    bosIds: tokenizer.bosTokenId === null ? [] : [tokenizer.bosTokenId],
    stopId: stopId as number,
    eosId: options.stopTokenId,
    texts,
    defaultSystem: options.defaultSystem ?? slots.defaultSystem,
  });
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

/** Token ids and texts of a slot template once a model is known. */
interface SlotTokens {
  readonly bosIds: readonly number[];
  readonly stopId: number;
  readonly eosId: number;
  readonly texts: readonly string[];
  readonly defaultSystem: string;
}

class SlotPromptTemplate implements PromptTemplate {
  readonly name: string;
  readonly join: SegmentJoin;
  readonly stopTokenIds: readonly number[];
  readonly specialTexts: readonly string[];
  readonly #slots: SlotTemplate;
  readonly #tokens: SlotTokens;

  constructor(slots: SlotTemplate, tokens: SlotTokens) {
    this.name = slots.name;
    this.join = slots.join === 'blank' ? 'continue' : 'restart';
    this.stopTokenIds = [tokens.stopId];
    this.specialTexts = tokens.texts;
    this.#slots = slots;
    this.#tokens = tokens;
  }

  renderDialogue(dialogue: Dialogue): readonly Segment[] | Rejection {
    const { messages } = dialogue;
    const hasTools = messages.some((m) => m.role === 'tool' || m.tool_calls !== undefined);
    if (hasTools || dialogue.tools !== undefined) {
      return reject('bad_tools', `template '${this.name}' cannot write tools or tool calls`);
    }
    const segments: Segment[] = this.#fill(this.#slots.prefix, '');
    let system = messages[0]?.role === 'system' ? messages[0].content : this.#tokens.defaultSystem;
    if (this.#slots.system !== null && system !== '') {
      segments.push(...this.#fill(this.#slots.system, system));
      system = '';
    }
    let question = '';
    for (const message of messages) {
      if (message.role === 'user') {
        question = system === '' ? message.content : `${system}\n\n${message.content}`;
        system = '';
        segments.push(...this.#fill(this.#slots.user, question));
      } else if (message.role === 'assistant') segments.push(...this.#answer(message, question));
    }
    return segments;
  }

  renderPrompt(dialogue: Dialogue): readonly Segment[] | Rejection {
    return this.renderDialogue(dialogue);
  }

  #answer(message: ConversationMessage, question: string): Segment[] {
    const needsBlank =
      this.#slots.join === 'blank' && /\S$/.test(question) && /^\S/.test(message.content);
    const text = this.#slots.answer.replace('{content}', () => message.content);
    return [
      { text: needsBlank ? ` ${text}` : text, learned: true },
      { ids: [this.#tokens.stopId], learned: true },
      ...this.#fill(this.#slots.answerTail, ''),
    ];
  }

  /** Fills a masked slot. */
  #fill(slot: string, content: string): Segment[] {
    return slot
      .split(/(\{bos\}|\{eos\})/)
      .filter((part) => part !== '')
      .map((part): Segment => {
        if (part === '{bos}') return { ids: this.#tokens.bosIds, learned: false };
        if (part === '{eos}') return { ids: [this.#tokens.eosId], learned: false };
        return { text: part.replace('{content}', () => content), learned: false };
      });
  }
}

/** Texts of the form `<…>` or `[INST]`-like in a template's slots that must be single tokens. */
function specialTexts(slots: SlotTemplate): string[] {
  const all = [slots.system ?? '', slots.user, slots.stop].join(' ');
  return [...new Set(all.match(/<[^<>\s]+>/g) ?? [])];
}

/**
 * Named templates at the level of tokens, id for id as LLaMA-Factory.
 *
 * Every slot is tokenized by itself and nothing is tokenized again across slots; no BOS is put in front but the one
 * that a template itself has. What is done about thoughts follows its ReasoningTemplate: with `enableThinking` true
 * an answer without a thought learns an empty one, with false thoughts are taken out and the empty one is read only,
 * with null they stay and the empty one is read only.
 *
 * One deviation: `{{idx}}` inside a text of the data is left alone; LLaMA-Factory replaces it by a number.
 *
 * Source: LLaMA-Factory v0.9.3, `data/template.py`. Checked against: it, test/fixtures/llama-factory.
 */
import { isRejection, type Rejection, reject } from '../handlers/conversation.js';
import type { TemplateSpec, ToolFormat } from '../templates/index.js';
import { type TurnSlots, turnSlots } from '../templates/slots/slot-spec.js';
import { BadTools, describeTools, writeCalls } from '../templates/tools/tool-formats.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { concatenateIds } from './concatenate-ids.js';
import type { Dialogue } from './prompt-template.js';
import { readCalls, type SlotDialogue, type SlotMessage, slotDialogue } from './slot-messages.js';
import {
  compileSlots,
  encodePieces,
  encodeText,
  frameText,
  type SlotPiece,
} from './slot-pieces.js';
import type { SlotTokens } from './slot-tokens.js';
import type { TokenTurn } from './truncate.js';

/** How a named template is used. */
export interface SlotSettings {
  readonly tokens: SlotTokens;
  /** Replaces the template's own; an empty one switches it off. */
  readonly defaultSystem?: string;
  /** Replaces the template's own. */
  readonly toolFormat?: ToolFormat;
  /** Default true. */
  readonly enableThinking?: boolean | null;
  /** As `25 Nov 2026`. */
  readonly date: string;
}

/** A template that gives tokens. */
export interface SlotPromptTemplate {
  readonly form: 'slots';
  readonly name: string;
  /** Ids that end an answer; generation stops at each. */
  readonly stopTokenIds: readonly number[];
  /** Fitted to the template; the one to decode its samples with. */
  readonly tokenizer: Tokenizer;
  /** Stop words with ids beyond the model's vocabulary. */
  readonly addedTokens: readonly string[];
  /**
   * Ends a sample, and is what the first token of a question is learned as, in templates whose answers have no end of
   * their own; null elsewhere.
   */
  readonly endTokenId: number | null;
  /** Ends a raw text in pre-training: EOS, but for `llama3` the end of a text, not of a turn. */
  readonly documentEndTokenId: number;
  /** Every question with its answer. */
  encodeTurns(dialogue: Dialogue): readonly TokenTurn[] | Rejection;
  /** Everything before the last answer, and that answer; thoughts of earlier answers are taken out. */
  encodeLastTurn(dialogue: Dialogue): TokenTurn | Rejection;
  /** A dialogue that ends with a question or a result, up to where the answer begins. */
  encodePrompt(dialogue: Dialogue): Int32Array | Rejection;
}

/** Opens a named template for a tokenizer that was fitted to it. */
export function slotPromptTemplate(spec: TemplateSpec, settings: SlotSettings): SlotPromptTemplate {
  const writer = new SlotWriter(spec, settings);
  const { tokenizer, eosTokenId, stopTokenIds, addedTokens } = settings.tokens;
  const encode = <T>(dialogue: Dialogue, use: (sorted: SlotDialogue) => T): T | Rejection => {
    const sorted = slotDialogue(dialogue);
    return isRejection(sorted) ? sorted : use(sorted);
  };
  return {
    form: 'slots',
    name: spec.name,
    stopTokenIds,
    tokenizer,
    addedTokens,
    endTokenId: spec.efficientEos === true ? eosTokenId : null,
    documentEndTokenId: documentEnd(spec, settings.tokens),
    encodeTurns: (dialogue) => encode(dialogue, (sorted) => writer.turns(sorted)),
    encodeLastTurn: (dialogue) => encode(dialogue, (sorted) => writer.lastTurn(sorted)),
    encodePrompt: (dialogue) => encode(dialogue, (sorted) => writer.prompt(sorted)),
  };
}

/** Source: LLaMA-Factory v0.9.3, `PretrainDatasetProcessor`. */
function documentEnd(spec: TemplateSpec, { tokenizer, eosTokenId }: SlotTokens): number {
  const endOfText = spec.name === 'llama3' ? tokenizer.tokenToId('<|end_of_text|>') : undefined;
  return endOfText ?? eosTokenId;
}

const NO_TURN = 'there is no answer to encode';

class SlotWriter {
  readonly #spec: TemplateSpec;
  readonly #pieces: { readonly [part in keyof TurnSlots]: readonly SlotPiece[] };
  readonly #settings: SlotSettings;
  readonly #toolFormat: ToolFormat;
  readonly #thought: { readonly words: readonly [string, string]; readonly emptyIds: Int32Array };
  readonly #thinking: boolean | null;
  /** Most data sets have one system text: the last one is kept with its ids. */
  #lastSystem: { readonly text: string; readonly ids: Int32Array } = {
    text: '',
    ids: new Int32Array(0),
  };

  constructor(spec: TemplateSpec, settings: SlotSettings) {
    const { tokenizer } = settings.tokens;
    const words = spec.thoughtWords ?? (['<think>', '</think>'] as const);
    const slots = turnSlots(spec, settings.toolFormat);
    const compile = (part: keyof TurnSlots) => compileSlots(slots[part], settings.tokens);
    this.#spec = spec;
    this.#pieces = {
      prefix: compile('prefix'),
      system: compile('system'),
      user: compile('user'),
      assistant: compile('assistant'),
      function: compile('function'),
      observation: compile('observation'),
    };
    this.#settings = settings;
    this.#toolFormat = settings.toolFormat ?? spec.toolFormat ?? 'default';
    this.#thought = { words, emptyIds: encodeText(`${words[0]}\n\n${words[1]}\n\n`, tokenizer) };
    this.#thinking = settings.enableThinking === undefined ? true : settings.enableThinking;
  }

  turns(dialogue: SlotDialogue): readonly TokenTurn[] | Rejection {
    const messages =
      this.#spec.reasoning === true && this.#thinking === false
        ? dialogue.messages.map((message, i) => (i % 2 === 1 ? this.#unthought(message) : message))
        : dialogue.messages;
    if (messages.length === 0 || messages.length % 2 === 1) return reject('no_answer', NO_TURN);
    const encoded = this.#encode({ ...dialogue, messages });
    if (isRejection(encoded)) return encoded;
    const turns: TokenTurn[] = [];
    for (let i = 0; i < encoded.length; i += 2) {
      const turn = { source: idsAt(encoded, i), target: idsAt(encoded, i + 1) };
      turns.push(this.#withThought(turn, messages[i + 1]));
    }
    return turns;
  }

  lastTurn(dialogue: SlotDialogue): TokenTurn | Rejection {
    const isReasoning = this.#spec.reasoning === true;
    const last = dialogue.messages.length - 1;
    const messages = dialogue.messages.map((message, i) => {
      const isHistory = i % 2 === 1 && i < last - 1;
      const isBare = isHistory || (i === last && this.#thinking === false);
      return isReasoning && isBare ? this.#unthought(message) : message;
    });
    if (last < 1 || last % 2 === 0) return reject('no_answer', NO_TURN);
    const encoded = this.#encode({ ...dialogue, messages });
    if (isRejection(encoded)) return encoded;
    const source = concatenateIds(encoded.slice(0, -1));
    return this.#withThought({ source, target: idsAt(encoded, last) }, messages[last]);
  }

  prompt(dialogue: SlotDialogue): Int32Array | Rejection {
    const answer: SlotMessage = { role: 'assistant', content: '' };
    const turn = this.lastTurn({ ...dialogue, messages: [...dialogue.messages, answer] });
    return isRejection(turn) ? turn : turn.source;
  }

  /** The ids of every message; system text and tools belong to the first. */
  #encode(dialogue: SlotDialogue): Int32Array[] | Rejection {
    try {
      const encoded: Int32Array[] = [];
      for (const [index, message] of dialogue.messages.entries()) {
        const content = this.#contentOf(message);
        if (isRejection(content)) return content;
        encoded.push(this.#messageIds(dialogue, message, content, index));
      }
      return encoded;
    } catch (error) {
      if (error instanceof BadTools) return reject('bad_tools', error.message);
      throw error;
    }
  }

  #messageIds(
    dialogue: SlotDialogue,
    { role }: SlotMessage,
    content: string,
    index: number,
  ): Int32Array {
    const { tokenizer } = this.#settings.tokens;
    const isInside = this.#spec.systemInUser === true;
    const number = role === 'user' && !isInside ? Math.floor(index / 2) : null;
    if (index > 0) return encodePieces(this.#pieces[role], content, number, tokenizer);
    const prefix = encodePieces(this.#pieces.prefix, '', null, tokenizer);
    const system = this.#systemText(dialogue);
    if (system === null) {
      const turn = encodePieces(this.#pieces[role], content, number, tokenizer);
      return concatenateIds([prefix, turn]);
    }
    if (isInside) {
      // Where the system text is part of the question, only the first slot of its frame is used.
      const framed = frameText(this.#pieces.system, system) + content;
      return concatenateIds([prefix, encodePieces(this.#pieces[role], framed, null, tokenizer)]);
    }
    const turn = encodePieces(this.#pieces[role], content, number, tokenizer);
    return concatenateIds([prefix, this.#systemIds(system), turn]);
  }

  /** System text with the description of the tools; null when there is neither. */
  #systemText({ system, tools }: SlotDialogue): string | null {
    const { defaultSystem, date } = this.#settings;
    const text = system || (defaultSystem ?? this.#spec.defaultSystem ?? '');
    if (tools === null) return text === '' ? null : text;
    return text + describeTools(this.#toolFormat, tools, { date });
  }

  #systemIds(text: string): Int32Array {
    if (text !== this.#lastSystem.text || text === '') {
      const { tokenizer } = this.#settings.tokens;
      this.#lastSystem = { text, ids: encodePieces(this.#pieces.system, text, null, tokenizer) };
    }
    return this.#lastSystem.ids;
  }

  #contentOf(message: SlotMessage): string | Rejection {
    if (message.role !== 'function') return message.content;
    const read = readCalls(message.content);
    return isRejection(read) ? read : read.thought + writeCalls(this.#toolFormat, read.calls);
  }

  #withThought(turn: TokenTurn, answer: SlotMessage | undefined): TokenTurn {
    const { words, emptyIds } = this.#thought;
    const content = answer?.content ?? '';
    const thinks = content.includes(words[0]) || content.includes(words[1]);
    if (this.#spec.reasoning !== true || thinks) return turn;
    if (this.#thinking === true) {
      return { source: turn.source, target: concatenateIds([emptyIds, turn.target]) };
    }
    return { source: concatenateIds([turn.source, emptyIds]), target: turn.target };
  }

  /** Takes thoughts out, and the line breaks that are then in front. */
  #unthought(message: SlotMessage): SlotMessage {
    const [open, close] = this.#thought.words;
    let content = '';
    let at = 0;
    for (;;) {
      const begin = message.content.indexOf(open, at);
      const end = begin < 0 ? -1 : message.content.indexOf(close, begin + open.length);
      if (end < 0) break;
      content += message.content.slice(at, begin);
      at = end + close.length;
    }
    content += message.content.slice(at);
    return { ...message, content: content.replace(/^\n+/, '') };
  }
}

function idsAt(encoded: readonly Int32Array[], index: number): Int32Array {
  return encoded[index] ?? new Int32Array(0);
}

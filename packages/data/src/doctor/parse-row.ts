/** From a record to what the doctor looks at: a dialogue, a pair of answers, an answer with a verdict, or a text. */
import type { Preference } from '../encode/preference.js';
import {
  type Conversation,
  isRejection,
  type Rejection,
  type RowOrigin,
  reject,
  type TextDocument,
} from '../handlers/conversation.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import { dialogueParser } from '../handlers/dialogue-record.js';
import { ktoTag, preferenceParser } from '../handlers/preference-records.js';
import { detectFormat } from '../handlers/read-dataset.js';
import { DEFAULT_RECORD_COLUMNS, type RecordColumns } from '../handlers/record-columns.js';
import { type JsonRecord, requiredText } from '../handlers/record-fields.js';

/** A row that could be read. */
export type ParsedRow =
  | { readonly kind: 'dialogue'; readonly conversation: Conversation; readonly liked?: boolean }
  | { readonly kind: 'pair'; readonly conversation: Conversation; readonly pair: Preference }
  | { readonly kind: 'text'; readonly document: TextDocument };

/** Parses the records of one data set; the first record decides on their form. */
export class RowParser {
  readonly #spec: DatasetSpec;
  readonly #isText: boolean;
  readonly #columns: RecordColumns;
  #guess: string | null = null;
  #parse: ((record: JsonRecord, origin: RowOrigin) => ParsedRow | Rejection) | undefined;

  /** `isText`: records are raw texts for pre-training. */
  constructor(spec: DatasetSpec, isText: boolean) {
    this.#spec = spec;
    this.#isText = isText;
    this.#columns = { ...DEFAULT_RECORD_COLUMNS, ...spec.columns };
  }

  /** Throws: `DATA_UNKNOWN_FORMAT` when the first record has the fields of no form. */
  parse(record: JsonRecord, { source, row }: RowOrigin): ParsedRow | Rejection {
    this.#parse ??= this.#isText ? this.#textParser() : this.#dialogueParser(record);
    return this.#parse(record, { source, row });
  }

  /** What the records were taken to hold, where the data set does not say; null after the first record otherwise. */
  get guess(): string | null {
    return this.#guess;
  }

  #textParser() {
    const column = this.#spec.columns.prompt ?? 'text';
    return (record: JsonRecord, origin: RowOrigin): ParsedRow | Rejection => {
      const text = requiredText(record, column);
      if (isRejection(text)) return text;
      if (text.trim() === '') return reject('empty_text', `'${column}' is empty`);
      return { kind: 'text', document: { kind: 'document', ...origin, text } };
    };
  }

  #dialogueParser(first: JsonRecord) {
    const { format } = this.#spec;
    const known = format === 'auto' ? detectFormat(first, this.#spec) : format;
    const form = known === 'text' ? 'alpaca' : known;
    const has = (column: string): boolean => Object.hasOwn(first, column);
    const { chosen, rejected, response, kto_tag } = this.#columns;
    const { ranking, kto } = this.#spec;
    // Only what nobody described is guessed: a registered set says what it is.
    const isGuessed = format === 'auto' && !ranking && !kto;
    const isPair = isGuessed && has(chosen) && has(rejected) && !has(response);
    if (ranking || isPair) {
      this.#guess = isPair ? 'a chosen and a rejected answer' : null;
      return this.#pairParser(form);
    }
    const parse = dialogueParser(form, this.#spec);
    const isTagged = isGuessed && typeof first[kto_tag] === 'boolean';
    const isKto = kto || isTagged;
    this.#guess = isTagged ? 'an answer and a verdict on it' : null;
    return (record: JsonRecord, origin: RowOrigin): ParsedRow | Rejection => {
      const dialogue = parse(record);
      if (isRejection(dialogue)) return dialogue;
      const conversation: Conversation = { kind: 'conversation', ...origin, ...dialogue };
      if (!isKto) return { kind: 'dialogue', conversation };
      const liked = ktoTag(record, this.#columns.kto_tag);
      return isRejection(liked) ? liked : { kind: 'dialogue', conversation, liked };
    };
  }

  #pairParser(form: Parameters<typeof preferenceParser>[0]) {
    const parse = preferenceParser(form, this.#spec);
    return (record: JsonRecord, origin: RowOrigin): ParsedRow | Rejection => {
      const parsed = parse(record);
      if (isRejection(parsed)) return parsed;
      const { chosen, rejected, ...dialogue } = parsed;
      const messages = [...dialogue.messages, chosen];
      return {
        kind: 'pair',
        conversation: { kind: 'conversation', ...origin, ...dialogue, messages },
        pair: { ...origin, ...dialogue, chosen, rejected },
      };
    };
  }
}

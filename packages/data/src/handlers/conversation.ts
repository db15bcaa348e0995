/**
 * What every record becomes: a conversation, a document, or a rejection with a named reason.
 *
 * Nothing is dropped in silence: a record that cannot be learned from ends in a bucket with its row.
 */

import type { ChatMessage } from '../templates/index.js';

/** A call of a function that the assistant made. */
export interface ToolCall {
  readonly type: 'function';
  readonly id?: string;
  /** `arguments` is parsed JSON, the form chat templates expect. */
  readonly function: { readonly name: string; readonly arguments: unknown };
}

/** One turn. Field names are those that chat templates read. */
export interface ConversationMessage extends ChatMessage {
  readonly role: 'system' | 'user' | 'assistant' | 'tool';
  readonly content: string;
  readonly tool_calls?: readonly ToolCall[];
  readonly tool_call_id?: string;
  readonly name?: string;
  /** The calls as the JSON text that a ShareGPT record has: named templates write it key for key. */
  readonly call_text?: string;
  /** Thoughts that an OpenAI record keeps apart from the answer. */
  readonly reasoning_content?: string;
}

/** What a record shows besides text: paths, or objects as data sets store them, in order of their placeholders. */
export interface RecordMedia {
  readonly images: readonly unknown[];
  readonly videos: readonly unknown[];
  readonly audios: readonly unknown[];
  /** Time series: lists of numbers, of channels, or objects with either. */
  readonly series?: readonly unknown[];
}

/** Where a record stands. */
export interface RowOrigin {
  /** Name of the data set or its file. */
  readonly source: string;
  /** 1-based; the line of a line-based file, else the position in the array. */
  readonly row: number;
}

/** A dialogue that ends with an answer. */
export interface Conversation extends RowOrigin {
  readonly kind: 'conversation';
  readonly messages: readonly ConversationMessage[];
  readonly tools?: readonly unknown[];
  /** The tools as the JSON text that the record has. */
  readonly toolsText?: string;
  readonly media?: RecordMedia;
}

/** A raw text for pre-training. */
export interface TextDocument extends RowOrigin {
  readonly kind: 'document';
  readonly text: string;
}

/** Why a record was not turned into a sample. Part of the report format: names are stable. */
export const REJECT_BUCKETS = [
  'malformed_json',
  'not_an_object',
  'missing_field',
  'wrong_type',
  'no_messages',
  'unknown_role',
  'wrong_role_order',
  'no_answer',
  'empty_answer',
  'empty_text',
  'bad_tools',
  'unsupported_content',
  'template_refused',
  'nothing_learned',
  'over_length',
  'duplicate',
  'media_count_mismatch',
  'media_not_found',
  'media_unreadable',
] as const;

/** One of {@link REJECT_BUCKETS}. */
export type RejectBucket = (typeof REJECT_BUCKETS)[number];

/** A record that gives no sample. */
export interface RejectedRecord extends RowOrigin {
  readonly kind: 'rejected';
  readonly bucket: RejectBucket;
  /** One sentence: what was found and what was expected. */
  readonly reason: string;
}

/** What a parser returns for a record it refuses; a class because a record may have any fields. */
export class Rejection {
  readonly bucket: RejectBucket;
  readonly reason: string;

  constructor(bucket: RejectBucket, reason: string) {
    this.bucket = bucket;
    this.reason = reason;
  }
}

/** Refuses a record: `reason` says what was found and what was expected. */
export function reject(bucket: RejectBucket, reason: string): Rejection {
  return new Rejection(bucket, reason);
}

/** Tells a rejection from a parsed value. */
export function isRejection(value: unknown): value is Rejection {
  return value instanceof Rejection;
}

/** Gives a rejection its place. */
export function rejectedAt(origin: RowOrigin, { bucket, reason }: Rejection): RejectedRecord {
  return { kind: 'rejected', source: origin.source, row: origin.row, bucket, reason };
}

/** Options of {@link checkTurns}. */
export interface TurnCheck {
  /** A dialogue ends with an answer (the default); one whose answers stand elsewhere ends with a question. */
  readonly end?: 'answer' | 'question';
  /** Where a message stands in its record, for reasons. */
  readonly path?: (index: number) => string;
}

/**
 * Checks the order of turns: an optional system turn, a user turn, then answers in alternation with user
 * turns or tool results.
 */
export function checkTurns(
  messages: readonly ConversationMessage[],
  { end = 'answer', path = (index) => `turn ${index + 1}` }: TurnCheck = {},
): Rejection | undefined {
  const first = messages[0]?.role === 'system' ? 1 : 0;
  if (messages.length === first) return reject('no_messages', 'there are no turns');
  for (let i = first; i < messages.length; i++) {
    const before = i === first ? 'start' : (messages[i - 1]?.role ?? 'start');
    const fault = checkTurn(messages[i] as ConversationMessage, before, () => path(i));
    if (fault !== undefined) return fault;
  }
  const last = messages.at(-1)?.role;
  if ((last === 'assistant') === (end === 'answer')) return undefined;
  const where = path(messages.length - 1);
  return end === 'answer'
    ? reject('no_answer', `the dialogue ends with ${where}, a ${last} turn; expected an answer`)
    : reject('wrong_role_order', `the dialogue ends with ${where}, an answer; expected a question`);
}

function checkTurn(
  message: ConversationMessage,
  before: string,
  where: () => string,
): Rejection | undefined {
  if (!ALLOWED_AFTER[before]?.includes(message.role)) {
    const allowed = ALLOWED_AFTER[before]?.join(' or ');
    const place = before === 'start' ? 'the first turn,' : `after ${before},`;
    const found = `${where()}, ${place} is ${message.role}`;
    return reject('wrong_role_order', `${found}; expected ${allowed}`);
  }
  const isEmptyAnswer =
    message.role === 'assistant' &&
    message.content.trim() === '' &&
    (message.tool_calls?.length ?? 0) === 0;
  return isEmptyAnswer ? reject('empty_answer', `the answer in ${where()} is empty`) : undefined;
}

const ALLOWED_AFTER: { readonly [role: string]: readonly string[] } = {
  start: ['user'],
  user: ['assistant'],
  assistant: ['user', 'tool'],
  tool: ['assistant', 'tool'],
};

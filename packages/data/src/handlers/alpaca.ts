/** Alpaca records: instruction, input, output, system, history. */
import {
  type ConversationMessage,
  checkTurns,
  isRejection,
  type RecordMedia,
  type Rejection,
} from './conversation.js';
import type { RecordColumns } from './record-columns.js';
import { parseExtras, type RecordExtras } from './record-extras.js';
import {
  firstRejection,
  type JsonRecord,
  optionalText,
  requiredText,
  wrongType,
} from './record-fields.js';

/** The part of a conversation that a record itself gives. */
export interface ParsedDialogue {
  readonly messages: readonly ConversationMessage[];
  readonly tools?: readonly unknown[];
  readonly toolsText?: string;
  readonly media?: RecordMedia;
}

/**
 * Turns one Alpaca record into a dialogue.
 *
 * The user turn is the non-empty ones of instruction and input joined by a line feed; history pairs come
 * first, and their answers are learned too. Source: LLaMA-Factory v0.9.3, data format "alpaca".
 */
export function parseAlpaca(
  record: JsonRecord,
  columns: RecordColumns,
): ParsedDialogue | Rejection {
  const question = parseAlpacaQuestion(record, columns);
  if (isRejection(question)) return question;
  const response = requiredText(record, columns.response);
  if (isRejection(response)) return response;
  const messages = [...question.messages, { role: 'assistant', content: response } as const];
  const path = (index: number) => alpacaPath(messages, index, columns);
  return checkTurns(messages, { path }) ?? { ...question, messages };
}

/** Where a message of an Alpaca record, or of its question alone, stands in it. */
export function alpacaPath(
  messages: readonly ConversationMessage[],
  index: number,
  columns: RecordColumns,
): string {
  const hasSystem = messages[0]?.role === 'system';
  const at = hasSystem ? index - 1 : index;
  const turns = messages.length - (hasSystem ? 1 : 0);
  const pairs = Math.floor((turns - 1) / 2);
  if (at < 0) return `'${columns.system}'`;
  if (at < 2 * pairs) return `'${columns.history}[${Math.floor(at / 2)}][${at % 2}]'`;
  return at % 2 === 0 ? `'${columns.prompt}'` : `'${columns.response}'`;
}

/** The part of an Alpaca record in front of its answer: system text, history and question. */
export function parseAlpacaQuestion(
  record: JsonRecord,
  columns: RecordColumns,
): ParsedDialogue | Rejection {
  const prompt = requiredText(record, columns.prompt);
  const query = optionalText(record, columns.query);
  const system = optionalText(record, columns.system);
  const history = parseHistory(record, columns.history);
  const extras = parseExtras(record, columns);
  const fault = firstRejection(prompt, query, system, history, extras);
  if (fault !== undefined) return fault;
  const messages: ConversationMessage[] = [
    ...(system === '' ? [] : [{ role: 'system', content: system as string } as const]),
    ...(history as readonly ConversationMessage[]),
    { role: 'user', content: [prompt, query].filter((part) => part !== '').join('\n') },
  ];
  return { messages, ...(extras as RecordExtras) };
}

function parseHistory(
  record: JsonRecord,
  field: string,
): readonly ConversationMessage[] | Rejection {
  const value = record[field];
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) return wrongType(field, value, 'a list of [question, answer] pairs');
  const messages: ConversationMessage[] = [];
  for (const [index, pair] of value.entries()) {
    const turns = parsePair(pair, `${field}[${index}]`);
    if (isRejection(turns)) return turns;
    messages.push(...turns);
  }
  return messages;
}

function parsePair(pair: unknown, where: string): readonly ConversationMessage[] | Rejection {
  const [question, answer, ...rest] = Array.isArray(pair) ? pair : [];
  if (typeof question !== 'string' || typeof answer !== 'string' || rest.length > 0) {
    return wrongType(where, pair, 'a pair of texts [question, answer]');
  }
  return [
    { role: 'user', content: question },
    { role: 'assistant', content: answer },
  ];
}

/** Alpaca records: instruction, input, output, system, history. */
import {
  type ConversationMessage,
  checkTurns,
  isRejection,
  type Rejection,
} from './conversation.js';
import type { ColumnNames } from './dataset-spec.js';
import {
  firstRejection,
  type JsonRecord,
  optionalText,
  requiredText,
  toolList,
  wrongType,
} from './record-fields.js';

/** The part of a conversation that a record itself gives. */
export interface ParsedDialogue {
  readonly messages: readonly ConversationMessage[];
  readonly tools?: readonly unknown[];
}

/**
 * Turns one Alpaca record into a dialogue.
 *
 * The user turn is the non-empty ones of instruction and input joined by a line feed; history pairs come
 * first, and their answers are learned too. Source: LLaMA-Factory v0.9.3, data format "alpaca".
 */
export function parseAlpaca(record: JsonRecord, columns: ColumnNames): ParsedDialogue | Rejection {
  const prompt = requiredText(record, columns.prompt);
  const query = optionalText(record, columns.query);
  const response = requiredText(record, columns.response);
  const system = optionalText(record, columns.system);
  const history = parseHistory(record, columns.history);
  const tools = toolList(record, columns.tools);
  const fault = firstRejection(prompt, query, response, system, history, tools);
  if (fault !== undefined) return fault;
  const messages: ConversationMessage[] = [
    ...(system === '' ? [] : [{ role: 'system', content: system as string } as const]),
    ...(history as readonly ConversationMessage[]),
    {
      role: 'user',
      content: [prompt, query].filter((part) => part !== '').join('\n'),
    },
    { role: 'assistant', content: response as string },
  ];
  const order = checkTurns(messages);
  if (order !== undefined) return order;
  return tools === undefined ? { messages } : { messages, tools: tools as readonly unknown[] };
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

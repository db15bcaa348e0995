/** Records of preferences: a question with two answers, or a dialogue whose last answer is liked or not. */
import { alpacaPath, type ParsedDialogue, parseAlpacaQuestion } from './alpaca.js';
import {
  type ConversationMessage,
  checkTurns,
  isRejection,
  type Rejection,
  reject,
} from './conversation.js';
import type { RoleTags } from './dataset-spec.js';
import type { RecordNames } from './dialogue-record.js';
import {
  type DialogueForm,
  type RecordColumns,
  recordColumns,
  recordTags,
} from './record-columns.js';
import { isJsonRecord, type JsonRecord, wrongType } from './record-fields.js';
import { parseTurn, parseTurns, turnPath } from './sharegpt.js';

/** A dialogue that ends with a question, and two answers to it. */
export interface ParsedPreference extends ParsedDialogue {
  readonly chosen: ConversationMessage;
  readonly rejected: ConversationMessage;
}

/** Parses records of two answers. */
export function preferenceParser(
  form: DialogueForm,
  names: RecordNames,
): (record: JsonRecord) => ParsedPreference | Rejection {
  const columns = recordColumns(form, names.columns);
  const tags = recordTags(form, names.tags);
  return (record) => {
    const question =
      form === 'alpaca' ? parseAlpacaQuestion(record, columns) : parseTurns(record, columns, tags);
    if (isRejection(question)) return question;
    const path =
      form === 'alpaca'
        ? (index: number) => alpacaPath(question.messages, index, columns)
        : turnPath(record, question, columns);
    const order = checkTurns(question.messages, { end: 'question', path });
    if (order !== undefined) return order;
    const answerOf = form === 'alpaca' ? alpacaAnswer : turnAnswer;
    const chosen = answerOf(record, { column: columns.chosen, place: 0, columns, tags });
    if (isRejection(chosen)) return chosen;
    const rejected = answerOf(record, { column: columns.rejected, place: 1, columns, tags });
    return isRejection(rejected) ? rejected : { ...question, chosen, rejected };
  };
}

interface AnswerPlace {
  readonly column: string;
  /** Where the answer stands when one column lists both. */
  readonly place: 0 | 1;
  readonly columns: RecordColumns;
  readonly tags: RoleTags;
}

/** The answer's text; where `chosen` and `rejected` are mapped to one column, that is a list of the two. */
function alpacaAnswer(
  record: JsonRecord,
  { column, place, columns }: AnswerPlace,
): ConversationMessage | Rejection {
  const isShared = columns.chosen === columns.rejected;
  const found = record[column];
  const value: unknown = isShared && Array.isArray(found) ? found[place] : found;
  const where = isShared ? `${column}[${place}]` : column;
  if (value === undefined || value === null) return missing(record, where);
  if (typeof value !== 'string') return wrongType(where, value, 'the text of an answer');
  return checkedAnswer({ role: 'assistant', content: value }, where);
}

/** An answer as a turn, or as a list of one turn. */
function turnAnswer(
  record: JsonRecord,
  { column, tags }: AnswerPlace,
): ConversationMessage | Rejection {
  const found = record[column];
  if (found === undefined || found === null) return missing(record, column);
  const isList = Array.isArray(found) && found.length === 1;
  const turn: unknown = isList ? found[0] : found;
  const where = isList ? `${column}[0]` : column;
  if (!isJsonRecord(turn)) {
    return wrongType(where, turn, `an object with ${tags.role_tag} and ${tags.content_tag}`);
  }
  const message = parseTurn(turn, where, tags);
  if (isRejection(message)) return message;
  if (message.role !== 'assistant') {
    const role = JSON.stringify(turn[tags.role_tag]);
    const expected = `${tags.assistant_tag} or ${tags.function_tag}`;
    return reject('wrong_role_order', `'${where}' has the role ${role}; expected ${expected}`);
  }
  return checkedAnswer(message, where);
}

function checkedAnswer(
  message: ConversationMessage,
  where: string,
): ConversationMessage | Rejection {
  const isEmpty = message.content.trim() === '' && (message.tool_calls?.length ?? 0) === 0;
  return isEmpty ? reject('empty_answer', `'${where}' is empty`) : message;
}

function missing(record: JsonRecord, field: string): Rejection {
  const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
  return reject('missing_field', `no field '${field}'; fields found: ${found}`);
}

/** The mark of an answer: true = liked. Cells of CSV files are text, so the words are taken as well. */
export function ktoTag(record: JsonRecord, column: string): boolean | Rejection {
  const value = record[column];
  if (typeof value === 'boolean') return value;
  if (typeof value === 'string' && /^(?:true|false)$/i.test(value)) {
    return value.toLowerCase() === 'true';
  }
  if (value === undefined || value === null) return missing(record, column);
  return wrongType(column, value, 'true or false');
}

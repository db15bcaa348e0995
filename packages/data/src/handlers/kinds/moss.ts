/** MOSS records: `chat` holds turns by name, each with a `Human` and a `MOSS` text in markers of their own. */
import { isRejection, type Rejection, reject } from '../conversation.js';
import { isJsonRecord, type JsonRecord, wrongType } from '../record-fields.js';
import { stripBlanks } from './strip-blanks.js';

/** A question with its answer. */
export interface MossTurn {
  readonly user: string;
  readonly assistant: string;
}

/** Reads the turns in the order of the record; turns that are null are passed over. */
export function parseMossTurns(record: JsonRecord): readonly MossTurn[] | Rejection {
  const chat = record['chat'];
  if (chat === undefined || chat === null) {
    const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
    return reject('missing_field', `no field 'chat'; fields found: ${found}`);
  }
  if (!isJsonRecord(chat)) return wrongType('chat', chat, 'an object of turns');
  const turns: MossTurn[] = [];
  for (const [name, turn] of Object.entries(chat)) {
    if (turn === null) continue;
    const parsed = parseTurn(turn, `chat.${name}`);
    if (isRejection(parsed)) return parsed;
    turns.push(parsed);
  }
  return turns.length === 0 ? reject('no_messages', "'chat' has no turns") : turns;
}

function parseTurn(turn: unknown, where: string): MossTurn | Rejection {
  if (!isJsonRecord(turn)) return wrongType(where, turn, 'an object with Human and MOSS');
  const { Human: human, MOSS: moss } = turn;
  if (typeof human !== 'string') return wrongType(`${where}.Human`, human, 'text');
  if (typeof moss !== 'string') return wrongType(`${where}.MOSS`, moss, 'text');
  const user = stripBlanks(human.replaceAll('<eoh>', '').replaceAll('<|Human|>: ', ''));
  const assistant = stripBlanks(moss.replaceAll('<|MOSS|>:', '').replaceAll('<eom>', ''));
  if (assistant === '') return reject('empty_answer', `'${where}.MOSS' has no text`);
  return { user, assistant };
}

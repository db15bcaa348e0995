/** Parses the text of one JSON record; what cannot be parsed becomes a malformed item. */
import { fileError } from '../file-errors.js';
import { MAX_JSON_DEPTH } from '../limits.js';
import type { ReadItem } from '../read-item.js';

/** Where a record stands. */
interface RecordPlace {
  readonly file: string;
  readonly row: number;
  readonly line: number;
}

/**
 * Parses one record.
 *
 * Throws: `DATA_BAD_JSON` for a line that is an opening brace alone: an object spread over several lines, whose every
 * line would be malformed.
 */
export function parseJsonRecord(text: string, place: RecordPlace): ReadItem {
  const { row, line } = place;
  try {
    const value: unknown = JSON.parse(text);
    // Fewer letters cannot hold that many brackets.
    const isDeep = text.length > 2 * MAX_JSON_DEPTH && isDeeper(value, MAX_JSON_DEPTH);
    if (!isDeep) return { kind: 'record', row, value };
    return { kind: 'malformed', row, line, reason: `nested more than ${MAX_JSON_DEPTH} deep` };
  } catch (error) {
    if (text.trim() === '{') throw objectOverLines(place);
    // JSON.parse has no other way to say that a text is not JSON; its message names the place.
    const found = error instanceof SyntaxError ? error.message : 'not JSON';
    const reason = text.includes('\0') ? `a NUL byte: ${visible(found)}` : visible(found);
    return { kind: 'malformed', row, line, reason };
  }
}

/** Recursion stops at the limit. */
function isDeeper(value: unknown, limit: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (limit === 0) return true;
  return Object.values(value).some((inner) => isDeeper(inner, limit - 1));
}

/** Replaces control characters, which messages of the parser quote from the text. */
function visible(message: string): string {
  return message.replace(/\p{Cc}/gu, '\ufffd');
}

function objectOverLines(place: RecordPlace) {
  return fileError('DATA_BAD_JSON', place, 'a JSON object is spread over several lines', {
    hint: 'Put each record on one line, or all of them into one JSON array.',
  });
}

/**
 * Parses whole lines of a window of bytes into items: JSON values or texts.
 *
 * UTF-8 is checked once for the window, at memory speed, and line by line only where that fails.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import type { ReadItem } from '../read-item.js';
import { parseJsonRecord } from './parse-json-record.js';

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Where a parser of lines stands. */
export interface LinePosition {
  /** Records so far, malformed ones included. */
  rows: number;
  /** Lines so far, blank ones included. */
  lines: number;
}

/** What the lines hold and where they come from. */
export interface LineSource {
  readonly path: string;
  readonly layout: 'json-lines' | 'text-lines';
  /** Lines of records that were cut out of something else; null when lines count themselves. */
  readonly recordLines: Int32Array | null;
  /** The position's rows at the first of `recordLines`. */
  readonly rowsBefore: number;
}

/** The text of one record and its place. */
interface RecordText {
  readonly text: string;
  readonly row: number;
  readonly line: number;
}

/**
 * Parses the lines of `window`; a last line without a line end counts. Blank lines count as lines, not as rows.
 *
 * Mutates: `position`. Throws: `DATA_BAD_JSON` when an object is spread over several lines.
 */
export function parseLines(
  window: Buffer,
  source: LineSource,
  position: LinePosition,
): readonly ReadItem[] {
  const items: ReadItem[] = [];
  const isClean = isUtf8(window);
  // A text of ASCII alone is made from latin1 at once, without decoding.
  const encoding = isClean && isAscii(window) ? 'latin1' : 'utf8';
  for (let begin = 0; begin < window.length; ) {
    const next = lineEnd(window, begin);
    const end = next > begin && window[next - 1] === CARRIAGE_RETURN ? next - 1 : next;
    position.lines++;
    if (!isBlank(window, begin, end)) {
      const row = ++position.rows;
      const line = source.recordLines?.[row - 1 - source.rowsBefore] ?? position.lines;
      items.push(
        isClean || isUtf8(window.subarray(begin, end))
          ? parseText({ text: window.toString(encoding, begin, end), row, line }, source)
          : { kind: 'malformed', row, line, reason: 'bytes that are not UTF-8' },
      );
    }
    begin = next + 1;
  }
  return items;
}

/** Millions of empty lines, as a bomb unpacks to, cost no search each. */
function lineEnd(window: Buffer, begin: number): number {
  if (window[begin] === LINE_FEED) return begin;
  const found = window.indexOf(LINE_FEED, begin);
  return found < 0 ? window.length : found;
}

/** A NUL is no blank: it is what UTF-16 and binary files have between their letters. */
function isBlank(window: Buffer, begin: number, end: number): boolean {
  let at = begin;
  while (at < end) {
    const byte = window[at] as number;
    if (byte > 0x20 || byte === 0) return false;
    at++;
  }
  return true;
}

function parseText({ text, row, line }: RecordText, source: LineSource): ReadItem {
  if (source.layout === 'json-lines')
    return parseJsonRecord(text, { file: source.path, row, line });
  if (text.includes('\0')) return { kind: 'malformed', row, line, reason: 'a NUL byte' };
  return { kind: 'record', row, value: { text } };
}

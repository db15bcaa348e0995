/**
 * Reads the lines of a byte range of a file in windows of whole lines.
 *
 * A line belongs to the range in which its first byte lies, so that ranges that touch share no line and miss none.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { cannotOpen, fileError } from '../file-errors.js';
import { LINE_WINDOW_BYTES, MAX_RECORD_BYTES } from '../limits.js';

const LINE_FEED = 0x0a;

/** A range of bytes [begin, end) of a file. */
export interface ByteRange {
  readonly path: string;
  readonly begin: number;
  readonly end: number;
}

/**
 * Yields windows of whole lines. A window is valid until the next is asked for; a byte order mark is left out.
 *
 * Throws: `DATA_FILE_NOT_FOUND`; `DATA_FILE_CHANGED` when the file ends before the range; `DATA_RECORD_TOO_LARGE`
 * when a line passes {@link MAX_RECORD_BYTES}.
 */
export function* lineWindows(
  range: ByteRange,
  windowBytes: number = LINE_WINDOW_BYTES,
): Generator<Buffer, void, undefined> {
  const file = openSynchronously(range);
  try {
    let buffer: Buffer = Buffer.allocUnsafeSlow(windowBytes);
    let held = 0;
    let position = firstLineStart(file, range);
    while (position < range.end) {
      const count = readSync(file, buffer, held, buffer.length - held, position + held);
      const filled = held + count;
      if (filled === 0) throw fileShrank(range.path, position, range.end);
      const end = endOfLines(buffer, filled, range.end - position, count === 0);
      if (end === 0) {
        buffer = grown(buffer, range.path, position);
        held = filled;
        continue;
      }
      const begin = position === 0 && hasByteOrderMark(buffer, filled) ? 3 : 0;
      yield buffer.subarray(begin, end);
      position += end;
      held = position < range.end ? filled - end : 0;
      buffer.copyWithin(0, end, end + held);
      if (count === 0) return;
    }
  } finally {
    closeSync(file);
  }
}

function openSynchronously({ path, end }: ByteRange): number {
  let file = -1;
  try {
    file = openSync(path, 'r');
    const { size } = fstatSync(file);
    if (size >= end) return file;
    throw fileShrank(path, size, end);
  } catch (error) {
    if (file < 0) throw cannotOpen(path, error);
    closeSync(file);
    throw error;
  }
}

/** Where the first line that begins at or after `begin` begins; `end` when none does. */
function firstLineStart(file: number, { begin, end, path }: ByteRange): number {
  if (begin === 0) return 0;
  const buffer = Buffer.allocUnsafe(64 * 1024);
  // The byte before the range tells whether a line begins with it.
  for (let position = begin - 1; position < end - 1; position += buffer.length) {
    const count = readSync(file, buffer, 0, buffer.length, position);
    const found = buffer.subarray(0, count).indexOf(LINE_FEED);
    if (found >= 0) return Math.min(position + found + 1, end);
    if (count < buffer.length) return end;
    if (position - begin > MAX_RECORD_BYTES) throw lineTooLong(path, begin);
  }
  return end;
}

/**
 * Bytes of the window that are whole lines beginning before `limit`: up to the first line end at or after `limit - 1`,
 * else up to the last line end, or all at the end of the file. 0 when the window ends within its first line.
 */
function endOfLines(buffer: Buffer, filled: number, limit: number, isFileEnd: boolean): number {
  const window = buffer.subarray(0, filled);
  const closing = limit <= filled ? window.indexOf(LINE_FEED, limit - 1) : -1;
  if (closing >= 0) return closing + 1;
  return isFileEnd ? filled : window.lastIndexOf(LINE_FEED) + 1;
}

function grown(buffer: Buffer, path: string, position: number): Buffer {
  if (buffer.length > MAX_RECORD_BYTES) throw lineTooLong(path, position);
  const larger = Buffer.allocUnsafeSlow(Math.min(buffer.length * 2, MAX_RECORD_BYTES + 4096));
  buffer.copy(larger);
  return larger;
}

function hasByteOrderMark(buffer: Buffer, filled: number): boolean {
  return filled >= 3 && buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf;
}

/** A file that has fewer bytes than when its units were planned. */
function fileShrank(path: string, bytes: number, expected: number) {
  return fileError(
    'DATA_FILE_CHANGED',
    { file: path },
    `it had at least ${expected} bytes and has ${bytes} now`,
    {
      category: 'conflict',
      details: { bytes, expected },
      hint: 'Do not write to a data set while it is read.',
    },
  );
}

function lineTooLong(path: string, offset: number) {
  return fileError(
    'DATA_RECORD_TOO_LARGE',
    { file: path },
    `the line that begins at byte ${offset} is longer than ${MAX_RECORD_BYTES} bytes`,
    {
      category: 'resource_exhausted',
      details: { offset, limit: MAX_RECORD_BYTES },
      hint: 'Is this one record per line? Line ends may be missing.',
    },
  );
}

/** Cuts a byte stream at line feeds; strips a carriage return before one and skips blank lines. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { MAX_RECORD_BYTES } from './limits.js';
import type { RawRecord, RecordSplitter } from './read-records.js';

/**
 * Creates a splitter for line-based files; `row` and `line` are both the line number.
 *
 * Throws: `DATA_RECORD_TOO_LARGE` from `push` when a line passes {@link MAX_RECORD_BYTES}.
 */
export function createLineSplitter(path: string): RecordSplitter {
  let line = 1;
  let held: Buffer[] = [];
  let heldBytes = 0;

  const take = (tail: Buffer): RawRecord | undefined => {
    const bytes = trimLine(held.length === 0 ? tail : Buffer.concat([...held, tail]));
    held = [];
    heldBytes = 0;
    const row = line++;
    return bytes.length === 0 ? undefined : { row, line: row, bytes };
  };

  return {
    *push(chunk) {
      let begin = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, begin)) {
        const record = take(chunk.subarray(begin, end));
        begin = end + 1;
        if (record !== undefined) yield record;
      }
      if (begin === chunk.length) return;
      held.push(chunk.subarray(begin));
      heldBytes += chunk.length - begin;
      if (heldBytes > MAX_RECORD_BYTES) throw lineTooLong(path, line);
    },
    *finish() {
      if (heldBytes === 0) return;
      const record = take(Buffer.alloc(0));
      if (record !== undefined) yield record;
    },
  };
}

/** Removes blanks, tabs and carriage returns from both ends. */
function trimLine(bytes: Buffer): Buffer {
  let begin = 0;
  let end = bytes.length;
  while (begin < end && isBlank(bytes[begin])) begin++;
  while (end > begin && isBlank(bytes[end - 1])) end--;
  return bytes.subarray(begin, end);
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0d;
}

function lineTooLong(path: string, line: number): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_RECORD_TOO_LARGE,
    `${path}:${line}: the line is longer than ${MAX_RECORD_BYTES} bytes`,
    {
      category: 'resource_exhausted',
      details: { file: path, line, limit: MAX_RECORD_BYTES },
      hint: 'Is this one JSON object per line? Line ends may be missing.',
    },
  );
}

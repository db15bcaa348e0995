/** Cuts a stream of lines that cannot be entered in the middle into units of whole lines. */
import type { TuneyardError } from '@tuneyard/core';
import { fileError } from '../file-errors.js';
import { countLineFeeds } from '../kernels/count-line-feeds.js';
import { MAX_RECORD_BYTES } from '../limits.js';
import type { RecordUnit } from '../read-unit.js';

const LINE_FEED = 0x0a;

/** What the units hold. */
export interface LineStream {
  readonly path: string;
  readonly layout: 'json-lines' | 'text-lines';
  readonly unitBytes: number;
}

/**
 * Yields units that end with the first line end at or after `unitBytes`, wherever the chunks are cut.
 *
 * Throws: `DATA_RECORD_TOO_LARGE` when a line passes {@link MAX_RECORD_BYTES}.
 */
export async function* cutLines(
  chunks: AsyncIterable<Buffer>,
  stream: LineStream,
): AsyncGenerator<RecordUnit, void, undefined> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let firstLine = 1;
  for await (const chunk of chunks) {
    let begin = 0;
    for (let end = unitEnd(); end > 0; end = unitEnd()) {
      const unit = joinUnit([...held, chunk.subarray(begin, end)], stream, firstLine);
      firstLine += countLineFeeds(unit.bytes);
      yield unit;
      held = [];
      heldBytes = 0;
      begin = end;
    }
    held.push(chunk.subarray(begin));
    heldBytes += chunk.length - begin;
    if (heldBytes > stream.unitBytes + MAX_RECORD_BYTES) {
      throw lineTooLong(held, stream, firstLine);
    }

    function unitEnd(): number {
      const from = Math.max(begin, begin + stream.unitBytes - heldBytes - 1);
      return chunk.indexOf(LINE_FEED, from) + 1;
    }
  }
  if (heldBytes > 0) yield joinUnit(held, stream, firstLine);
}

function joinUnit(parts: readonly Buffer[], stream: LineStream, firstLine: number): RecordUnit {
  const { path, layout } = stream;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return { kind: 'records', path, layout, bytes, firstLine, recordLines: null, table: null };
}

function lineTooLong(held: readonly Buffer[], stream: LineStream, first: number): TuneyardError {
  const line = held.reduce((sum, part) => sum + countLineFeeds(part), first);
  return fileError(
    'DATA_RECORD_TOO_LARGE',
    { file: stream.path, line },
    `the line is longer than ${MAX_RECORD_BYTES} bytes`,
    {
      category: 'resource_exhausted',
      details: { limit: MAX_RECORD_BYTES },
      hint: 'Is this one record per line? Line ends may be missing.',
    },
  );
}

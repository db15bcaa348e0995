/**
 * Reads one data file as a stream of records: JSON Lines, a JSON array, CSV, text lines, Parquet or Arrow.
 *
 * Memory is bounded by a unit of reading or one record, whichever is larger, whatever the size of the file. A record
 * that cannot be parsed becomes a counted item with its place, and the next one is read; only damage after which no
 * boundary can be trusted is an error.
 */
import { throwIfAborted } from '@tuneyard/core';
import { probeFile } from './discover/probe-file.js';
import { planReadUnits } from './plan-read-units.js';
import type { ReadItem } from './read-item.js';
import { readUnitBatches } from './read-unit-records.js';

export type { ReadItem } from './read-item.js';

/** Options of {@link readRecords}. */
export interface ReadOptions {
  /** Columns of a columnar file to read; by default all. Other kinds always give whole records. */
  readonly columns?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Streams the records of one `.json`, `.jsonl`, `.ndjson`, `.csv`, `.tsv`, `.txt`, `.parquet` or `.arrow` file; the
 * text kinds also as `.gz` and `.zst`.
 *
 * A byte order mark, CRLF line ends and blank lines are accepted. `.json` may hold an array or one object
 * per line: the first character decides.
 *
 * Throws: `DATA_FILE_NOT_FOUND`, `DATA_FILE_EMPTY`, `DATA_UNKNOWN_FILE_TYPE`, `DATA_FILE_MISMATCH`,
 * `DATA_BAD_ENCODING` (UTF-16), `DATA_BAD_COMPRESSION`, `DATA_EXPANDS_TOO_MUCH`, `DATA_BAD_JSON` (array not closed,
 * text after it), `DATA_BAD_CSV`, `DATA_BAD_PARQUET`, `DATA_BAD_ARROW`, `DATA_RECORD_TOO_LARGE`,
 * `DATA_NO_SUCH_COLUMN`, `DATA_FILE_CHANGED`, `CANCELLED`.
 */
export async function* readRecords(
  path: string,
  options: ReadOptions = {},
): AsyncGenerator<ReadItem, void, undefined> {
  throwIfAborted(options.signal);
  const file = await probeFile(path, options.signal);
  const position = { rows: 0, lines: 0 };
  for await (const unit of planReadUnits([file], options)) {
    for await (const items of readUnitBatches(unit, options, position)) {
      for (const item of items) yield item;
    }
  }
}

/** Reads one unit: the half of reading that runs in workers. */
import { defined, throwIfAborted } from '@tuneyard/core';
import { arrowBatches } from './columnar/arrow/read-arrow.js';
import { parquetBatches } from './columnar/parquet/read-parquet.js';
import { LINE_WINDOW_BYTES } from './limits.js';
import type { ReadItem } from './read-item.js';
import type { ReadUnit, RecordUnit } from './read-unit.js';
import { lineWindows } from './text/line-windows.js';
import { parseCsv } from './text/parse-csv.js';
import { type LinePosition, parseLines } from './text/parse-lines.js';

/** Options of {@link readUnit}. */
export interface ReadUnitOptions {
  /** Columns of a columnar file to read; by default all. Other kinds always give whole records. */
  readonly columns?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Reads a unit, record by record. Rows are 1-based within the unit; lines are those of the file where they are known
 * (record units), else of the unit.
 *
 * Throws: `DATA_FILE_NOT_FOUND`, `DATA_FILE_CHANGED`, `DATA_BAD_JSON`, `DATA_RECORD_TOO_LARGE`, `DATA_BAD_PARQUET`,
 * `DATA_BAD_ARROW`, `DATA_NO_SUCH_COLUMN`, `CANCELLED`.
 */
export async function* readUnit(
  unit: ReadUnit,
  options: ReadUnitOptions = {},
): AsyncGenerator<ReadItem, void, undefined> {
  for await (const items of readUnitBatches(unit, options)) {
    // Delegation (yield*) to an array costs more in an asynchronous generator.
    for (const item of items) yield item;
  }
}

/**
 * Reads a unit as {@link readUnit} does, in arrays of many items: about half the cost for short records. `position`
 * is where the count of rows and lines goes on; it is moved.
 *
 * Mutates: `position`.
 */
export async function* readUnitBatches(
  unit: ReadUnit,
  options: ReadUnitOptions = {},
  position: LinePosition = { rows: 0, lines: 0 },
): AsyncGenerator<readonly ReadItem[], void, undefined> {
  switch (unit.kind) {
    case 'lines':
      for (const window of lineWindows(unit)) {
        throwIfAborted(options.signal);
        yield parseLines(window, { ...unit, recordLines: null, rowsBefore: 0 }, position);
      }
      return;
    case 'records':
      yield* recordBatches(unit, options, position);
      return;
    case 'rows':
      yield* (unit.layout === 'parquet' ? parquetBatches : arrowBatches)(unit, options, position);
      return;
  }
}

async function* recordBatches(
  unit: RecordUnit,
  options: ReadUnitOptions,
  position: LinePosition,
): AsyncGenerator<readonly ReadItem[], void, undefined> {
  const bytes = Buffer.from(unit.bytes.buffer, unit.bytes.byteOffset, unit.bytes.byteLength);
  const rowsBefore = position.rows;
  position.lines = unit.firstLine - 1;
  const { path, layout, recordLines, table } = unit;
  if (layout === 'delimited') {
    for (const items of parseCsv(bytes, defined(table, 'the header of a unit'), position)) {
      throwIfAborted(options.signal);
      yield items;
    }
    return;
  }
  for (let begin = 0; begin < bytes.length; ) {
    throwIfAborted(options.signal);
    const lineEnd = bytes.indexOf(0x0a, begin + LINE_WINDOW_BYTES);
    const end = lineEnd < 0 ? bytes.length : lineEnd + 1;
    const source = { path, layout, recordLines, rowsBefore };
    yield parseLines(bytes.subarray(begin, end), source, position);
    begin = end;
  }
}

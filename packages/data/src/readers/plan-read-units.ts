/** Cuts data files into units of reading. */
import { throwIfAborted } from '@tuneyard/core';
import { arrowUnits } from './columnar/arrow/read-arrow.js';
import { parquetUnits } from './columnar/parquet/plan-parquet.js';
import type { DataFile } from './data-file.js';
import { DEFAULT_UNIT_BYTES, MAX_RECORD_BYTES, MIN_UNIT_BYTES } from './limits.js';
import type { LineUnit, ReadUnit } from './read-unit.js';
import { readTextChunks } from './streams/file-bytes.js';
import { cutCsv } from './text/cut-csv.js';
import { cutJsonArray } from './text/cut-json-array.js';
import { cutLines } from './text/cut-lines.js';

/** Options of {@link planReadUnits}. */
export interface PlanUnitsOptions {
  /** About how many bytes of data a unit has; at least 64, at most 64 MiB, by default 4 MiB. */
  readonly unitBytes?: number;
  /** The columns that {@link readUnit} will be asked for: a columnar unit is measured by them alone. */
  readonly columns?: readonly string[];
  readonly signal?: AbortSignal;
}

/**
 * Cuts files into units of reading, file by file, in order. The cut depends on the files and `unitBytes` (and, in
 * columnar files, `columns`) alone.
 *
 * Files of lines are cut by offsets without being read; columnar ones by their footers; other files are streamed,
 * unpacked and cut here, so that a worker need only parse. At most one unit is held at a time.
 * Throws: the codes of {@link readRecords}, save those about single records.
 */
export async function* planReadUnits(
  files: readonly DataFile[],
  options: PlanUnitsOptions = {},
): AsyncGenerator<ReadUnit, void, undefined> {
  const unitBytes = options.unitBytes ?? DEFAULT_UNIT_BYTES;
  const clamped = Math.min(Math.max(Math.floor(unitBytes), MIN_UNIT_BYTES), MAX_RECORD_BYTES);
  for (const file of files) {
    throwIfAborted(options.signal);
    yield* planFile(file, clamped, options);
  }
}

async function* planFile(
  file: DataFile,
  unitBytes: number,
  options: PlanUnitsOptions,
): AsyncGenerator<ReadUnit, void, undefined> {
  const { path, layout, compression } = file;
  switch (layout) {
    case 'json-lines':
    case 'text-lines':
      if (compression === 'none') yield* lineUnits(file, layout, unitBytes);
      else
        yield* cutLines(readTextChunks(path, compression, options.signal), {
          path,
          layout,
          unitBytes,
        });
      return;
    case 'json-array':
      yield* cutJsonArray(readTextChunks(path, compression, options.signal), path, unitBytes);
      return;
    case 'csv':
    case 'tsv': {
      const delimiter = layout === 'csv' ? ',' : '\t';
      const chunks = readTextChunks(path, compression, options.signal);
      yield* cutCsv(chunks, { path, delimiter, unitBytes });
      return;
    }
    case 'parquet':
      yield* parquetUnits(path, unitBytes, options.columns);
      return;
    case 'arrow':
      yield* arrowUnits(path, unitBytes, options.columns);
      return;
  }
}

function* lineUnits(
  file: DataFile,
  layout: LineUnit['layout'],
  unitBytes: number,
): Generator<LineUnit, void, undefined> {
  for (let begin = 0; begin < file.bytes; begin += unitBytes) {
    const end = Math.min(begin + unitBytes, file.bytes);
    yield { kind: 'lines', path: file.path, layout, begin, end };
  }
}

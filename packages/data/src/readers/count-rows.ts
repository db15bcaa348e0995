/** Counts the rows of data files without parsing them. */
import { throwIfAborted } from '@tuneyard/core';
import { openArrow } from './columnar/arrow/arrow-file.js';
import { openParquet } from './columnar/parquet/parquet-file.js';
import type { DataFile } from './data-file.js';
import { countLineRows, createLineRowCount, finishLineRows } from './kernels/count-line-rows.js';
import { DEFAULT_UNIT_BYTES } from './limits.js';
import { readTextChunks } from './streams/file-bytes.js';
import { countCsvRows } from './text/cut-csv.js';
import { cutJsonArray } from './text/cut-json-array.js';

/** Options of {@link countRows}. */
export interface CountRowsOptions {
  readonly signal?: AbortSignal;
}

/**
 * Counts the rows of files exactly as reading them does: malformed records count, blank lines and header rows do not.
 *
 * Cost: lines and CSV are scanned at memory speed, columnar files give the count in their metadata.
 * Throws: the codes of {@link planReadUnits}.
 */
export async function countRows(
  files: readonly DataFile[],
  options: CountRowsOptions = {},
): Promise<number> {
  let rows = 0;
  for (const file of files) {
    throwIfAborted(options.signal);
    rows += await countFileRows(file, options.signal);
  }
  return rows;
}

async function countFileRows(file: DataFile, signal: AbortSignal | undefined): Promise<number> {
  const chunks = () => readTextChunks(file.path, file.compression, signal);
  switch (file.layout) {
    case 'json-lines':
    case 'text-lines': {
      const count = createLineRowCount();
      for await (const chunk of chunks()) countLineRows(count, chunk);
      return finishLineRows(count);
    }
    case 'json-array': {
      let rows = 0;
      for await (const unit of cutJsonArray(chunks(), file.path, DEFAULT_UNIT_BYTES)) {
        rows += unit.recordLines?.length ?? 0;
      }
      return rows;
    }
    case 'csv':
    case 'tsv': {
      const delimiter = file.layout === 'csv' ? ',' : '\t';
      return countCsvRows(chunks(), { path: file.path, delimiter, unitBytes: DEFAULT_UNIT_BYTES });
    }
    case 'parquet':
      return openParquet(file.path).rows;
    case 'arrow':
      return openArrow(file.path).rows;
  }
}

/**
 * Units of reading: a data set is cut into pieces of about equal size that workers read on their own.
 *
 * The cut depends on the files and the unit size alone, never on the number of workers, so that what is written
 * does not depend on it either.
 */

/** Bytes [begin, end) of a line-based file; a line belongs to the unit in which its first byte lies. */
export interface LineUnit {
  readonly kind: 'lines';
  readonly path: string;
  readonly layout: 'json-lines' | 'text-lines';
  readonly begin: number;
  readonly end: number;
}

/** Rows [begin, end) of a columnar file, 0-based; whole row groups or record batches. */
export interface RowUnit {
  readonly kind: 'rows';
  readonly path: string;
  readonly layout: 'parquet' | 'arrow';
  readonly begin: number;
  readonly end: number;
}

/**
 * Records cut out of a stream that cannot be entered in the middle (compressed, JSON array, CSV). `bytes` owns its
 * memory and is handed to a worker by transfer.
 */
export interface RecordUnit {
  readonly kind: 'records';
  readonly path: string;
  /** One JSON value per line, one text per line, or CSV records (whose quoted fields may hold line ends). */
  readonly layout: 'json-lines' | 'text-lines' | 'delimited';
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** 1-based line of the file on which the unit begins. */
  readonly firstLine: number;
  /** Line of the file on which each record begins; null where line n of `bytes` is line firstLine + n - 1. */
  readonly recordLines: Int32Array | null;
  /** What the fields of `delimited` records are called and parted by; null for the other layouts. */
  readonly table: DelimitedTable | null;
}

/** The header of a CSV or TSV file. */
export interface DelimitedTable {
  readonly columns: readonly string[];
  readonly delimiter: ',' | '\t';
}

/** One piece of work for a worker. */
export type ReadUnit = LineUnit | RowUnit | RecordUnit;

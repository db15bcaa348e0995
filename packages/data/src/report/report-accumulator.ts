/**
 * Adds up what became of rows, unit by unit, on any thread.
 *
 * All that is added are whole numbers and the beginnings of lists, so merging is associative: partial reports merged
 * in the order of the rows give, byte for byte, the report of one pass, however the rows were cut into parts.
 */
import { REJECT_BUCKETS, type RejectBucket, type RowOrigin } from '../handlers/conversation.js';
import {
  type CountedRows,
  type DroppedRow,
  type DroppedRows,
  type PartialReport,
  ROWS_LISTED,
  type SourceCounts,
  type SplitRow,
  type TruncatedRow,
} from './data-report.js';
import { countedLength, storedCounts } from './length-counts.js';

/** What is counted of a sample. */
export interface SampleSize {
  /** Tokens, after cutting. */
  readonly length: number;
  /** Tokens that are learned. */
  readonly learned: number;
  /** Tokens before cutting. */
  readonly fullLength: number;
}

/** Why a row gave no sample. */
export interface RowRejection {
  readonly bucket: RejectBucket;
  readonly reason: string;
}

/** Adds up rows. */
export interface ReportAccumulator {
  /** Counts a row and its samples, one or more. */
  addRow(place: RowOrigin, samples: readonly SampleSize[]): void;
  /** Counts a row that gave no sample. */
  addRejected(place: RowOrigin, rejection: RowRejection): void;
  /**
   * Takes back a row that was counted with its samples and counts it as rejected, for what is known only when parts
   * meet, such as repeated rows. Its place is as it stands in the lists.
   */
  rejectAdded(place: RowOrigin, samples: readonly SampleSize[], rejection: RowRejection): void;
  /** Adds the account of the rows that come next; `rowOffset` is added to its row numbers. */
  merge(partial: PartialReport, rowOffset?: number): void;
  /** What was counted so far. */
  snapshot(): PartialReport;
}

/** Starts an account, at nothing or where another one stands. */
export function createReportAccumulator(start?: PartialReport): ReportAccumulator {
  const account = new Account();
  if (start !== undefined) account.merge(start);
  return account;
}

type MutableCounts = { -readonly [key in keyof SourceCounts]: SourceCounts[key] };
type Sums = Omit<MutableCounts, 'source' | 'longest'>;
type MutableRows<Row> = { count: number; rows: Row[] };

class Account implements ReportAccumulator {
  readonly #sources = new Map<string, MutableCounts>();
  readonly #lengths = new Map<number, number>();
  readonly #truncated: MutableRows<TruncatedRow> = { count: 0, rows: [] };
  readonly #split: MutableRows<SplitRow> = { count: 0, rows: [] };
  readonly #dropped = new Map<RejectBucket, MutableRows<DroppedRow>>();

  addRow(place: RowOrigin, samples: readonly SampleSize[]): void {
    const { source, row } = place;
    this.#addSums(source, samples, 1);
    if (samples.length > 1) listRow(this.#split, { source, row, samples: samples.length });
    for (const { length, fullLength } of samples) {
      this.#countLength(countedLength(length), 1);
      if (fullLength <= length) continue;
      listRow(this.#truncated, { source, row, tokensBefore: fullLength, tokensAfter: length });
    }
  }

  addRejected(place: RowOrigin, rejection: RowRejection): void {
    const counts = this.#countsOf(place.source);
    counts.rows++;
    counts.dropped++;
    const { source, row } = place;
    listRow(this.#rowsOf(rejection.bucket), { source, row, reason: rejection.reason });
  }

  rejectAdded(place: RowOrigin, samples: readonly SampleSize[], rejection: RowRejection): void {
    this.#addSums(place.source, samples, -1);
    for (const { length } of samples) this.#countLength(countedLength(length), -1);
    if (samples.length > 1) unlistRows(this.#split, place, 1);
    const cut = samples.filter(({ length, fullLength }) => fullLength > length).length;
    if (cut > 0) unlistRows(this.#truncated, place, cut);
    this.addRejected(place, rejection);
  }

  merge(partial: PartialReport, rowOffset = 0): void {
    for (const { source, longest, ...sums } of partial.sources) {
      const counts = this.#countsOf(source);
      for (const key of Object.keys(sums) as (keyof Sums)[]) counts[key] += sums[key];
      counts.longest = Math.max(counts.longest, longest);
    }
    for (let i = 0; i + 1 < partial.lengths.length; i += 2) {
      this.#countLength(partial.lengths[i] ?? 0, partial.lengths[i + 1] ?? 0);
    }
    appendRows(this.#truncated, partial.truncated, rowOffset);
    appendRows(this.#split, partial.split, rowOffset);
    for (const bucket of REJECT_BUCKETS) {
      const dropped = partial.dropped[bucket];
      if (dropped !== undefined) appendRows(this.#rowsOf(bucket), dropped, rowOffset);
    }
  }

  snapshot(): PartialReport {
    return {
      sources: [...this.#sources.values()].map((counts) => ({ ...counts })),
      lengths: storedCounts(this.#lengths),
      truncated: { ...this.#truncated, rows: [...this.#truncated.rows] },
      split: { ...this.#split, rows: [...this.#split.rows] },
      dropped: this.#droppedRows(),
    };
  }

  /** Buckets in the order of {@link REJECT_BUCKETS}, so that their order does not depend on the data. */
  #droppedRows(): DroppedRows {
    const dropped: { [bucket in RejectBucket]?: CountedRows<DroppedRow> } = {};
    for (const bucket of REJECT_BUCKETS) {
      const found = this.#dropped.get(bucket);
      if (found !== undefined) dropped[bucket] = { count: found.count, rows: [...found.rows] };
    }
    return dropped;
  }

  #addSums(source: string, samples: readonly SampleSize[], times: 1 | -1): void {
    const counts = this.#countsOf(source);
    counts.rows += times;
    counts.keptRows += times;
    counts.samples += times * samples.length;
    if (samples.length > 1) counts.split += times;
    for (const { length, learned, fullLength } of samples) {
      counts.tokens += times * length;
      counts.learnedTokens += times * learned;
      if (fullLength > length) counts.truncated += times;
      // Taking a row back leaves the longest as it is: its twin, which stays, is as long.
      if (length > counts.longest) counts.longest = length;
    }
  }

  #countLength(length: number, count: number): void {
    this.#lengths.set(length, (this.#lengths.get(length) ?? 0) + count);
  }

  #countsOf(source: string): MutableCounts {
    let counts = this.#sources.get(source);
    if (counts === undefined) {
      counts = { source, ...NOTHING };
      this.#sources.set(source, counts);
    }
    return counts;
  }

  #rowsOf(bucket: RejectBucket): MutableRows<DroppedRow> {
    let rows = this.#dropped.get(bucket);
    if (rows === undefined) {
      rows = { count: 0, rows: [] };
      this.#dropped.set(bucket, rows);
    }
    return rows;
  }
}

const NOTHING: Omit<SourceCounts, 'source'> = {
  rows: 0,
  keptRows: 0,
  dropped: 0,
  samples: 0,
  truncated: 0,
  split: 0,
  tokens: 0,
  learnedTokens: 0,
  longest: 0,
};

function listRow<Row>(list: MutableRows<Row>, row: Row): void {
  list.count++;
  if (list.rows.length < ROWS_LISTED) list.rows.push(row);
}

function appendRows<Row extends RowOrigin>(
  list: MutableRows<Row>,
  next: CountedRows<Row>,
  rowOffset: number,
): void {
  list.count += next.count;
  const room = ROWS_LISTED - list.rows.length;
  for (const row of next.rows.slice(0, room)) {
    list.rows.push(rowOffset === 0 ? row : { ...row, row: row.row + rowOffset });
  }
}

function unlistRows<Row extends RowOrigin>(
  list: MutableRows<Row>,
  place: RowOrigin,
  count: number,
): void {
  list.count -= count;
  list.rows = list.rows.filter(({ source, row }) => source !== place.source || row !== place.row);
}

/** The account of a preparation: every row that was read ends in exactly one place of it. */
import type { RejectBucket, RejectedRecord, RowOrigin } from '../handlers/conversation.js';
import { planPacks } from '../packing/pack-rows.js';
import { countLearned, type TokenizedSample } from './samples.js';

/** A row that was left out, with the reason. */
export interface DroppedRow extends RowOrigin {
  readonly reason: string;
}

/** A row that was cut. */
export interface TruncatedRow extends RowOrigin {
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

/** One bar of the length histogram: lengths in [from, to]. */
export interface LengthBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** What became of a data set's rows. Written as `data_report.json` beside the tokens. */
export interface DataReport {
  /** Records read, good and bad. `rows` = `keptRows` + the sum of `dropped` counts. */
  readonly rows: number;
  readonly keptRows: number;
  /** Samples made; more than `keptRows` where long documents were cut into several. */
  readonly samples: number;
  readonly truncated: { readonly count: number; readonly rows: readonly TruncatedRow[] };
  readonly dropped: {
    readonly [bucket in RejectBucket]?: {
      readonly count: number;
      readonly rows: readonly DroppedRow[];
    };
  };
  readonly tokens: number;
  readonly learnedTokens: number;
  readonly longest: number;
  readonly lengthHistogram: readonly LengthBin[];
  /** Share of padding if every sample were padded to the longest, in [0, 1). */
  readonly paddingShare: number;
  /** Rows after packing to the cutoff, and the share of their capacity left empty; null = not packed. */
  readonly packing: {
    readonly rows: number;
    readonly capacity: number;
    readonly emptyShare: number;
  } | null;
}

/** What {@link buildDataReport} counts. */
export interface ReportInput {
  readonly rows: number;
  readonly keptRows: number;
  readonly samples: readonly TokenizedSample[];
  readonly truncated: readonly TruncatedRow[];
  readonly rejected: readonly RejectedRecord[];
  /** Capacity of packed rows; null = not packed. */
  readonly packCapacity: number | null;
}

/** Bars of the length histogram. */
const HISTOGRAM_BINS = 16;

/** Adds up a preparation. */
export function buildDataReport(input: ReportInput): DataReport {
  const lengths = input.samples.map((sample) => sample.ids.length);
  const tokens = sum(lengths);
  const longest = lengths.reduce((a, b) => Math.max(a, b), 0);
  const padded = longest * lengths.length;
  return {
    rows: input.rows,
    keptRows: input.keptRows,
    samples: lengths.length,
    truncated: { count: input.truncated.length, rows: input.truncated },
    dropped: groupRejected(input.rejected),
    tokens,
    learnedTokens: sum(input.samples.map((sample) => countLearned(sample.learned))),
    longest,
    lengthHistogram: lengthHistogram(lengths),
    paddingShare: padded === 0 ? 0 : 1 - tokens / padded,
    packing: packingOf(lengths, tokens, input.packCapacity),
  };
}

/** Drops all but the first `limit` rows of each list, for a terminal; counts stay. */
export function summarizeReport(report: DataReport, limit = 20): DataReport {
  const dropped = Object.fromEntries(
    Object.entries(report.dropped).map(([bucket, { count, rows }]) => [
      bucket,
      { count, rows: rows.slice(0, limit) },
    ]),
  );
  const rows = report.truncated.rows.slice(0, limit);
  return { ...report, dropped, truncated: { count: report.truncated.count, rows } };
}

function groupRejected(rejected: readonly RejectedRecord[]): DataReport['dropped'] {
  const groups = new Map<RejectBucket, DroppedRow[]>();
  for (const { bucket, source, row, reason } of rejected) {
    const rows = groups.get(bucket) ?? [];
    rows.push({ source, row, reason });
    groups.set(bucket, rows);
  }
  return Object.fromEntries(
    [...groups].map(([bucket, rows]) => [bucket, { count: rows.length, rows }]),
  );
}

/** Equal bins from 1 to the longest; widths are whole tokens. */
function lengthHistogram(lengths: readonly number[]): LengthBin[] {
  const longest = lengths.reduce((a, b) => Math.max(a, b), 0);
  if (longest === 0) return [];
  const width = Math.ceil(longest / HISTOGRAM_BINS);
  const counts = new Array<number>(Math.ceil(longest / width)).fill(0);
  for (const length of lengths) {
    const bin = Math.max(0, Math.ceil(length / width) - 1);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts.map((count, bin) => ({ from: bin * width + 1, to: (bin + 1) * width, count }));
}

function packingOf(
  lengths: readonly number[],
  tokens: number,
  capacity: number | null,
): DataReport['packing'] {
  if (capacity === null || lengths.length === 0) return null;
  const rows = planPacks(lengths, capacity).length;
  return { rows, capacity, emptyShare: 1 - tokens / (rows * capacity) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

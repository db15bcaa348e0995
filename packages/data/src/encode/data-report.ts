/** The report of samples that are all in memory. */
import type { RejectedRecord } from '../handlers/conversation.js';
import {
  type DataReport,
  type PartialReport,
  ROWS_LISTED,
  type TruncatedRow,
} from '../report/data-report.js';
import { finishReport } from '../report/finish-report.js';
import { createReportAccumulator } from '../report/report-accumulator.js';
import { countLearned, type TokenizedSample } from './samples.js';

export type { DataReport, TruncatedRow } from '../report/data-report.js';

/** What {@link buildDataReport} counts. */
export interface ReportInput {
  readonly rows: number;
  readonly keptRows: number;
  readonly samples: readonly TokenizedSample[];
  readonly truncated: readonly TruncatedRow[];
  readonly rejected: readonly RejectedRecord[];
  /** Capacity of packed rows; null = not packed. */
  readonly packCapacity: number | null;
  /** Tokens that samples are padded to without packing; null or left out = no cutoff. */
  readonly cutoffLength?: number | null;
}

/** Adds up a preparation. Samples of one row stand side by side. */
export function buildDataReport(input: ReportInput): DataReport {
  const account = createReportAccumulator();
  for (const samples of byRow(input.samples)) {
    const { source, row } = samples[0] as TokenizedSample;
    const sizes = samples.map(({ ids, learned }) => ({
      length: ids.length,
      learned: countLearned(learned),
      fullLength: ids.length,
    }));
    account.addRow({ source, row }, sizes);
  }
  for (const rejected of input.rejected) account.addRejected(rejected, rejected);
  const { packCapacity, cutoffLength = null, rows, keptRows } = input;
  const packing = packCapacity === null ? null : { capacity: packCapacity };
  const partial = withTruncated(account.snapshot(), input.truncated);
  return { ...finishReport(partial, { cutoffLength, packing }), rows, keptRows };
}

/** Drops all but the first `limit` rows of each list, for a terminal; counts stay. */
export function summarizeReport(report: DataReport, limit = 20): DataReport {
  const shorten = <Row>({ count, rows }: { count: number; rows: readonly Row[] }) => ({
    count,
    rows: rows.slice(0, limit),
  });
  const dropped = Object.fromEntries(
    Object.entries(report.dropped).map(([bucket, counted]) => [bucket, shorten(counted)]),
  );
  return {
    ...report,
    rowsListed: Math.min(report.rowsListed, limit),
    dropped,
    truncated: shorten(report.truncated),
    split: shorten(report.split),
  };
}

function* byRow(samples: readonly TokenizedSample[]): Generator<readonly TokenizedSample[]> {
  for (let begin = 0, end = 0; begin < samples.length; begin = end) {
    const { row, source } = samples[begin] as TokenizedSample;
    const isSameRow = (at: number): boolean =>
      samples[at]?.row === row && samples[at]?.source === source;
    for (end = begin + 1; isSameRow(end); end++);
    yield samples.slice(begin, end);
  }
}

/** Samples in memory do not know what was cut off them; the list does. */
function withTruncated(partial: PartialReport, truncated: readonly TruncatedRow[]): PartialReport {
  const cut = new Map<string, number>();
  for (const { source } of truncated) cut.set(source, (cut.get(source) ?? 0) + 1);
  return {
    ...partial,
    sources: partial.sources.map((counts) => ({
      ...counts,
      truncated: cut.get(counts.source) ?? 0,
    })),
    truncated: { count: truncated.length, rows: truncated.slice(0, ROWS_LISTED) },
  };
}

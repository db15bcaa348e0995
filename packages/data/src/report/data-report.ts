/**
 * The account of a preparation: every row that was read ends in exactly one place of it.
 *
 * A {@link DataReport} is for readers, a {@link PartialReport} is what it is added up from: plain data that crosses
 * threads, is stored beside a part, and merges so that any cut of the work gives the same report.
 */
import type { RejectBucket, RowOrigin } from '../handlers/conversation.js';

/** A row that was left out, with the reason. */
export interface DroppedRow extends RowOrigin {
  readonly reason: string;
}

/** A sample that was cut. */
export interface TruncatedRow extends RowOrigin {
  readonly tokensBefore: number;
  readonly tokensAfter: number;
}

/** A row that gave several samples: a long text cut into pieces, or a dialogue with one sample per turn. */
export interface SplitRow extends RowOrigin {
  readonly samples: number;
}

/** An exact count with the first of what was counted, at most {@link ROWS_LISTED}. */
export interface CountedRows<Row> {
  readonly count: number;
  readonly rows: readonly Row[];
}

/** Rows that were left out, by the reason. */
export type DroppedRows = { readonly [bucket in RejectBucket]?: CountedRows<DroppedRow> };

/** Rows that each list of a report names; the counts beside them are exact. */
export const ROWS_LISTED = 1000;

/** One bar of the length histogram: lengths in [from, to]. */
export interface LengthBin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** What became of the rows of one data set. `rows` = `keptRows` + `dropped`. */
export interface SourceCounts {
  /** Name of the data set. */
  readonly source: string;
  readonly rows: number;
  readonly keptRows: number;
  readonly dropped: number;
  readonly samples: number;
  readonly truncated: number;
  readonly split: number;
  readonly tokens: number;
  readonly learnedTokens: number;
  readonly longest: number;
}

/** The account of a part of the work. Plain JSON. */
export interface PartialReport {
  /** In the order in which data sets were met first. */
  readonly sources: readonly SourceCounts[];
  /** length, count, length, count, …; ascending lengths, rounded as `length-counts.ts` says. */
  readonly lengths: readonly number[];
  readonly truncated: CountedRows<TruncatedRow>;
  readonly split: CountedRows<SplitRow>;
  readonly dropped: DroppedRows;
}

/** How full packed rows are. */
export interface PackingSummary {
  readonly rows: number;
  /** Tokens that a row holds. */
  readonly capacity: number;
  /** Share of all capacity left empty, in [0, 1). */
  readonly emptyShare: number;
}

/** What became of a preparation's rows. Written as `data_report.json` beside the tokens. */
export interface DataReport {
  /** Records read, good and bad. `rows` = `keptRows` + the sum of `dropped` counts. */
  readonly rows: number;
  readonly keptRows: number;
  /** Samples made; more than `keptRows` where rows gave several. */
  readonly samples: number;
  /** Each list of rows in this report ends after so many; its count goes on. */
  readonly rowsListed: number;
  readonly truncated: CountedRows<TruncatedRow>;
  readonly split: CountedRows<SplitRow>;
  readonly dropped: DroppedRows;
  readonly tokens: number;
  readonly learnedTokens: number;
  readonly longest: number;
  /** Equal bins from 1 to the longest. Lengths above 65,536 are placed to within 1.6 %. */
  readonly lengthHistogram: readonly LengthBin[];
  /** Share of padding if every sample were padded to the longest, in [0, 1). */
  readonly paddingShare: number;
  /** Share of padding if every sample were padded to the cutoff; null = no cutoff was set. */
  readonly paddingShareAtCutoff: number | null;
  /** Rows after packing to the cutoff, and the share of their capacity left empty; null = not packed. */
  readonly packing: PackingSummary | null;
  /** The same counts per data set, in the order in which they were read. */
  readonly datasets: readonly SourceCounts[];
}

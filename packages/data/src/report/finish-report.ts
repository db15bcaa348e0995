/** Turns the sums of an account into what is read: shares, bars and rows after packing. */
import type { DataReport, PackingSummary, PartialReport, SourceCounts } from './data-report.js';
import { ROWS_LISTED } from './data-report.js';
import { binLengths, countPacks } from './length-counts.js';

/** What the report says about padding and packing. */
export interface FinishOptions {
  /** Tokens that samples are padded to without packing; null or left out = no cutoff. */
  readonly cutoffLength?: number | null;
  /**
   * How samples were packed; null or left out = not. Without `rows`, those of the greedy packing of `planPacks` are
   * counted. `tokens`: what the rows hold, where that is not what the account counted, as after a split or a mix.
   */
  readonly packing?: {
    readonly capacity: number;
    readonly rows?: number;
    readonly tokens?: number;
  } | null;
}

/**
 * Finishes an account.
 *
 * Throws: `DATA_ROW_TOO_LONG` when rows after packing are counted and a sample does not fit.
 */
export function finishReport(partial: PartialReport, options: FinishOptions = {}): DataReport {
  const { sources, truncated, split, dropped } = partial;
  const total = (key: Exclude<keyof SourceCounts, 'source'>): number =>
    sources.reduce((sum, counts) => sum + counts[key], 0);
  const lengths = lengthMap(partial.lengths);
  const samples = total('samples');
  const tokens = total('tokens');
  const longest = sources.reduce((most, counts) => Math.max(most, counts.longest), 0);
  const paddingTo = (length: number): number =>
    samples === 0 || length === 0 ? 0 : Math.max(0, 1 - tokens / (samples * length));
  const { cutoffLength = null } = options;
  return {
    rows: total('rows'),
    keptRows: total('keptRows'),
    samples,
    rowsListed: ROWS_LISTED,
    truncated,
    split,
    dropped,
    tokens,
    learnedTokens: total('learnedTokens'),
    longest,
    lengthHistogram: binLengths(lengths, longest),
    paddingShare: paddingTo(longest),
    paddingShareAtCutoff: cutoffLength === null ? null : paddingTo(cutoffLength),
    packing: packingOf(lengths, tokens, options.packing ?? null),
    datasets: sources,
  };
}

function packingOf(
  lengths: ReadonlyMap<number, number>,
  counted: number,
  packing: NonNullable<FinishOptions['packing']> | null,
): PackingSummary | null {
  if (packing === null || lengths.size === 0) return null;
  const { capacity, tokens = counted } = packing;
  const rows = packing.rows ?? countPacks(lengths, capacity).rows;
  return { rows, capacity, emptyShare: rows === 0 ? 0 : 1 - tokens / (rows * capacity) };
}

function lengthMap(stored: readonly number[]): ReadonlyMap<number, number> {
  const lengths = new Map<number, number>();
  for (let i = 0; i + 1 < stored.length; i += 2) lengths.set(stored[i] ?? 0, stored[i + 1] ?? 0);
  return lengths;
}

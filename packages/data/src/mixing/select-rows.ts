/**
 * Which rows of one data set are read, and in which order, before data sets are mixed.
 *
 * In the order of LLaMA-Factory 0.9.3: the slices of `split`, then `num_samples` rows drawn from them, then the first
 * `max_samples` of what is left. `num_samples` takes every row once in random order, and when more are asked for than
 * there are, draws the rest with repeats. `max_samples` only ever cuts.
 */
import type { LegacyRandom } from './legacy-random.js';
import { parseSplit, type RowRange, rangesOfSlices } from './split-slices.js';

/** What {@link selectRows} selects from. */
export interface SelectOptions {
  /** Rows of the data set's files. */
  readonly count: number;
  /** A split or slices of it; the count is that of the split. Default `train`. */
  readonly split?: string;
  /** Rows to draw; null or left out = all, in order. */
  readonly numSamples?: number | null;
  /** Rows to keep at most; null or left out = all. */
  readonly maxSamples?: number | null;
  /**
   * Draws `num_samples`; one generator, seeded with the training seed, serves all data sets in the order in which they
   * are named. Rows then are LLaMA-Factory's, as long as nothing there drew from NumPy's global generator before.
   */
  readonly random: LegacyRandom;
}

/** Rows of one data set in the order of reading. */
export interface RowSelection {
  /** Rows selected, repeated ones included. */
  readonly count: number;
  /** The 0-based rows in order, where they were drawn; null = the ranges. */
  readonly rows: Int32Array | null;
  /** Where nothing was drawn: the rows, as ranges in order. */
  readonly ranges: readonly RowRange[];
}

/** Selects rows. Throws: `DATA_BAD_OPTION` for a split that cannot be read. Cost: with a draw, 4 bytes a row. */
export function selectRows(options: SelectOptions): RowSelection {
  const { numSamples = null, maxSamples = null } = options;
  const slices = parseSplit(options.split ?? 'train');
  const ranges = rangesOfSlices(slices, options.count).filter(({ begin, end }) => end > begin);
  const available = ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
  if (numSamples === null || available === 0) {
    const kept = firstRows(ranges, maxSamples ?? available);
    return { count: Math.min(available, maxSamples ?? available), rows: null, ranges: kept };
  }
  const drawn = drawRows(available, numSamples, options.random);
  const kept = maxSamples === null ? drawn : drawn.subarray(0, maxSamples);
  const isWhole = ranges.length === 1 && ranges[0]?.begin === 0;
  const rows = isWhole ? kept : kept.map((row) => rowInRanges(ranges, row));
  return { count: rows.length, rows, ranges: [] };
}

/** `count` rows of `available`: every row once in random order, then more of them with repeats. */
function drawRows(available: number, count: number, random: LegacyRandom): Int32Array {
  const once = random.permutation(available).subarray(0, count);
  const missing = count - once.length;
  if (missing === 0) return once;
  const rows = new Int32Array(count);
  rows.set(once);
  rows.set(random.choice(available, missing), once.length);
  return rows;
}

function firstRows(ranges: readonly RowRange[], limit: number): RowRange[] {
  const kept: RowRange[] = [];
  let room = limit;
  for (const { begin, end } of ranges) {
    if (room <= 0) break;
    kept.push({ begin, end: Math.min(end, begin + room) });
    room -= end - begin;
  }
  return kept;
}

function rowInRanges(ranges: readonly RowRange[], at: number): number {
  let left = at;
  for (const { begin, end } of ranges) {
    if (left < end - begin) return begin + left;
    left -= end - begin;
  }
  return -1;
}

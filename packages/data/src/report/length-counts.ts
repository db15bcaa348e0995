/**
 * A histogram of sample lengths that adds up exactly.
 *
 * Up to {@link EXACT_LENGTH} every length has its own count. Above, lengths share a count with those that agree in
 * their first seven bits, so a length is known to within 1/64; a corpus of whole books stays small in memory.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import type { LengthBin, PackingSummary } from './data-report.js';

/** The longest length that is counted as it is. */
export const EXACT_LENGTH = 65_536;

/** Bars of the length histogram. */
const HISTOGRAM_BINS = 16;

/** The length under which a sample is counted: itself, or the shortest that shares its count. */
export function countedLength(length: number): number {
  if (length <= EXACT_LENGTH) return length;
  const step = 2 ** (Math.floor(Math.log2(length)) - 6);
  return Math.floor(length / step) * step;
}

/** Counts as they are stored: length, count, length, count, …; ascending lengths. */
export function storedCounts(counts: ReadonlyMap<number, number>): number[] {
  return [...counts]
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => a - b)
    .flat();
}

/** Equal bins from 1 to the longest; widths are whole tokens. */
export function binLengths(counts: ReadonlyMap<number, number>, longest: number): LengthBin[] {
  if (longest === 0) return [];
  const width = Math.ceil(longest / HISTOGRAM_BINS);
  const bins = new Array<number>(Math.ceil(longest / width)).fill(0);
  for (const [length, count] of counts) {
    const bin = Math.max(0, Math.ceil(length / width) - 1);
    bins[bin] = (bins[bin] ?? 0) + count;
  }
  return bins.map((count, bin) => ({ from: bin * width + 1, to: (bin + 1) * width, count }));
}

/**
 * How full rows of a capacity become when they are packed greedily, the largest sample that fits first: the number of
 * rows that `planPacks` would plan, from counts alone.
 *
 * Cost: one step per different row and length in it, so repeated rows cost nothing.
 * Throws: `DATA_ROW_TOO_LONG` when a length is 0 or above the capacity, which would never fit.
 */
export function countPacks(
  counts: ReadonlyMap<number, number>,
  capacity: number,
): Pick<PackingSummary, 'rows' | 'capacity'> {
  const left = new Map<number, number>();
  const lengths = [...counts.keys()].sort((a, b) => b - a);
  for (const length of lengths) {
    if (length < 1 || length > capacity) throw doesNotFit(length, capacity);
    left.set(length, counts.get(length) ?? 0);
  }
  let rows = 0;
  for (const length of lengths) {
    for (let count = left.get(length) ?? 0; count > 0; count = left.get(length) ?? 0) {
      rows += takeRows(left, lengths, capacity);
    }
  }
  return { rows, capacity };
}

/** Plans one row, takes it as often as its lengths last, and returns how often. */
function takeRows(left: Map<number, number>, lengths: readonly number[], capacity: number): number {
  const row: { readonly length: number; readonly uses: number }[] = [];
  let room = capacity;
  for (const length of lengths) {
    if (room === 0) break;
    const uses = Math.min(left.get(length) ?? 0, Math.floor(room / length));
    if (uses === 0) continue;
    row.push({ length, uses });
    room -= uses * length;
  }
  const times = row.reduce(
    (least, { length, uses }) => Math.min(least, Math.floor((left.get(length) ?? 0) / uses)),
    Number.POSITIVE_INFINITY,
  );
  for (const { length, uses } of row) left.set(length, (left.get(length) ?? 0) - times * uses);
  return times;
}

function doesNotFit(length: number, capacity: number): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_ROW_TOO_LONG,
    `A sample has ${length} tokens; a packed row holds 1 to ${capacity}`,
    { details: { length, capacity }, hint: 'Filter or cut samples before packing.' },
  );
}

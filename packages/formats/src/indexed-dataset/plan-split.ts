/** Plans which documents of a data set go to which part. */
import { createRng, TuneyardError } from '@tuneyard/core';
import { INDEXED_DATASET_ERRORS } from '../errors.js';

/** Which documents go to which part; the same plan fits every field of a token set. */
export interface DocumentSplit {
  readonly documents: number;
  /** Runs of documents of each part, in the order of the data set. */
  readonly parts: readonly (readonly { readonly first: number; readonly end: number }[])[];
}

/** How a data set is divided. */
export type SplitSizes =
  /** Shares of the documents, scaled to a sum of 1: `949, 50, 1` is the same as `0.949, 0.05, 0.001`. */
  | { readonly fractions: readonly number[] }
  /** Documents of each part; what is left goes nowhere. */
  | { readonly counts: readonly number[] };

/**
 * Plans a split by documents: consecutive runs in the order of the data set, as Megatron's `--split` takes them, or with
 * a seed documents drawn at random, each part in the order of the data set.
 *
 * Throws: `INDEXED_DATASET_BAD_SPLIT`.
 */
export function planDocumentSplit(
  documents: number,
  sizes: SplitSizes,
  options: { readonly seed?: number } = {},
): DocumentSplit {
  const counts = 'counts' in sizes ? sizes.counts : countsOf(documents, sizes.fractions);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const isWhole = counts.every((count) => Number.isSafeInteger(count) && count >= 0);
  if (counts.length === 0 || !isWhole || total > documents) {
    throw badSplit(`parts of ${counts.join(', ')} documents do not fit ${documents}`);
  }
  const { seed } = options;
  return {
    documents,
    parts: seed === undefined ? runsOf(counts) : drawnRuns(documents, counts, seed),
  };
}

/**
 * Ends of the parts are cumulative shares rounded half to even, as megatron-core 0.12.1 takes the documents of
 * `--split`.
 */
function countsOf(documents: number, fractions: readonly number[]): number[] {
  const sum = fractions.reduce((total, fraction) => total + fraction, 0);
  const isUsable = fractions.every((fraction) => Number.isFinite(fraction) && fraction >= 0);
  if (!isUsable || !(sum > 0)) throw badSplit(`shares ${fractions.join(', ')} are not positive`);
  let before = 0;
  let share = 0;
  return fractions.map((fraction) => {
    share += fraction / sum;
    const end = Math.min(documents, roundHalfEven(share * documents));
    const count = end - before;
    before = end;
    return count;
  });
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function runsOf(counts: readonly number[]): { first: number; end: number }[][] {
  let at = 0;
  return counts.map((count) => {
    const first = at;
    at += count;
    return count === 0 ? [] : [{ first, end: at }];
  });
}

function drawnRuns(
  documents: number,
  counts: readonly number[],
  seed: number,
): { first: number; end: number }[][] {
  const order = Float64Array.from({ length: documents }, (_, i) => i);
  const rng = createRng(seed);
  for (let i = documents - 1; i > 0; i--) {
    const j = rng.nextInt(i + 1);
    const kept = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = kept;
  }
  return runsOf(counts).map((runs) =>
    runs.flatMap(({ first, end }) => joinRuns(order.slice(first, end).sort())),
  );
}

function joinRuns(sorted: Float64Array): { first: number; end: number }[] {
  const runs: { first: number; end: number }[] = [];
  for (const document of sorted) {
    const last = runs.at(-1);
    if (last?.end === document) last.end = document + 1;
    else runs.push({ first: document, end: document + 1 });
  }
  return runs;
}

/** Makes the error of a split that does not fit its data set. */
export function badSplit(what: string): TuneyardError {
  return new TuneyardError(
    INDEXED_DATASET_ERRORS.INDEXED_DATASET_BAD_SPLIT,
    `Cannot split the data set: ${what}`,
    { details: { what } },
  );
}

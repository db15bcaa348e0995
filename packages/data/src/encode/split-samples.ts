/** Holds samples out for validation. */
import { createRng, TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** The two parts of a split, each in source order. */
export interface SampleSplit<T> {
  readonly train: readonly T[];
  readonly validation: readonly T[];
}

/**
 * Draws the held-out samples without replacement; the same seed and length give the same split.
 *
 * `valSize`: a whole number of samples, or a share in (0, 1) rounded to the nearest count, at least one;
 * 0 = none. Throws: `DATA_BAD_OPTION` when nothing would be left to train on.
 */
export function splitSamples<T>(
  samples: readonly T[],
  valSize: number,
  seed: number,
): SampleSplit<T> {
  const count = heldOutCount(samples.length, valSize);
  const order = samples.map((_, index) => index);
  createRng(seed).shuffle(order);
  const held = new Set(order.slice(0, count));
  return {
    train: samples.filter((_, index) => !held.has(index)),
    validation: samples.filter((_, index) => held.has(index)),
  };
}

function heldOutCount(total: number, valSize: number): number {
  const isShare = valSize > 0 && valSize < 1;
  const count = isShare ? Math.max(1, Math.round(total * valSize)) : valSize;
  if (Number.isSafeInteger(count) && count >= 0 && (count < total || count === 0)) return count;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `val_size ${valSize} does not fit ${total} samples; it is a count below that, or a share in (0, 1)`,
    { details: { valSize, samples: total } },
  );
}

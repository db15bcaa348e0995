/** Holds samples out for validation. */
import { planSplit } from '../mixing/plan-split.js';

/** The two parts of a split, each in source order. */
export interface SampleSplit<T> {
  readonly train: readonly T[];
  readonly validation: readonly T[];
}

/**
 * Draws the held-out samples without replacement; the same seed and length give the same split, and the same samples
 * as Hugging Face `train_test_split`, though in source order.
 *
 * `valSize`: a whole number of samples, or a share in (0, 1) rounded up; 0 = none.
 * Throws: `DATA_BAD_OPTION` when nothing would be left to train on.
 */
export function splitSamples<T>(
  samples: readonly T[],
  valSize: number,
  seed: number,
): SampleSplit<T> {
  const held = new Set(planSplit({ count: samples.length, valSize, seed }).validation);
  return {
    train: samples.filter((_, index) => !held.has(index)),
    validation: samples.filter((_, index) => held.has(index)),
  };
}

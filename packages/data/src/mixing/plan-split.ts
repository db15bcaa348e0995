/**
 * Which rows are held out for validation.
 *
 * The draw is that of Hugging Face `Dataset.train_test_split(test_size, seed)`, which LLaMA-Factory's `val_size` calls:
 * the first rows of NumPy's permutation. It splits what tokenizing kept, packed rows where packing is on, so the same
 * rows are held out where the same samples were made in the same order. One difference: `val_size: 1` is one row here and an error there, where 1 is
 * read as a share. Checked against: datasets 3.6.0 and 5.2.0.
 */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { createNumpyGenerator } from './numpy-generator.js';

/** What {@link planSplit} splits. */
export interface SplitOptions {
  /** Rows in all. */
  readonly count: number;
  /** Rows to hold out: a whole number, or a share in (0, 1), rounded up; 0 = none. */
  readonly valSize: number;
  /** A whole number from 0. */
  readonly seed: number;
}

/** 0-based rows of both parts in random order, as `datasets` has them. Sorting one gives source order. */
export interface SplitPlan {
  readonly train: Int32Array;
  readonly validation: Int32Array;
}

/** Draws the rows. Throws: `DATA_BAD_OPTION` when nothing would be left to train on. Cost: 4 bytes a row. */
export function planSplit({ count, valSize, seed }: SplitOptions): SplitPlan {
  const held = heldOutCount(count, valSize);
  if (held === 0) {
    return { train: Int32Array.from({ length: count }, (_, i) => i), validation: new Int32Array() };
  }
  const order = createNumpyGenerator(seed).permutation(count);
  return { train: order.subarray(held), validation: order.subarray(0, held) };
}

function heldOutCount(total: number, valSize: number): number {
  const isShare = valSize > 0 && valSize < 1;
  const count = isShare ? Math.ceil(total * valSize) : valSize;
  if (Number.isSafeInteger(count) && count >= 0 && (count < total || count === 0)) return count;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `val_size ${valSize} does not fit ${total} samples; it is a count below that, or a share in (0, 1)`,
    { details: { valSize, samples: total } },
  );
}

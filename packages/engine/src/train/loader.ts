/**
 * The order in which a run visits its rows.
 *
 * A pure function of (seed, epoch, number of rows) and, when grouping by length, of the lengths: a resumed
 * run needs no more than the number of the step to go on with the very same batches.
 */
import { assert, createRng, defined } from '@tuneyard/core';

/** What decides the order and the batches. */
export interface LoaderOptions {
  readonly seed: number;
  readonly microBatchSize: number;
  readonly gradientAccumulationSteps: number;
  readonly dropLast: boolean;
  /** False keeps the rows in file order. */
  readonly shuffle: boolean;
  /** Puts rows of similar length into the same batch (`group_by_length`), at the price of less random batches. */
  readonly groupByLength: boolean;
}

/** Where in the data a run is; plain JSON. */
export interface DataCursor {
  /** Whole passes completed. */
  readonly epoch: number;
  /** Steps completed in this pass. */
  readonly stepInEpoch: number;
}

/** Yields the micro-batches of any step, as row indices. */
export class BatchLoader {
  readonly stepsPerEpoch: number;
  readonly #lengths: readonly number[];
  readonly #options: LoaderOptions;
  #order: { readonly epoch: number; readonly rows: Int32Array } | null = null;

  /** `lengths` holds the tokens of each row. */
  constructor(lengths: readonly number[], options: LoaderOptions) {
    const { microBatchSize, gradientAccumulationSteps, dropLast } = options;
    const batches = lengths.length / microBatchSize;
    const whole = dropLast ? Math.floor(batches) : Math.ceil(batches);
    this.stepsPerEpoch = Math.ceil(whole / gradientAccumulationSteps);
    assert(this.stepsPerEpoch > 0, 'a loader has at least one batch');
    this.#lengths = lengths;
    this.#options = options;
  }

  /** The cursor after `step` completed steps. */
  cursor(step: number): DataCursor {
    const stepInEpoch = step % this.stepsPerEpoch;
    return { epoch: (step - stepInEpoch) / this.stepsPerEpoch, stepInEpoch };
  }

  /** Row indices of the micro-batches of the step that the cursor stands before. */
  microBatches(cursor: DataCursor): readonly (readonly number[])[] {
    const { microBatchSize, gradientAccumulationSteps, dropLast } = this.#options;
    const rows = this.#epochRows(cursor.epoch);
    const globalBatchSize = microBatchSize * gradientAccumulationSteps;
    const begin = cursor.stepInEpoch * globalBatchSize;
    const usable = dropLast ? rows.length - (rows.length % microBatchSize) : rows.length;
    const end = Math.min(begin + globalBatchSize, usable);
    const batches: number[][] = [];
    for (let i = begin; i < end; i += microBatchSize) {
      batches.push(Array.from(rows.subarray(i, Math.min(i + microBatchSize, end))));
    }
    return batches;
  }

  #epochRows(epoch: number): Int32Array {
    if (this.#order?.epoch !== epoch) {
      this.#order = { epoch, rows: epochOrder(this.#lengths, epoch, this.#options) };
    }
    return this.#order.rows;
  }
}

/** The order of an epoch; the batch sizes matter only when grouping by length. */
export function epochOrder(
  lengths: readonly number[],
  epoch: number,
  options: Omit<LoaderOptions, 'dropLast'>,
): Int32Array {
  const order = Array.from(lengths, (_, row) => row);
  if (options.shuffle) createRng(epochSeed(options.seed, epoch)).shuffle(order);
  if (options.groupByLength) {
    const globalBatchSize = options.microBatchSize * options.gradientAccumulationSteps;
    return Int32Array.from(groupByLength(order, lengths, globalBatchSize));
  }
  return Int32Array.from(order);
}

/**
 * Sorts within large groups of a shuffled order, longest first, and moves the longest row of all to the front,
 * so that memory runs out in the first step or never.
 *
 * Source: `get_length_grouped_indices` of Hugging Face transformers: groups of min(50, rows / 4 batches) batches.
 */
function groupByLength(
  order: readonly number[],
  lengths: readonly number[],
  globalBatchSize: number,
): number[] {
  const lengthOf = (row: number): number => defined(lengths[row], 'row length');
  const batches = Math.max(1, Math.min(50, Math.floor(order.length / (globalBatchSize * 4))));
  const groupSize = batches * globalBatchSize;
  const grouped: number[] = [];
  let longestAt = 0;
  for (let begin = 0; begin < order.length; begin += groupSize) {
    const group = order.slice(begin, begin + groupSize);
    group.sort((a, b) => lengthOf(b) - lengthOf(a));
    const [first] = group;
    if (first !== undefined && lengthOf(first) > lengthOf(grouped[longestAt] ?? first)) {
      longestAt = begin;
    }
    grouped.push(...group);
  }
  const front = grouped[0];
  const longest = grouped[longestAt];
  if (front !== undefined && longest !== undefined) {
    grouped[0] = longest;
    grouped[longestAt] = front;
  }
  return grouped;
}

/** A multiplication by an odd constant is a bijection, so no two epochs of a seed share their numbers. */
function epochSeed(seed: number, epoch: number): number {
  return (seed ^ Math.imul(epoch + 1, 0x85ebca6b)) >>> 0;
}

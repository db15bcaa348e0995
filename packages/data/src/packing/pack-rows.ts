/**
 * Packing: several short samples share one row of fixed capacity.
 *
 * Samples in a row never see one another: the engine masks attention and restarts positions at the
 * boundaries in `segmentLengths`.
 */
import { assert, TuneyardError } from '@tuneyard/core';
import type { PackedRow, TokenizedSample } from '../encode/samples.js';
import { DATA_ERRORS } from '../errors.js';

/** A part of a sample set: what packing needs to know of a sample. */
export type Packable = Pick<TokenizedSample, 'ids' | 'learned'>;

/**
 * Plans which samples share a row: repeatedly opens a row and fills it with the largest sample that still
 * fits. Returns indices into `lengths`, in the order they were chosen.
 *
 * Cost: near-linear; a disjoint-set forest over lengths finds the largest non-empty length below a bound.
 * Throws: `DATA_ROW_TOO_LONG` when a length is 0 or above the capacity, which would never fit.
 * Source: LLaMA-Factory v0.9.3, greedy knapsack; among equal lengths the last one goes first, as there.
 */
export function planPacks(lengths: ArrayLike<number>, capacity: number): number[][] {
  const stacks = stacksByLength(lengths, capacity);
  const lower = Int32Array.from({ length: capacity + 1 }, (_, length) =>
    stacks[length] === undefined ? length - 1 : length,
  );
  lower[0] = 0;
  const packs: number[][] = [];
  let left = lengths.length;
  while (left > 0) {
    const pack: number[] = [];
    let room = capacity;
    for (let fit = findRoot(lower, room); fit > 0; fit = findRoot(lower, room)) {
      const stack = stacks[fit] as number[];
      pack.push(stack.pop() as number);
      if (stack.length === 0) lower[fit] = fit - 1;
      room -= fit;
      left--;
    }
    packs.push(pack);
  }
  return packs;
}

/** Builds packed rows from samples of at most `capacity` tokens; see {@link planPacks}. */
export function buildPackedRows(samples: readonly Packable[], capacity: number): PackedRow[] {
  const lengths = samples.map((sample) => sample.ids.length);
  return planPacks(lengths, capacity).map((pack) =>
    joinSamples(pack.map((index) => samples[index] as Packable)),
  );
}

/** Gives every sample a row of its own. */
export function buildUnpackedRows(samples: readonly Packable[]): PackedRow[] {
  return samples.map((sample) => joinSamples([sample]));
}

/** Joins samples end to end; no token is shared and none is added. */
function joinSamples(samples: readonly Packable[]): PackedRow {
  const segmentLengths = samples.map((sample) => sample.ids.length);
  const total = segmentLengths.reduce((sum, length) => sum + length, 0);
  const ids = new Int32Array(total);
  const learned = new Uint8Array(total);
  let at = 0;
  for (const sample of samples) {
    assert(sample.learned.length === sample.ids.length, 'a mask has the length of its sample');
    assert(sample.learned[0] === 0, 'the first token of a sample is never a label');
    ids.set(sample.ids, at);
    learned.set(sample.learned, at);
    at += sample.ids.length;
  }
  return { ids, learned, segmentLengths };
}

function stacksByLength(lengths: ArrayLike<number>, capacity: number): (number[] | undefined)[] {
  const stacks: (number[] | undefined)[] = new Array(capacity + 1).fill(undefined);
  for (let index = 0; index < lengths.length; index++) {
    const length = lengths[index] as number;
    if (!(length >= 1 && length <= capacity)) throw doesNotFit(index, length, capacity);
    const stack = stacks[length];
    if (stack === undefined) stacks[length] = [index];
    else stack.push(index);
  }
  return stacks;
}

/** The largest non-empty length at or below `from`, 0 when there is none; halves paths as it goes. */
function findRoot(lower: Int32Array, from: number): number {
  let at = from;
  while (lower[at] !== at) {
    const next = lower[at] as number;
    lower[at] = lower[next] as number;
    at = next;
  }
  return at;
}

function doesNotFit(index: number, length: number, capacity: number): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_ROW_TOO_LONG,
    `Sample ${index} has ${length} tokens; a packed row holds 1 to ${capacity}`,
    { details: { index, length, capacity }, hint: 'Filter or cut samples before packing.' },
  );
}

/** Plans which samples share a row; pure decisions over lengths, nothing is copied. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { NumberSet } from './kernels/number-set.js';

/**
 * How rows are filled. `greedy` is the rule of LLaMA-Factory and ModelLink; `best-fit` plans the same samples a second
 * way and keeps whichever needs fewer rows.
 */
export type PackStrategy = 'greedy' | 'best-fit';

/**
 * Plans which samples share a row. Returns indices into `lengths`, row by row, in the order they were chosen.
 *
 * Throws: `DATA_ROW_TOO_LONG` when a length is 0 or above the capacity, which would never fit.
 */
export function planPacks(
  lengths: ArrayLike<number>,
  capacity: number,
  strategy: PackStrategy = 'greedy',
): number[][] {
  const greedy = planGreedy(lengths, capacity);
  if (strategy === 'greedy') return greedy;
  const bestFit = planBestFit(lengths, capacity);
  return bestFit.length < greedy.length ? bestFit : greedy;
}

/**
 * Repeatedly opens a row and fills it with the largest sample that still fits.
 *
 * Cost: near-linear; a disjoint-set forest over lengths finds the largest non-empty length below a bound.
 * Source: LLaMA-Factory v0.9.3 and MindSpeed-LLM, greedy knapsack; among equal lengths the last one goes first, as there.
 */
function planGreedy(lengths: ArrayLike<number>, capacity: number): number[][] {
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

/**
 * Puts samples, longest first, where they leave the least room.
 *
 * Cost: near-linear; rows are found by the room that they have left.
 */
function planBestFit(lengths: ArrayLike<number>, capacity: number): number[][] {
  const stacks = stacksByLength(lengths, capacity);
  const rooms = new NumberSet(capacity + 1);
  const packsByRoom: number[][][] = [];
  const packs: number[][] = [];
  const takePack = (length: number): { pack: number[]; room: number } => {
    const room = rooms.next(length);
    if (room < 0) {
      const pack: number[] = [];
      packs.push(pack);
      return { pack, room: capacity };
    }
    const waiting = packsByRoom[room] as number[][];
    const pack = waiting.pop() as number[];
    if (waiting.length === 0) rooms.delete(room);
    return { pack, room };
  };
  for (let length = capacity; length > 0; length--) {
    for (const index of stacks[length]?.reverse() ?? []) {
      const { pack, room } = takePack(length);
      pack.push(index);
      const left = room - length;
      if (left === 0) continue;
      packsByRoom[left] ??= [];
      packsByRoom[left].push(pack);
      rooms.add(left);
    }
  }
  return packs;
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

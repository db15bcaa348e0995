/** Plans which samples share a row; pure decisions over lengths, nothing is copied. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/**
 * How rows are filled. `greedy` is the rule of LLaMA-Factory and ModelLink; `best-fit` looks for samples that fill a row
 * to the brim, and keeps the greedy plan where that needs no more rows.
 */
export type PackStrategy = 'greedy' | 'best-fit';

/** Lengths that are tried for each place of a row; neither width is better on every set, so both are planned. */
const BEST_FIT_TRIES = [64, 512];

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
  const plans = BEST_FIT_TRIES.map((tries) => planBestFit(lengths, capacity, tries));
  return plans.reduce((best, plan) => (plan.length < best.length ? plan : best), greedy);
}

/**
 * Repeatedly opens a row and fills it with the largest sample that still fits.
 *
 * Source: LLaMA-Factory v0.9.3 and MindSpeed-LLM, greedy knapsack; among equal lengths the last one goes first, as there.
 */
function planGreedy(lengths: ArrayLike<number>, capacity: number): number[][] {
  const waiting = new WaitingSamples(lengths, capacity);
  const packs: number[][] = [];
  while (waiting.count > 0) {
    const pack: number[] = [];
    let room = capacity;
    for (let fit = waiting.longest(room); fit > 0; fit = waiting.longest(room)) {
      pack.push(waiting.take(fit));
      room -= fit;
    }
    packs.push(pack);
  }
  return packs;
}

/**
 * As {@link planGreedy}, but each sample after the first of a row is the one that, together with the longest that then
 * still fits, leaves the least room.
 *
 * Cost: up to `tries` look-ups a sample, fewer where rows can be filled to the brim.
 */
function planBestFit(lengths: ArrayLike<number>, capacity: number, tries: number): number[][] {
  const waiting = new WaitingSamples(lengths, capacity);
  const packs: number[][] = [];
  while (waiting.count > 0) {
    const first = waiting.longest(capacity);
    const pack = [waiting.take(first)];
    let room = capacity - first;
    for (let fit = bestFit(waiting, room, tries); fit > 0; fit = bestFit(waiting, room, tries)) {
      pack.push(waiting.take(fit));
      room -= fit;
    }
    packs.push(pack);
  }
  return packs;
}

/** The length to place next; 0 when none fits. Among equally good ones the longest. */
function bestFit(waiting: WaitingSamples, room: number, tries: number): number {
  let best = waiting.longest(room);
  let least = Number.POSITIVE_INFINITY;
  let length = best;
  for (let tried = 0; tried < tries && length > 0 && least > 0; tried++) {
    const left = room - length;
    const after = left - waiting.longestBeside(length, left);
    if (after < least) {
      least = after;
      best = length;
    }
    length = waiting.longest(length - 1);
  }
  return best;
}

/** Samples not placed yet, by length. A disjoint-set forest finds the longest below a bound in near-constant time. */
class WaitingSamples {
  readonly #stacks: (number[] | undefined)[];
  /** Of each length, the longest at or below it that has samples, by way of others. */
  readonly #lower: Int32Array;
  #count: number;

  constructor(lengths: ArrayLike<number>, capacity: number) {
    this.#stacks = stacksByLength(lengths, capacity);
    this.#lower = Int32Array.from({ length: capacity + 1 }, (_, length) =>
      this.#stacks[length] === undefined ? length - 1 : length,
    );
    this.#lower[0] = 0;
    this.#count = lengths.length;
  }

  get count(): number {
    return this.#count;
  }

  /** The longest length at or below `room`, 0 when there is none; halves paths as it goes. */
  longest(room: number): number {
    const lower = this.#lower;
    let at = room;
    while (lower[at] !== at) {
      const next = lower[at] as number;
      lower[at] = lower[next] as number;
      at = next;
    }
    return at;
  }

  /** As {@link longest} were one sample of `length` taken. */
  longestBeside(length: number, room: number): number {
    const found = this.longest(room);
    const isSame = found === length && this.#stacks[length]?.length === 1;
    return isSame ? this.longest(length - 1) : found;
  }

  /** Takes the last sample of a length that has some. */
  take(length: number): number {
    const stack = this.#stacks[length] as number[];
    const index = stack.pop() as number;
    if (stack.length === 0) this.#lower[length] = length - 1;
    this.#count--;
    return index;
  }
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

function doesNotFit(index: number, length: number, capacity: number): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_ROW_TOO_LONG,
    `Sample ${index} has ${length} tokens; a packed row holds 1 to ${capacity}`,
    { details: { index, length, capacity }, hint: 'Filter or cut samples before packing.' },
  );
}

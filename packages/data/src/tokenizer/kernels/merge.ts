/**
 * The merge loop of byte-pair encoding: again and again the adjacent pair of lowest rank, leftmost
 * first, becomes one symbol.
 *
 * Short words scan all pairs each round; long ones use a linked list and a binary heap, because a
 * SentencePiece-type model may see a whole document as one word and scanning would be quadratic.
 *
 * Bounds: positions run below `count`, which is at most the length of every scratch array
 * (`reserveScratch`); the heap holds at most three entries per symbol: one per pair at the start and
 * two per merge.
 */

import { findPair, type PairTable, RANK_WORD, RESULT_WORD } from './pair-table.js';

/** Up to this many symbols the quadratic scan is at least as fast as the heap. */
export const SCAN_LIMIT = 100;
/** Positions take the low 26 bits of a heap key, ranks the bits above: 2^26 * 2^27 = 2^53. */
const POSITION_SPAN = 2 ** 26;
/** Rank of a pair that no rule merges. */
export const NO_RANK = 0x7fffffff;

/** The longest word {@link mergeSymbols} takes, in symbols. */
export const MERGE_SYMBOLS_MAX = POSITION_SPAN - 1;

/** Working memory, reused from word to word. */
export interface MergeScratch {
  symbols: Int32Array;
  previous: Int32Array;
  next: Int32Array;
  heap: Float64Array;
}

/** Scratch with room for words of `count` symbols. */
export function createScratch(count: number): MergeScratch {
  return {
    symbols: new Int32Array(count),
    previous: new Int32Array(count),
    next: new Int32Array(count),
    heap: new Float64Array(count * 3),
  };
}

/** Grows the scratch to at least `count` symbols; contents are lost. */
export function reserveScratch(scratch: MergeScratch, count: number): void {
  if (scratch.symbols.length < count) {
    Object.assign(scratch, createScratch(Math.max(count, scratch.symbols.length * 2)));
  }
}

/**
 * Merges `scratch.symbols[0..count)` in place and returns how many symbols are left.
 *
 * Cost: O(n log n) for n symbols. Checked against: the naive loop in merge.test.ts.
 */
export function mergeSymbols(scratch: MergeScratch, count: number, table: PairTable): number {
  if (count < 2) {
    return count;
  }
  return count <= SCAN_LIMIT
    ? mergeByScan(scratch, count, table)
    : mergeByHeap(scratch, count, table);
}

function mergeByScan(scratch: MergeScratch, count: number, table: PairTable): number {
  const { symbols, next, previous } = scratch;
  for (let i = 0; i + 1 < count; i++) {
    ratePair(table, symbols, i, next, previous);
  }
  return mergeRated(scratch, count, table);
}

/**
 * As {@link mergeSymbols} for up to {@link SCAN_LIMIT} symbols, one at least, whose pairs are rated
 * already: the rank of the pair that starts at each position is in `scratch.next`, what it becomes in
 * `scratch.previous`.
 */
export function mergeRated(scratch: MergeScratch, count: number, table: PairTable): number {
  const symbols = scratch.symbols;
  const ranks = scratch.next;
  const results = scratch.previous;
  let last = count - 1;
  for (;;) {
    let best = -1;
    let bestRank = NO_RANK;
    for (let i = 0; i < last; i++) {
      const rank = ranks[i]!;
      if (rank < bestRank) {
        bestRank = rank;
        best = i;
      }
    }
    if (best < 0) {
      return last + 1;
    }
    symbols[best] = results[best]!;
    last--;
    for (let i = best + 1; i <= last; i++) {
      symbols[i] = symbols[i + 1]!;
      ranks[i] = ranks[i + 1]!;
      results[i] = results[i + 1]!;
    }
    if (best > 0) {
      ratePair(table, symbols, best - 1, ranks, results);
    }
    if (best < last) {
      ratePair(table, symbols, best, ranks, results);
    }
  }
}

function ratePair(
  table: PairTable,
  symbols: Int32Array,
  at: number,
  ranks: Int32Array,
  results: Int32Array,
): void {
  const slot = findPair(table, symbols[at]!, symbols[at + 1]!);
  if (slot < 0) {
    ranks[at] = NO_RANK;
  } else {
    ranks[at] = table.slots[slot + RANK_WORD]!;
    results[at] = table.slots[slot + RESULT_WORD]!;
  }
}

function mergeByHeap(scratch: MergeScratch, count: number, table: PairTable): number {
  const { symbols, previous, next, heap } = scratch;
  let heapSize = linkAndSeed(scratch, count, table);
  while (heapSize > 0) {
    const key = heap[0]!;
    heapSize = popLeast(heap, heapSize);
    const rank = Math.floor(key / POSITION_SPAN);
    const at = key - rank * POSITION_SPAN;
    const right = symbols[at]! < 0 ? -1 : next[at]!;
    if (right < 0) {
      continue;
    }
    const slot = findPair(table, symbols[at]!, symbols[right]!);
    if (slot < 0 || table.slots[slot + RANK_WORD]! !== rank) {
      // The neighbourhood changed after this entry was pushed; the new pair has its own entry.
      continue;
    }
    symbols[at] = table.slots[slot + RESULT_WORD]!;
    symbols[right] = -1;
    const after = next[right]!;
    next[at] = after;
    if (after >= 0) {
      previous[after] = at;
      heapSize = pushPair(heap, heapSize, table, at, symbols[at]!, symbols[after]!);
    }
    const before = previous[at]!;
    if (before >= 0) {
      heapSize = pushPair(heap, heapSize, table, before, symbols[before]!, symbols[at]!);
    }
  }
  let length = 0;
  for (let i = 0; i >= 0; i = next[i]!) {
    symbols[length++] = symbols[i]!;
  }
  return length;
}

function linkAndSeed(scratch: MergeScratch, count: number, table: PairTable): number {
  const { symbols, previous, next, heap } = scratch;
  let heapSize = 0;
  for (let i = 0; i < count; i++) {
    previous[i] = i - 1;
    next[i] = i + 1;
    if (i + 1 < count) {
      heapSize = pushPair(heap, heapSize, table, i, symbols[i]!, symbols[i + 1]!);
    }
  }
  next[count - 1] = -1;
  return heapSize;
}

function pushPair(
  heap: Float64Array,
  size: number,
  table: PairTable,
  at: number,
  left: number,
  right: number,
): number {
  const slot = findPair(table, left, right);
  if (slot < 0) {
    return size;
  }
  const key = table.slots[slot + RANK_WORD]! * POSITION_SPAN + at;
  let i = size;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (heap[parent]! <= key) {
      break;
    }
    heap[i] = heap[parent]!;
    i = parent;
  }
  heap[i] = key;
  return size + 1;
}

function popLeast(heap: Float64Array, size: number): number {
  const last = size - 1;
  const key = heap[last]!;
  let i = 0;
  for (;;) {
    let child = 2 * i + 1;
    if (child >= last) {
      break;
    }
    if (child + 1 < last && heap[child + 1]! < heap[child]!) {
      child++;
    }
    if (heap[child]! >= key) {
      break;
    }
    heap[i] = heap[child]!;
    i = child;
  }
  heap[i] = key;
  return last;
}

/**
 * W += scale · B · A over row-major matrices, without forming B · A.
 *
 * Legend: O out features, I in features, R rank. Sums over R are kept in f64 and rounded to f32 once, so
 * the result is the nearest f32 to the exact update of the f32 inputs.
 *
 * Bounds: the entry asserts fix all three lengths; `o < O`, `r < R`, columns stay below I by the block's
 * `end`, so every index is inside its array.
 */
import { assert } from '@tuneyard/core';

/** The sizes of one update. */
export interface LowRankShape {
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly rank: number;
}

/** The factors and what multiplies their product. */
export interface LowRankFactors {
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly scale: number;
}

/** Columns per block: an A block of rank 16 is 64 KiB and stays in the second-level cache. */
const COLUMNS = 1024;

/**
 * Adds a low-rank product to a matrix.
 *
 * Shapes: weight [O, I], a [R, I], b [O, R], f32. Mutates: `weight`. Cost: O·I·R multiply-adds, 8 KiB of
 * scratch. Checked against: a naive triple loop.
 */
export function addLowRank(
  weight: Float32Array,
  shape: LowRankShape,
  factors: LowRankFactors,
): void {
  const { outFeatures, inFeatures, rank } = shape;
  assert(weight.length === outFeatures * inFeatures, 'addLowRank: weight does not have its shape');
  assert(factors.a.length === rank * inFeatures, 'addLowRank: a does not have its shape');
  assert(factors.b.length === outFeatures * rank, 'addLowRank: b does not have its shape');
  const delta = new Float64Array(Math.min(COLUMNS, inFeatures));
  for (let begin = 0; begin < inFeatures; begin += COLUMNS) {
    const end = Math.min(begin + COLUMNS, inFeatures);
    for (let o = 0; o < outFeatures; o++) {
      delta.fill(0);
      accumulateRow(delta, { begin, end, inFeatures, row: o, rank }, factors);
      const base = o * inFeatures;
      for (let j = begin; j < end; j++) {
        weight[base + j] = weight[base + j]! + factors.scale * delta[j - begin]!;
      }
    }
  }
}

interface RowBlock {
  readonly begin: number;
  readonly end: number;
  readonly inFeatures: number;
  readonly row: number;
  readonly rank: number;
}

/** Four ranks a pass: one load and store of the sum for four multiply-adds. */
function accumulateRow(delta: Float64Array, block: RowBlock, factors: LowRankFactors): void {
  const { begin, end, inFeatures, row, rank } = block;
  const { a, b } = factors;
  const count = end - begin;
  let r = 0;
  for (; r + 4 <= rank; r += 4) {
    const at = row * rank + r;
    const b0 = b[at]!;
    const b1 = b[at + 1]!;
    const b2 = b[at + 2]!;
    const b3 = b[at + 3]!;
    const a0 = r * inFeatures + begin;
    const a1 = a0 + inFeatures;
    const a2 = a1 + inFeatures;
    const a3 = a2 + inFeatures;
    for (let j = 0; j < count; j++) {
      delta[j] = delta[j]! + b0 * a[a0 + j]! + b1 * a[a1 + j]! + b2 * a[a2 + j]! + b3 * a[a3 + j]!;
    }
  }
  for (; r < rank; r++) {
    const b0 = b[row * rank + r]!;
    const a0 = r * inFeatures + begin;
    for (let j = 0; j < count; j++) delta[j] = delta[j]! + b0 * a[a0 + j]!;
  }
}

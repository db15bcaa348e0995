/**
 * DoRA: W' = m ⊙ (W + scale · B · A) / ‖W + scale · B · A‖, with norms along rows or along columns.
 *
 * Legend: O out features, I in features, R rank. A row is formed in f64, so every element is rounded once.
 *
 * Bounds: the entry asserts fix all lengths; `o < O`, `i < I`, `r < R`, so every index is inside its array.
 */
import { assert } from '@tuneyard/core';
import type { LowRankFactors, LowRankShape } from '../../kernels/low-rank-update.js';

/** The learned lengths: of each row (linear modules) or of each column (embeddings). */
export interface Magnitude {
  readonly values: Float32Array;
  readonly axis: 'row' | 'column';
}

/**
 * Adds a low-rank product and sets the lengths of rows or columns.
 *
 * Shapes: weight [O, I], a [R, I], b [O, R], magnitude [O] by row or [I] by column, f32. Edge: a row or column of
 * zeros has no direction and becomes NaN. Mutates: `weight`. Cost: O·I·R multiply-adds, twice by column.
 * Source: Liu et al., DoRA (arXiv 2402.09353), eq. 5; PEFT `tuners/lora/dora.py`.
 * Checked against: PEFT's merge_and_unload in float64, last bit but one.
 */
export function addLowRankWithMagnitude(
  weight: Float32Array,
  shape: LowRankShape,
  update: { readonly factors: LowRankFactors; readonly magnitude: Magnitude },
): void {
  const { outFeatures, inFeatures, rank } = shape;
  const { factors, magnitude } = update;
  assert(weight.length === outFeatures * inFeatures, 'magnitude: weight does not have its shape');
  assert(factors.a.length === rank * inFeatures, 'magnitude: a does not have its shape');
  assert(factors.b.length === outFeatures * rank, 'magnitude: b does not have its shape');
  const isByRow = magnitude.axis === 'row';
  assert(
    magnitude.values.length === (isByRow ? outFeatures : inFeatures),
    'magnitude: values do not have their length',
  );
  if (isByRow) scaleRows(weight, shape, { factors, lengths: magnitude.values });
  else scaleColumns(weight, shape, { factors, lengths: magnitude.values });
}

interface Scaling {
  readonly factors: LowRankFactors;
  readonly lengths: Float32Array;
}

function scaleRows(weight: Float32Array, shape: LowRankShape, scaling: Scaling): void {
  const { outFeatures, inFeatures } = shape;
  const row = new Float64Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    updatedRow(row, weight, { shape, factors: scaling.factors, o });
    let squares = 0;
    for (let i = 0; i < inFeatures; i++) squares += row[i]! * row[i]!;
    const factor = scaling.lengths[o]! / Math.sqrt(squares);
    for (let i = 0; i < inFeatures; i++) weight[o * inFeatures + i] = factor * row[i]!;
  }
}

function scaleColumns(weight: Float32Array, shape: LowRankShape, scaling: Scaling): void {
  const { outFeatures, inFeatures } = shape;
  const row = new Float64Array(inFeatures);
  const factor = new Float64Array(inFeatures);
  for (let o = 0; o < outFeatures; o++) {
    updatedRow(row, weight, { shape, factors: scaling.factors, o });
    for (let i = 0; i < inFeatures; i++) factor[i] = factor[i]! + row[i]! * row[i]!;
  }
  for (let i = 0; i < inFeatures; i++) factor[i] = scaling.lengths[i]! / Math.sqrt(factor[i]!);
  for (let o = 0; o < outFeatures; o++) {
    updatedRow(row, weight, { shape, factors: scaling.factors, o });
    for (let i = 0; i < inFeatures; i++) weight[o * inFeatures + i] = factor[i]! * row[i]!;
  }
}

function updatedRow(
  row: Float64Array,
  weight: Float32Array,
  at: { shape: LowRankShape; factors: LowRankFactors; o: number },
): void {
  const { o, factors } = at;
  const { inFeatures, rank } = at.shape;
  row.fill(0);
  for (let r = 0; r < rank; r++) {
    const b = factors.b[o * rank + r]!;
    for (let i = 0; i < inFeatures; i++) row[i] = row[i]! + b * factors.a[r * inFeatures + i]!;
  }
  for (let i = 0; i < inFeatures; i++) {
    row[i] = weight[o * inFeatures + i]! + factors.scale * row[i]!;
  }
}

/** Turns a row-major matrix: [rows, columns] → [columns, rows]. */
export function transposed(
  values: Float32Array,
  { rows, columns }: { readonly rows: number; readonly columns: number },
): Float32Array {
  assert(values.length === rows * columns, 'transposed: values do not have their shape');
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  }
  return out;
}

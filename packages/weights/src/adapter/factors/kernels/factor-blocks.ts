/**
 * Moving rectangles of low-rank factors between matrices.
 *
 * Bounds: `assertInside` holds every rectangle inside its matrix before a loop runs; flags are as long as the columns
 * or rows that they mark.
 */
import { assert } from '@tuneyard/core';

/** A corner of a row-major matrix. */
export interface BlockCorner {
  readonly values: Float32Array;
  readonly columns: number;
  readonly row: number;
  readonly column: number;
}

/** Size of a rectangle. */
export interface BlockSize {
  readonly rows: number;
  readonly columns: number;
}

/** Copies a rectangle. Mutates: `to.values`. */
export function copyBlock(to: BlockCorner, from: BlockCorner, size: BlockSize): void {
  assertInside(to, size);
  assertInside(from, size);
  for (let r = 0; r < size.rows; r++) {
    const begin = (from.row + r) * from.columns + from.column;
    to.values.set(
      from.values.subarray(begin, begin + size.columns),
      (to.row + r) * to.columns + to.column,
    );
  }
}

/**
 * Copies the columns that are not known yet and compares those that are.
 *
 * Returns the first column of the target whose numbers differ, or -1. Mutates: `to.values`, `known` (one flag for each
 * column of the target).
 */
export function joinColumns(
  to: BlockCorner,
  from: BlockCorner,
  block: { readonly size: BlockSize; readonly known: Uint8Array },
): number {
  const { size, known } = block;
  assertInside(to, size);
  assertInside(from, size);
  assert(known.length === to.columns, 'joinColumns: one flag for each column');
  for (let c = 0; c < size.columns; c++) {
    const isKnown = known[to.column + c] === 1;
    known[to.column + c] = 1;
    for (let r = 0; r < size.rows; r++) {
      const value = from.values[(from.row + r) * from.columns + from.column + c]!;
      const at = (to.row + r) * to.columns + to.column + c;
      if (!isKnown) to.values[at] = value;
      else if (!Object.is(to.values[at], value)) return to.column + c;
    }
  }
  return -1;
}

/** As {@link joinColumns} for rows: `known` has one flag for each row of the target. */
export function joinRows(
  to: BlockCorner,
  from: BlockCorner,
  block: { readonly size: BlockSize; readonly known: Uint8Array },
): number {
  const { size, known } = block;
  assertInside(to, size);
  assertInside(from, size);
  assert(known.length * to.columns === to.values.length, 'joinRows: one flag for each row');
  for (let r = 0; r < size.rows; r++) {
    const isKnown = known[to.row + r] === 1;
    known[to.row + r] = 1;
    for (let c = 0; c < size.columns; c++) {
      const value = from.values[(from.row + r) * from.columns + from.column + c]!;
      const at = (to.row + r) * to.columns + to.column + c;
      if (!isKnown) to.values[at] = value;
      else if (!Object.is(to.values[at], value)) return to.row + r;
    }
  }
  return -1;
}

/** True when all numbers are equal, bit by bit (but for the bits of NaN). */
export function sameNumbers(a: Float32Array, b: Float32Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
  return true;
}

/** Multiplies numbers by a factor in f64, rounded once. */
export function scaled(values: Float32Array, factor: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) out[i] = values[i]! * factor;
  return out;
}

/** Lists the ranks that do something: their row of A [R, I] and their column of B [O, R] both have a number besides 0. */
export function livingRanks(a: Float32Array, b: Float32Array, rank: number): number[] {
  assert(a.length % rank === 0 && b.length % rank === 0, 'livingRanks: factors of one rank');
  const columns = a.length / rank;
  const rows = b.length / rank;
  const living: number[] = [];
  for (let r = 0; r < rank; r++) {
    let isAlive = false;
    for (let c = 0; c < columns && !isAlive; c++) isAlive = a[r * columns + c] !== 0;
    if (!isAlive) continue;
    isAlive = false;
    for (let o = 0; o < rows && !isAlive; o++) isAlive = b[o * rank + r] !== 0;
    if (isAlive) living.push(r);
  }
  return living;
}

function assertInside(corner: BlockCorner, size: BlockSize): void {
  const rows = corner.columns === 0 ? 0 : corner.values.length / corner.columns;
  assert(
    corner.row >= 0 &&
      corner.column >= 0 &&
      corner.row + size.rows <= rows &&
      corner.column + size.columns <= corner.columns,
    'a block of a factor lies outside of its matrix',
  );
}

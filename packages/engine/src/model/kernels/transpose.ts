/**
 * Matrix transposition in cache-sized tiles.
 *
 * Bounds: the loops run over `rows` × `columns` in steps of TILE clipped by Math.min, and the entry assert
 * makes both arrays exactly rows · columns long.
 */
import { assert } from '@tuneyard/core';

const TILE = 32;

/** Shapes: src row-major [rows, columns] → a new row-major [columns, rows]. */
export function transposed(src: Float32Array, rows: number, columns: number): Float32Array {
  assert(src.length === rows * columns, `transposed: ${src.length} is not ${rows} × ${columns}`);
  const out = new Float32Array(src.length);
  for (let r0 = 0; r0 < rows; r0 += TILE) {
    const r1 = Math.min(rows, r0 + TILE);
    for (let c0 = 0; c0 < columns; c0 += TILE) {
      const c1 = Math.min(columns, c0 + TILE);
      for (let r = r0; r < r1; r++) {
        for (let c = c0; c < c1; c++) out[c * rows + r] = src[r * columns + c]!;
      }
    }
  }
  return out;
}

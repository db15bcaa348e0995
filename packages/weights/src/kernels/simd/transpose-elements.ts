/**
 * Transposing byte by byte, for edges of tiles and for element sizes that have no vector form.
 *
 * Bounds: addresses are those of the caller; see {@link StridedMove}.
 */
import type { StridedMove } from './tensor-moves.js';

/** Turns a matrix byte by byte; for edges and for sizes that have no vector form. Mutates: `bytes`. */
export function transposeElements(bytes: Uint8Array, size: number, move: StridedMove): void {
  const { src, srcStride, dst, dstStride, rows, cols } = move;
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) {
      const from = src + row * srcStride + col * size;
      const to = dst + col * dstStride + row * size;
      for (let b = 0; b < size; b++) bytes[to + b] = bytes[from + b]!;
    }
  }
}

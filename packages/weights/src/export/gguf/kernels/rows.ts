/**
 * Loops over rows that a conversion changes: turned, or scaled to length one.
 *
 * Bounds: every index is below rows × cols, which the callers' buffers hold exactly (asserted where they come in).
 */
import { assert } from '@tuneyard/core';

/** Sizes of a row-major matrix. */
export interface MatrixSize {
  readonly rows: number;
  readonly cols: number;
}

/** Copies a matrix with rows as columns. Elements of two or four bytes. */
export function transpose(bytes: Uint8Array, size: MatrixSize): Uint8Array {
  const elements = size.rows * size.cols;
  const width = bytes.byteLength / elements;
  assert(width === 2 || width === 4, 'transpose: elements of two or four bytes');
  // Not slice(), which shares memory when the bytes are a Buffer.
  const { buffer, byteOffset } = bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
  if (width === 2) {
    const out = new Uint16Array(elements);
    turn(new Uint16Array(buffer, byteOffset, elements), out, size);
    return new Uint8Array(out.buffer);
  }
  const out = new Uint32Array(elements);
  turn(new Uint32Array(buffer, byteOffset, elements), out, size);
  return new Uint8Array(out.buffer);
}

function turn<T extends Uint16Array | Uint32Array>(
  source: T,
  out: T,
  { rows, cols }: MatrixSize,
): void {
  for (let row = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++) out[col * rows + row] = source[row * cols + col]!;
  }
}

/** Adds a number to every value. Mutates: `values`. */
export function addToAll(values: Float32Array, summand: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! + summand;
}

/** As `torch.nn.functional.normalize`: rows shorter than 1e-12 are divided by that. Mutates: `values`. */
export function normalizeRows(values: Float32Array, cols: number): void {
  assert(values.length % cols === 0, 'normalizeRows: the last row is incomplete');
  for (let start = 0; start < values.length; start += cols) {
    let sum = 0;
    for (let i = start; i < start + cols; i++) sum += values[i]! * values[i]!;
    const divisor = Math.max(Math.sqrt(sum), 1e-12);
    for (let i = start; i < start + cols; i++) values[i] = values[i]! / divisor;
  }
}

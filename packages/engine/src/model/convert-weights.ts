/**
 * Changes the element type of a matrix, or of its transpose, a stripe of rows at a time.
 *
 * A stripe holds a few million elements, so converting a vocabulary head of 400 MB needs some tens of
 * megabytes besides its input and its output.
 */
import { assert, type GgmlTypeName, rowBytes } from '@tuneyard/core';
import { ggmlCodec } from '@tuneyard/ggml';
import { transposed } from './kernels/transpose.js';

/** A row-major matrix as it is stored. */
export interface StoredMatrix {
  readonly type: GgmlTypeName;
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly columns: number;
}

const STRIPE_ELEMENTS = 2 * 1024 * 1024;
/** Every block length divides it, so a stripe never cuts a block of the transpose. */
const STRIPE_ROWS = 256;

/** The matrix with elements of another type; the same bytes when the type does not change. */
export function convertMatrix(matrix: StoredMatrix, type: GgmlTypeName): Uint8Array {
  if (matrix.type === type) return matrix.bytes;
  const out = new Uint8Array(rowBytes(type, matrix.columns) * matrix.rows);
  for (const { first, count } of stripes(matrix)) {
    const converted = ggmlCodec.fromF32(type, stripe(matrix, first, count), matrix.columns);
    out.set(converted, rowBytes(type, matrix.columns) * first);
  }
  return out;
}

/** The transposed matrix in another type. The new row length must divide into the type's blocks. */
export function convertTransposed(matrix: StoredMatrix, type: GgmlTypeName): Uint8Array {
  const { rows, columns } = matrix;
  const stride = rowBytes(type, rows);
  const out = new Uint8Array(stride * columns);
  for (const { first, count } of stripes(matrix)) {
    const turned = transposed(stripe(matrix, first, count), count, columns);
    const converted = ggmlCodec.fromF32(type, turned, count);
    const piece = rowBytes(type, count);
    assert(Number.isInteger(piece), `${rows} rows do not divide into blocks of ${type}`);
    const offset = rowBytes(type, first);
    for (let c = 0; c < columns; c++) {
      out.set(converted.subarray(c * piece, (c + 1) * piece), c * stride + offset);
    }
  }
  return out;
}

function stripe(
  { type, bytes, columns }: StoredMatrix,
  first: number,
  count: number,
): Float32Array {
  const row = rowBytes(type, columns);
  return ggmlCodec.toF32(type, bytes.subarray(first * row, (first + count) * row), count * columns);
}

function stripes({ rows, columns }: StoredMatrix): { first: number; count: number }[] {
  const step = Math.max(1, Math.floor(STRIPE_ELEMENTS / columns / STRIPE_ROWS)) * STRIPE_ROWS;
  const list: { first: number; count: number }[] = [];
  for (let first = 0; first < rows; first += step) {
    list.push({ first, count: Math.min(step, rows - first) });
  }
  return list;
}

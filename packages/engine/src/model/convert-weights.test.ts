import { createRng } from '@tuneyard/core';
import { ggmlCodec } from '@tuneyard/ggml';
import { expect, it } from 'vitest';
import { convertMatrix, convertTransposed } from './convert-weights.js';

const values = (n: number): Float32Array => {
  const rng = createRng(n);
  return Float32Array.from({ length: n }, () => rng.nextGaussian());
};
const matrix = (rows: number, columns: number) => ({
  type: 'f32' as const,
  bytes: new Uint8Array(values(rows * columns).buffer),
  rows,
  columns,
});

it.each(['q8_0', 'bf16'] as const)(
  'converts by stripes to the bytes of one whole call (%s)',
  (type) => {
    const m = matrix(9000, 320);
    expect(
      Buffer.compare(convertMatrix(m, type), ggmlCodec.fromF32(type, values(9000 * 320), 320)),
    ).toBe(0);
  },
);

it('transposes by stripes to the bytes of a naive transpose converted whole', () => {
  const [rows, columns] = [8704, 288];
  const flat = values(rows * columns);
  const turned = new Float32Array(flat.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) turned[c * rows + r] = flat[r * columns + c]!;
  }
  for (const type of ['f32', 'q8_0', 'q4_K'] as const) {
    const out = convertTransposed(matrix(rows, columns), type);
    expect(Buffer.compare(out, ggmlCodec.fromF32(type, turned, rows))).toBe(0);
  }
});

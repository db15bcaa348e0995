import { createRng } from '@tuneyard/core';
import { expect, it } from 'vitest';
import { addToAll, normalizeRows, transpose } from './rows.js';

it.each([2, 4])('turns matrices of %i bytes per element, wherever they begin', (width) => {
  const source = Buffer.alloc(1 + 15 * width);
  for (let i = 0; i < 15; i++) source.writeUInt8(i, 1 + i * width);
  const turned = transpose(source.subarray(1), { rows: 3, cols: 5 });
  const values = Array.from({ length: 15 }, (_, i) => turned[i * width]);
  expect(values).toEqual([0, 5, 10, 1, 6, 11, 2, 7, 12, 3, 8, 13, 4, 9, 14]);
});

it('scales rows to length one, and leaves rows of zeros', () => {
  const rng = createRng(3);
  const values = Float32Array.from({ length: 24 }, (_, i) => (i < 16 ? rng.nextGaussian() : 0));
  const before = values.slice();
  normalizeRows(values, 8);
  for (const row of [0, 1]) {
    const length = Math.hypot(...before.subarray(row * 8, row * 8 + 8));
    for (let i = row * 8; i < row * 8 + 8; i++) {
      expect(values[i]).toBeCloseTo(before[i]! / length, 6);
    }
  }
  expect([...values.subarray(16)]).toEqual(new Array(8).fill(0));
});

it('adds in f32', () => {
  const values = Float32Array.of(0.5, -0.25, 2 ** -30);
  addToAll(values, 1);
  expect([...values]).toEqual([1.5, 0.75, 1]);
});

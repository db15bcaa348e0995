import { createRng } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plainCodec } from '../codec/tensor-codec.js';
import { addLowRank } from './low-rank-update.js';
import {
  gatherRows,
  halfSplitFromInterleaved,
  interleavedFromHalfSplit,
} from './row-permutation.js';
import { countChanged, firstNonFinite } from './value-checks.js';

function gaussians(seed: number, length: number): Float32Array {
  const rng = createRng(seed);
  return Float32Array.from({ length }, () => rng.nextGaussian());
}

describe('row permutation', () => {
  it('interleaves the two halves of each head', () => {
    expect([...interleavedFromHalfSplit({ heads: 2, headDim: 6 })]).toEqual([
      0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11,
    ]);
  });

  it('is undone by its inverse for any heads, head dimension and row size', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 34 }),
        (heads, half, bytes) => {
          const rows = { heads, headDim: 2 * half };
          const source = Uint8Array.from({ length: heads * 2 * half * bytes }, (_, i) => i % 251);
          const there = gatherRows(source, interleavedFromHalfSplit(rows));
          expect(gatherRows(there, halfSplitFromInterleaved(rows))).toEqual(source);
        },
      ),
    );
  });
});

describe('addLowRank', () => {
  it.each([
    [1, 1, 1],
    [3, 5, 2],
    [7, 33, 4],
    [4, 2050, 6],
    [17, 1024, 9],
  ])('agrees with a naive triple loop for out %i, in %i, rank %i', (out, input, rank) => {
    const weight = gaussians(1, out * input);
    const a = gaussians(2, rank * input);
    const b = gaussians(3, out * rank);
    const expected = Float32Array.from(weight, (w, at) => {
      const o = Math.floor(at / input);
      const j = at % input;
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += b[o * rank + r]! * a[r * input + j]!;
      return w + 0.75 * sum;
    });
    addLowRank(weight, { outFeatures: out, inFeatures: input, rank }, { a, b, scale: 0.75 });
    weight.forEach((w, i) => {
      // Only the order of f64 additions differs, so at most the last bit of the f32 may.
      expect(Math.abs(w - expected[i]!)).toBeLessThanOrEqual(Math.abs(expected[i]!) * 2 ** -23);
    });
  });

  it('changes nothing when B is zero', () => {
    const weight = gaussians(4, 12);
    const before = weight.slice();
    const factors = { a: gaussians(5, 8), b: new Float32Array(6), scale: 2 };
    addLowRank(weight, { outFeatures: 3, inFeatures: 4, rank: 2 }, factors);
    expect(weight).toEqual(before);
  });
});

describe('value checks', () => {
  it.each(['f32', 'f16', 'bf16'] as const)('find the first infinity or NaN in %s', (type) => {
    const values = Float32Array.of(1, -0, 1e-30, 3, Number.NaN, Number.NEGATIVE_INFINITY);
    expect(firstNonFinite(plainCodec.fromF32(type, values, 6), type)).toBe(4);
    expect(firstNonFinite(plainCodec.fromF32(type, values.subarray(0, 4), 4), type)).toBe(-1);
    const shifted = Float32Array.of(1, Number.POSITIVE_INFINITY);
    expect(firstNonFinite(plainCodec.fromF32(type, shifted, 2), type)).toBe(1);
  });

  it('count elements whose bits differ, on unaligned views too', () => {
    const buffer = new Uint8Array(17);
    const before = buffer.subarray(1, 9);
    const after = Uint8Array.from([0, 0, 1, 0, 0, 0, 0, 2]);
    expect(countChanged(before, after, 'bf16')).toBe(2);
    expect(countChanged(before, after, 'f32')).toBe(2);
  });
});

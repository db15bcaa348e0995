import { createRng } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { computeTensorStats } from './tensor-stats.js';

describe('computeTensorStats', () => {
  it('agrees with a hand computation', () => {
    const stats = computeTensorStats(Float32Array.of(1, 2, 3, 4, 0, Number.NaN, Infinity));
    expect(stats).toEqual({
      elements: 7,
      min: 0,
      max: 4,
      mean: 2,
      standardDeviation: Math.SQRT2,
      rms: Math.sqrt(6),
      zeros: 1,
      notANumber: 1,
      infinite: 1,
      first: [1, 2, 3, 4, 0, Number.NaN, Infinity],
    });
  });

  it('finds the moments of a normal distribution', () => {
    const rng = createRng(7);
    const values = Float32Array.from({ length: 100_000 }, () => 3 + 2 * rng.nextGaussian());
    const stats = computeTensorStats(values);
    expect(stats.mean).toBeCloseTo(3, 1);
    expect(stats.standardDeviation).toBeCloseTo(2, 1);
  });

  it('has no extremes for an empty tensor', () => {
    expect(computeTensorStats(new Float32Array())).toMatchObject({ min: null, mean: null });
  });
});

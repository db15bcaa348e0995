import { describe, expect, it } from 'vitest';
import { splitSamples } from './split-samples.js';

const samples = Array.from({ length: 50 }, (_, i) => i);

describe('holding samples out', () => {
  it('is a partition in source order, the same for the same seed', () => {
    const first = splitSamples(samples, 8, 7);
    expect(first.validation).toHaveLength(8);
    expect([...first.train, ...first.validation].sort((a, b) => a - b)).toEqual(samples);
    expect(first.validation).toEqual([...first.validation].sort((a, b) => a - b));
    expect(splitSamples(samples, 8, 7)).toEqual(first);
    expect(splitSamples(samples, 8, 8)).not.toEqual(first);
  });

  it('takes a share, at least one, and nothing for zero', () => {
    expect(splitSamples(samples, 0.1, 1).validation).toHaveLength(5);
    expect(splitSamples(samples, 0.001, 1).validation).toHaveLength(1);
    expect(splitSamples(samples, 0, 1).train).toEqual(samples);
  });

  it.each([50, 51, -1, 1.5, Number.NaN])('refuses val_size %d for 50 samples', (valSize) => {
    expect(() => splitSamples(samples, valSize, 1)).toThrow('does not fit 50 samples');
  });
});

import { createRng } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { LengthTally } from './length-tally.js';

const tallyOf = (lengths: readonly number[]) => {
  const tally = new LengthTally();
  for (const length of lengths) tally.add(length);
  return tally;
};

describe('lengths of samples', () => {
  it('are what sorting them gives', () => {
    const rng = createRng(4);
    const lengths = Array.from({ length: 1234 }, () => 1 + Math.floor(rng.nextInt(60) ** 2 / 3));
    const sorted = lengths.toSorted((a, b) => a - b);
    const rank = (share: number) => sorted[Math.ceil(share * sorted.length) - 1];
    const over = lengths.filter((length) => length > 500);
    const recommended = Math.ceil(rank(0.99)! / 64) * 64;
    expect(tallyOf(lengths).summarize(500)).toMatchObject({
      samples: 1234,
      tokens: lengths.reduce((a, b) => a + b, 0),
      median: rank(0.5),
      p90: rank(0.9),
      p99: rank(0.99),
      longest: sorted.at(-1),
      overCutoff: over.length,
      tokensOverCutoff: over.reduce((sum, length) => sum + length - 500, 0),
    });
    const { keptByRecommended, recommendedCutoff } = tallyOf(lengths).summarize(500);
    expect(recommendedCutoff).toBeGreaterThanOrEqual(recommended);
    expect(keptByRecommended).toBe(lengths.filter((length) => length <= recommendedCutoff).length);
  });

  it('recommend to keep all where that costs little, else 99 of a hundred', () => {
    const most = Array.from({ length: 99 }, () => 100);
    expect(tallyOf([...most, 120]).summarize(64).recommendedCutoff).toBe(128);
    expect(tallyOf([...most, 4000]).summarize(64)).toMatchObject({
      recommendedCutoff: 128,
      keptByRecommended: 99,
    });
  });

  it('can be of no samples', () => {
    expect(tallyOf([]).summarize(10)).toMatchObject({ samples: 0, longest: 0, overCutoff: 0 });
  });
});

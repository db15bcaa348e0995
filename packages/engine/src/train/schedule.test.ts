import { describe, expect, it } from 'vitest';
import { LR_SCHEDULER_TYPES, type LrSchedulerType, scheduleFactor } from './schedule.js';

const factors = (type: LrSchedulerType, warmupSteps: number, totalSteps: number): number[] =>
  Array.from({ length: totalSteps + 1 }, (_, step) =>
    scheduleFactor(type, { step, warmupSteps, totalSteps }),
  );

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 14);
}

describe('learning-rate schedules', () => {
  // Written out by hand from the formulas: eighths for linear, cosines of multiples of pi/8 for cosine.
  it('follows the linear schedule with two warm-up steps out of ten', () => {
    const expected = [0, 0.5, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0];
    expectClose(factors('linear', 2, 10), expected);
  });

  it('follows the cosine schedule with two warm-up steps out of ten', () => {
    const root = Math.SQRT1_2;
    const expected = [0, 0.5, 1, 0.9619397662556434, (1 + root) / 2, 0.6913417161825449, 0.5];
    expected.push(0.3086582838174551, (1 - root) / 2, 0.03806023374435663, 0);
    expectClose(factors('cosine', 2, 10), expected);
  });

  it('warms up to a constant', () => {
    expectClose(factors('constant_with_warmup', 4, 10), [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]);
  });

  it('ignores the warm-up when constant', () => {
    expectClose(factors('constant', 4, 4), [1, 1, 1, 1, 1]);
  });

  it('starts at the peak without warm-up', () => {
    expectClose(factors('linear', 0, 4), [1, 0.75, 0.5, 0.25, 0]);
    expectClose(factors('cosine', 0, 2), [1, 0.5, 0]);
  });

  it('stays finite and within 0 and 1 when the warm-up fills the whole run', () => {
    for (const type of LR_SCHEDULER_TYPES) {
      for (const factor of factors(type, 5, 5)) {
        expect(factor).toBeGreaterThanOrEqual(0);
        expect(factor).toBeLessThanOrEqual(1);
      }
    }
  });

  it('stays at zero after the last step of a linear decay', () => {
    expect(scheduleFactor('linear', { step: 14, warmupSteps: 2, totalSteps: 10 })).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import { formatSummary, isGood, summarise } from './test-summary.js';

const file = (status: string, ...tests: string[]) => ({
  status,
  assertionResults: tests.map((test) => ({ status: test })),
});

describe('summarise', () => {
  it('counts tests of every outcome', () => {
    const testResults = [
      file('failed', 'passed', 'failed', 'pending'),
      file('passed', 'passed', 'todo', 'skipped'),
    ];
    const summary = summarise({ testResults }, 1);
    expect(formatSummary(summary)).toBe('2 passed, 1 failed, 3 skipped');
    expect(isGood(summary)).toBe(false);
  });

  it('counts a file that could not be loaded, and an error outside any test', () => {
    expect(summarise({ testResults: [file('failed'), file('passed', 'passed')] }, 1).failed).toBe(
      1,
    );
    expect(summarise({ testResults: [file('passed', 'passed')] }, 1).failed).toBe(1);
  });

  it('takes a run in which nothing ran for a bad one', () => {
    expect(isGood(summarise({ testResults: [] }, 0))).toBe(false);
    expect(isGood(summarise({ testResults: [file('skipped', 'skipped')] }, 0))).toBe(false);
    expect(isGood(summarise({ testResults: [file('passed', 'passed')] }, 0))).toBe(true);
  });
});

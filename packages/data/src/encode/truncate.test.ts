import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shareLength, truncateTurns } from './truncate.js';

const turn = (source: number, target: number, tag = 0) => ({
  source: new Int32Array(source).fill(tag),
  target: new Int32Array(target).fill(tag + 1),
});
const lengthsOf = (turns: ReturnType<typeof truncateTurns>) =>
  turns.map((t) => [t.source.length, t.target.length]);

describe('sharing a length between question and answer', () => {
  it.each([
    [100, 20, 64, 44, 20],
    [10, 100, 64, 10, 54],
    [100, 100, 64, 32, 32],
    [50, 10, 64, 50, 10],
  ])('cuts (%i, %i) to %i as (%i, %i)', (source, target, cutoff, keptSource, keptTarget) => {
    expect(shareLength({ source, target }, cutoff)).toEqual({
      source: keptSource,
      target: keptTarget,
    });
  });

  it('never exceeds the cutoff and leaves what fits alone', () => {
    const size = fc.integer({ min: 0, max: 200 });
    fc.assert(
      fc.property(size, size, fc.integer({ min: 1, max: 300 }), (source, target, cutoff) => {
        fc.pre(source + target > 0);
        const kept = shareLength({ source, target }, cutoff);
        expect(kept.source + kept.target).toBeLessThanOrEqual(cutoff);
        if (source + target <= cutoff) expect(kept).toEqual({ source, target });
      }),
    );
  });
});

describe('cutting a dialogue', () => {
  it('spends the length from the first turn and leaves out turns past it', () => {
    const turns = [turn(10, 10), turn(10, 10), turn(10, 10)];
    expect(lengthsOf(truncateTurns(turns, 30, 'first'))).toEqual([
      [10, 10],
      [5, 5],
    ]);
  });

  it('spends it from the last turn when history is masked, and keeps the order', () => {
    const turns = [turn(10, 10, 0), turn(10, 4, 10), turn(6, 10, 20)];
    const kept = truncateTurns(turns, 22, 'last');
    expect(lengthsOf(kept)).toEqual([
      [5, 1],
      [6, 10],
    ]);
    expect(kept[1]!.target[0]).toBe(21);
  });
});

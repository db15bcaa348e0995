import { describe, expect, it } from 'vitest';
import { exactMatch, normaliseAnswer, wilsonInterval } from './exact-match.js';

describe('exactMatch', () => {
  it('counts equal answers and tells which', () => {
    const result = exactMatch(['Paris', 'rome', '4'], ['Paris', 'Rome', ['four', '4']]);
    expect(result).toMatchObject({ matched: 2, total: 3, matches: [true, false, true] });
    expect(result.accuracy).toBeCloseTo(2 / 3, 15);
  });

  it('ignores what it is told to ignore and nothing else', () => {
    const compare = (options: Parameters<typeof exactMatch>[2]): number =>
      exactMatch([' The  End. '], ['the end'], options).matched;
    expect(compare({})).toBe(0);
    expect(compare({ trim: true, ignoreCase: true, ignorePunctuation: true })).toBe(0);
    expect(compare({ collapseWhitespace: true, ignoreCase: true, ignorePunctuation: true })).toBe(
      1,
    );
  });

  it('compares composed and decomposed letters as equal', () => {
    expect(exactMatch(['caf\u00e9'], ['cafe\u0301']).matched).toBe(1);
    expect(normaliseAnswer('«Да»!', { ignorePunctuation: true, ignoreCase: true })).toBe('да');
  });

  it('has no accuracy over nothing', () => {
    expect(exactMatch([], [])).toMatchObject({ accuracy: null, interval: { low: 0, high: 1 } });
  });

  it('refuses lists that do not pair up', () => {
    expect(() => exactMatch(['a'], [])).toThrow(/1 predictions .* 0 references/);
  });
});

describe('wilsonInterval', () => {
  // The bounds are the roots of (p - k/n)^2 = z^2 p (1 - p) / n, so each must satisfy it.
  it.each([
    [8, 10],
    [1, 20],
    [50, 100],
    [263, 1000],
  ])('solves its defining equation for %d of %d', (k, n) => {
    const { low, high } = wilsonInterval(k, n);
    for (const p of [low, high]) {
      expect((p - k / n) ** 2).toBeCloseTo((1.959963984540054 ** 2 * p * (1 - p)) / n, 12);
    }
    expect(low).toBeLessThan(k / n);
    expect(high).toBeGreaterThan(k / n);
  });

  it('stays within 0 and 1 and keeps a width at the ends', () => {
    const none = wilsonInterval(0, 10);
    expect(none.low).toBe(0);
    expect(none.high).toBeCloseTo(0.2775, 4);
    expect(wilsonInterval(10, 10).high).toBe(1);
    expect(wilsonInterval(10, 10).low).toBeCloseTo(1 - none.high, 14);
  });
});

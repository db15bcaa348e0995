import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createScratch, mergeSymbols, reserveScratch } from './merge.js';
import { buildPairTable } from './pair-table.js';

interface Rule {
  readonly left: number;
  readonly right: number;
  readonly rank: number;
  readonly result: number;
}

function tableOf(rules: readonly Rule[]) {
  return buildPairTable({
    left: Int32Array.from(rules, (rule) => rule.left),
    right: Int32Array.from(rules, (rule) => rule.right),
    rank: Int32Array.from(rules, (rule) => rule.rank),
    result: Int32Array.from(rules, (rule) => rule.result),
  });
}

/** The definition, word for word: find the least rank, leftmost first, join, repeat. */
function naive(symbols: readonly number[], rules: readonly Rule[]): number[] {
  const last = new Map(rules.map((rule) => [`${rule.left},${rule.right}`, rule]));
  const word = [...symbols];
  for (;;) {
    let best = -1;
    let rank = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < word.length; i++) {
      const rule = last.get(`${word[i]},${word[i + 1]}`);
      if (rule !== undefined && rule.rank < rank) {
        rank = rule.rank;
        best = i;
      }
    }
    if (best < 0) {
      return word;
    }
    word.splice(best, 2, last.get(`${word[best]},${word[best + 1]}`)!.result);
  }
}

const rule = fc.record({
  left: fc.nat(9),
  right: fc.nat(9),
  rank: fc.nat(12),
  result: fc.nat(9),
});

describe('the merge loop', () => {
  it('joins the same pairs as the naive loop, short words and long', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 40 }),
        fc.array(fc.nat(9), { minLength: 0, maxLength: 120 }),
        (rules, word) => {
          const scratch = createScratch(4);
          reserveScratch(scratch, word.length);
          scratch.symbols.set(word);
          const length = mergeSymbols(scratch, word.length, tableOf(rules));
          expect([...scratch.symbols.slice(0, length)]).toEqual(naive(word, rules));
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });

  it('takes a hundred thousand equal symbols in well under a second', () => {
    const rules = Array.from({ length: 20 }, (_, i) => ({
      left: i,
      right: i,
      rank: i,
      result: i + 1,
    }));
    const count = 131_072;
    const scratch = createScratch(count);
    scratch.symbols.fill(0);
    const start = performance.now();
    expect(mergeSymbols(scratch, count, tableOf(rules))).toBe(1);
    expect(scratch.symbols[0]).toBe(17);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});

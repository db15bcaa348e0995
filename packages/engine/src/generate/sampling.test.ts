import { createRng } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  logProbabilities,
  type SamplingOptions,
  sampleToken,
  tokenDistribution,
} from './sampling.js';

/** The definitions, word by word, over plain sorted arrays. */
function naiveDistribution(
  logits: readonly number[],
  options: SamplingOptions,
  history: readonly number[],
): Map<number, number> {
  const { temperature = 1, topK = 0, topP = 1, minP = 0, repetitionPenalty = 1 } = options;
  const { frequencyPenalty = 0, presencePenalty = 0, order = 'transformers' } = options;
  const seen = history.slice(Math.max(0, history.length - (options.penaltyWindow ?? Infinity)));
  let list = logits.map((raw, id) => {
    const count = seen.filter((other) => other === id).length;
    let score = raw;
    if (count > 0) {
      score = score < 0 ? score * repetitionPenalty : score / repetitionPenalty;
      score -= count * frequencyPenalty + presencePenalty;
    }
    return { id, score };
  });
  const tempered = (): void => {
    list = list.map(({ id, score }) => ({ id, score: score / temperature }));
  };
  const softmax = (): number[] => {
    const max = Math.max(...list.map((x) => x.score));
    const exps = list.map((x) => Math.exp(x.score - max));
    const total = exps.reduce((a, b) => a + b, 0);
    return exps.map((x) => x / total);
  };
  if (order === 'transformers') tempered();
  list.sort((a, b) => b.score - a.score || a.id - b.id);
  if (topK > 0) list = list.slice(0, topK);
  if (topP < 1) {
    const p = softmax();
    let mass = 0;
    list = list.filter((_, i) => {
      const isKept = mass < topP;
      mass += p[i]!;
      return isKept;
    });
  }
  if (minP > 0) {
    const p = softmax();
    list = list.filter((_, i) => p[i]! >= minP * p[0]!);
  }
  if (order === 'llama.cpp') tempered();
  const p = softmax();
  return new Map(list.map(({ id }, i) => [id, p[i]!]));
}

const scores = fc.array(
  fc.integer({ min: -80, max: 80 }).map((x) => x / 8),
  { minLength: 1, maxLength: 60 },
);
const options = fc.record(
  {
    temperature: fc.constantFrom(0.3, 0.7, 1, 1.5),
    topK: fc.integer({ min: 0, max: 70 }),
    topP: fc.constantFrom(0.1, 0.37, 0.5, 0.83, 0.95, 1),
    minP: fc.constantFrom(0, 0.03, 0.11, 0.4),
    repetitionPenalty: fc.constantFrom(0.8, 1, 1.3),
    frequencyPenalty: fc.constantFrom(0, 0.25, -0.5),
    presencePenalty: fc.constantFrom(0, 0.75),
    penaltyWindow: fc.constantFrom(null, 0, 3),
    order: fc.constantFrom('transformers' as const, 'llama.cpp' as const),
  },
  { requiredKeys: [] },
);
const history = fc.array(fc.nat(59), { maxLength: 12 });

describe('tokenDistribution', () => {
  it('equals the definitions applied to sorted lists', () => {
    fc.assert(
      fc.property(scores, options, history, (logits, settings, seen) => {
        const expected = naiveDistribution(logits, settings, seen);
        const actual = tokenDistribution(Float32Array.from(logits), settings, seen);
        expect([...actual.ids].sort((a, b) => a - b)).toEqual(
          [...expected.keys()].sort((a, b) => a - b),
        );
        for (const [i, id] of actual.ids.entries()) {
          expect(actual.probabilities[i]).toBeCloseTo(expected.get(id)!, 10);
        }
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  it('keeps exactly k tokens, of equals the lower ids', () => {
    const { ids } = tokenDistribution(Float32Array.of(1, 3, 3, 3, 0), { topK: 2 });
    expect([...ids].sort()).toEqual([1, 2]);
  });

  it('tempers before the filters or after them, as ordered', () => {
    // Untempered p = 0.6, 0.3, 0.1: two tokens reach 0.9; at a temperature of 2 it takes all three.
    const logits = Float32Array.from([0.6, 0.3, 0.1].map(Math.log));
    const settings = { temperature: 2, topP: 0.85 };
    expect(tokenDistribution(logits, settings).ids).toHaveLength(3);
    const after = tokenDistribution(logits, { ...settings, order: 'llama.cpp' });
    expect(after.ids).toHaveLength(2);
    expect(after.probabilities[0]).toBeCloseTo(Math.SQRT2 / (1 + Math.SQRT2), 6);
  });

  it('holds all of the probability on one token at a temperature of 0', () => {
    const { ids, probabilities } = tokenDistribution(Float32Array.of(0, 5, 5), { temperature: 0 });
    expect([[...ids], [...probabilities]]).toEqual([[1], [1]]);
  });

  it('never considers a token whose score is -infinity', () => {
    const { ids } = tokenDistribution(Float32Array.of(-Infinity, 0, -Infinity, 0), { topK: 4 });
    expect([...ids]).toEqual([1, 3]);
  });

  it('stays finite at tiny temperatures and huge scores', () => {
    const logits = Float32Array.of(3e38, 2e38, -3e38);
    for (const temperature of [1e-310, 1e-30, 1e30]) {
      const { probabilities } = tokenDistribution(logits, { temperature });
      expect(probabilities.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 12);
    }
  });

  it('filters a vocabulary of 150,000 as the definitions do', () => {
    const rng = createRng(3);
    const logits = Float32Array.from({ length: 150_000 }, () => 3 * rng.nextGaussian());
    const settings = { topP: 0.9, temperature: 0.8 };
    const expected = naiveDistributionIds(logits, settings);
    const { ids } = tokenDistribution(logits, settings);
    expect(new Set(ids)).toEqual(expected);
  });
});

function naiveDistributionIds(logits: Float32Array, { topP = 1, temperature = 1 }): Set<number> {
  const exps = Array.from(logits, (x, id) => ({ id, e: Math.exp(x / temperature) }));
  const total = exps.reduce((sum, { e }) => sum + e, 0);
  exps.sort((a, b) => b.e - a.e || a.id - b.id);
  const kept = new Set<number>();
  let mass = 0;
  for (const { id, e } of exps) {
    if (mass >= topP) break;
    kept.add(id);
    mass += e / total;
  }
  return kept;
}

describe('sampleToken', () => {
  const logits = Float32Array.from([0.5, 0.25, 0.125, 0.125].map(Math.log));
  const tokens = (settings: SamplingOptions, seed: number, count: number): number[] => {
    const rng = createRng(seed);
    return Array.from({ length: count }, () => sampleToken(logits, settings, { rng, history: [] }));
  };

  it('draws tokens as often as their probability says', () => {
    const drawn = tokens({}, 1, 20_000);
    const chiSquared = [0.5, 0.25, 0.125, 0.125].reduce((sum, p, id) => {
      const count = drawn.filter((token) => token === id).length;
      return sum + (count - 20_000 * p) ** 2 / (20_000 * p);
    }, 0);
    // 99.9 % quantile of the chi-squared distribution with three degrees of freedom.
    expect(chiSquared).toBeLessThan(16.27);
  });

  it('draws the same tokens from the same seed, and others from another', () => {
    expect(tokens({ temperature: 0.9 }, 7, 50)).toEqual(tokens({ temperature: 0.9 }, 7, 50));
    expect(tokens({ temperature: 0.9 }, 7, 50)).not.toEqual(tokens({ temperature: 0.9 }, 8, 50));
  });

  it('takes the first of the most likely tokens at a temperature of 0, without a random number', () => {
    const rng = createRng(1);
    const before = rng.state();
    expect(sampleToken(Float32Array.of(1, 4, 4), { temperature: 0 }, { rng, history: [] })).toBe(1);
    expect(rng.state()).toEqual(before);
    const greedy = { temperature: 0, repetitionPenalty: 3 };
    expect(sampleToken(Float32Array.of(1, 2, 1.5), greedy, { rng, history: [1] })).toBe(2);
  });

  it('leaves the scores as they are', () => {
    const copy = logits.slice();
    tokens({ temperature: 0.5, topK: 2, repetitionPenalty: 2 }, 1, 1);
    expect(logits).toEqual(copy);
  });

  it('draws a possible token whatever the random number', () => {
    const extreme = Float32Array.of(-Infinity, -1e30, 0, -1e30);
    for (const value of [0, 1 - 2 ** -32]) {
      const rng = { ...createRng(1), next: () => value };
      expect(sampleToken(extreme, {}, { rng, history: [] })).toBeGreaterThan(0);
    }
  });

  it.each([
    ['a NaN', [0, Number.NaN, 1]],
    ['a NaN in front', [Number.NaN, 1]],
    ['an infinity', [0, Infinity]],
    ['nothing possible', [-Infinity, -Infinity]],
    ['nothing at all', []],
  ])('refuses scores with %s', (_, values) => {
    for (const temperature of [0, 1]) {
      const draw = () =>
        sampleToken(Float32Array.from(values), { temperature }, { rng: createRng(1), history: [] });
      expect(draw).toThrow(expect.objectContaining({ code: 'GENERATE_BAD_LOGITS' }) as Error);
    }
  });

  it.each([
    ['temperature', -0.1, /temperature is -0.1/],
    ['topK', 1.5, /top_k is 1.5/],
    ['topP', 0, /top_p is 0/],
    ['minP', 1.1, /min_p is 1.1/],
    ['repetitionPenalty', 0, /repetition_penalty is 0/],
    ['penaltyWindow', -1, /penalty_window is -1/],
    ['presencePenalty', Number.NaN, /presence_penalty is NaN/],
  ] as const)('refuses %s = %d by its written name', (name, value, message) => {
    expect(() => tokenDistribution(logits, { [name]: value })).toThrow(message);
  });
});

describe('logProbabilities', () => {
  it('are the logarithms of the softmax, unaffected by any sampling setting', () => {
    const p = [0.1, 0.6, 0.3];
    const logits = Float32Array.from(p.map((x) => Math.log(x) + 5));
    const { given, top } = logProbabilities(logits, { ids: [2, 0], topK: 2 });
    expect(given[0]).toBeCloseTo(Math.log(0.3), 6);
    expect(given[1]).toBeCloseTo(Math.log(0.1), 6);
    expect(top.map(({ id }) => id)).toEqual([1, 2]);
    expect(top[0]!.logProbability).toBeCloseTo(Math.log(0.6), 6);
  });
});

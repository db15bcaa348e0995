import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { RopeScaling } from '../config/model-config.js';
import { parseModelConfig } from '../config/parse-config.js';
import { llama3Factors, recoverLlama3Scaling, ropeFrequencies } from './frequencies.js';

type Yarn = Extract<RopeScaling, { type: 'yarn' }>;

const YARN: Yarn = {
  type: 'yarn',
  factor: 4,
  originalMaxPositionEmbeddings: 32768,
  attentionFactor: null,
  betaFast: 32,
  betaSlow: 1,
  mscale: null,
  mscaleAllDim: null,
  truncate: true,
};

/**
 * YaRN straight from section 3.2 of the paper: each pair's number of turns over the trained context decides
 * how much of it is interpolated, the ramp being linear in the pair's index between the indices at which
 * the turns are betaFast and betaSlow (found here by bisection, not by the closed form).
 */
function yarnByTurns(headDim: number, theta: number, s: Yarn): number[] {
  const turns = (i: number): number =>
    (s.originalMaxPositionEmbeddings * theta ** ((-2 * i) / headDim)) / (2 * Math.PI);
  const indexOfTurns = (target: number): number => {
    let low = -10_000;
    let high = 10_000;
    for (let step = 0; step < 200; step++) {
      const middle = (low + high) / 2;
      if (turns(middle) > target) low = middle;
      else high = middle;
    }
    return low;
  };
  const round = (x: number, f: (x: number) => number): number => (s.truncate ? f(x) : x);
  const from = Math.max(0, round(indexOfTurns(s.betaFast), Math.floor));
  const to = Math.min(headDim - 1, round(indexOfTurns(s.betaSlow), Math.ceil));
  return Array.from({ length: headDim / 2 }, (_, i) => {
    const ramp = Math.min(1, Math.max(0, (i - from) / (to === from ? 0.001 : to - from)));
    const plain = theta ** ((-2 * i) / headDim);
    return (plain / s.factor) * ramp + plain * (1 - ramp);
  });
}

function expectClose(found: Float64Array, expected: readonly number[]): void {
  expect(found.length).toBe(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value / expected[i]! - 1), `pair ${i}`).toBeLessThan(1e-9);
  });
}

describe('ropeFrequencies', () => {
  it('is a geometric series from 1 down to one step above 1/theta', () => {
    const { inverseFrequencies, attentionScaling } = ropeFrequencies({
      headDim: 8,
      ropeTheta: 10_000,
      ropeScaling: null,
    });
    expectClose(inverseFrequencies, [1, 0.1, 0.01, 0.001]);
    expect(attentionScaling).toBe(1);
  });

  it('divides every frequency by a linear factor', () => {
    const { inverseFrequencies } = ropeFrequencies({
      headDim: 4,
      ropeTheta: 10_000,
      ropeScaling: { type: 'linear', factor: 4 },
    });
    expectClose(inverseFrequencies, [0.25, 0.0025]);
  });

  it('leaves fast llama3 pairs, divides slow ones, and blends between', () => {
    // theta 10^4 and head dim 8 give wavelengths 2π·{1, 10, 100, 1000}; with an original context of 1000,
    // low 1 and high 4 the bounds are 1000 and 250: pair 2 (628.3) lies between, pair 3 (6283) beyond.
    const { inverseFrequencies } = ropeFrequencies({
      headDim: 8,
      ropeTheta: 10_000,
      ropeScaling: {
        type: 'llama3',
        factor: 8,
        lowFreqFactor: 1,
        highFreqFactor: 4,
        originalMaxPositionEmbeddings: 1000,
      },
    });
    const smooth = (1000 / (200 * Math.PI) - 1) / 3;
    const blended = (1 - smooth) * (0.01 / 8) + smooth * 0.01;
    expectClose(inverseFrequencies, [1, 0.1, blended, 0.001 / 8]);
  });

  it.each([
    ['Qwen2.5 and Qwen3 long context', 128, 1_000_000, YARN],
    ['no truncation', 128, 1_000_000, { ...YARN, truncate: false }],
    ['other betas', 64, 10_000, { ...YARN, betaFast: 16, betaSlow: 2, factor: 16 }],
    [
      'short context where the range is cut at 0',
      64,
      10_000,
      { ...YARN, originalMaxPositionEmbeddings: 128 },
    ],
  ] as const)('matches YaRN computed from turns: %s', (_name, headDim, ropeTheta, scaling) => {
    const { inverseFrequencies } = ropeFrequencies({ headDim, ropeTheta, ropeScaling: scaling });
    expectClose(inverseFrequencies, yarnByTurns(headDim, ropeTheta, scaling));
  });

  it('scales cos and sin as YaRN states: by the formula, by mscale, or as told', () => {
    const scaleOf = (fields: Partial<Yarn>): number =>
      ropeFrequencies({ headDim: 128, ropeTheta: 1e6, ropeScaling: { ...YARN, ...fields } })
        .attentionScaling;
    expect(scaleOf({})).toBeCloseTo(0.1 * Math.log(4) + 1, 12);
    expect(scaleOf({ factor: 0.5 })).toBe(1);
    expect(scaleOf({ mscale: 1, mscaleAllDim: 0.5 })).toBeCloseTo(
      (0.1 * Math.log(4) + 1) / (0.05 * Math.log(4) + 1),
      12,
    );
    expect(scaleOf({ attentionFactor: 1.5 })).toBe(1.5);
  });

  it('recovers the llama3 scaling from the divisors that GGUF stores', () => {
    const config = { headDim: 64, ropeTheta: 500_000, ropeScaling: null };
    const scaling = {
      type: 'llama3',
      factor: 32,
      lowFreqFactor: 1,
      highFreqFactor: 4,
      originalMaxPositionEmbeddings: 8192,
    } as const;
    const factors = [...Float32Array.from(llama3Factors(config, scaling))];
    expect(recoverLlama3Scaling(config, factors)).toEqual(scaling);
    expect(recoverLlama3Scaling(config, factors.with(3, 1.5))).toBeNull();
    const { inverseFrequencies } = ropeFrequencies({
      ...config,
      ropeScaling: { type: 'factors', factors: [...llama3Factors(config, scaling)] },
    });
    expectClose(inverseFrequencies, [
      ...ropeFrequencies({ ...config, ropeScaling: scaling }).inverseFrequencies,
    ]);
  });
});

interface RopeFixture {
  readonly cases: readonly {
    readonly name: string;
    readonly config: Record<string, unknown>;
    readonly inverseFrequencies: readonly number[];
    readonly attentionScaling: number;
  }[];
}

describe('ropeFrequencies against transformers', () => {
  const path = new URL('../../test/fixtures/rope.json', import.meta.url);
  const { cases } = JSON.parse(readFileSync(path, 'utf8')) as RopeFixture;

  it.each(cases.map((c) => [c.name, c] as const))('agrees to f32 rounding: %s', (_name, c) => {
    const config = parseModelConfig(
      {
        architectures: ['LlamaForCausalLM'],
        intermediate_size: 64,
        num_hidden_layers: 1,
        vocab_size: 64,
        ...c.config,
      },
      'rope.json',
    );
    const { inverseFrequencies, attentionScaling } = ropeFrequencies(config);
    expect(inverseFrequencies.length).toBe(c.inverseFrequencies.length);
    // transformers raises and divides in f32; at small frequencies its own error reaches a few ulps.
    inverseFrequencies.forEach((value, i) => {
      expect(Math.abs(value / c.inverseFrequencies[i]! - 1), `pair ${i}`).toBeLessThan(3e-6);
    });
    expect(attentionScaling).toBeCloseTo(c.attentionScaling, 12);
  });
});

import { describe, expect, it } from 'vitest';
import { BigramModel, bigramRows } from '../test/bigram-model.js';
import { DEFAULT_TRAINING_SETTINGS } from './settings.js';
import { clipCoefficient, runStep } from './step.js';

const settings = { ...DEFAULT_TRAINING_SETTINGS, weightDecay: 0.1 };
const rows = bigramRows(8, 7, 5);
const input = { updates: 0, learningRate: 0.1, settings };

describe('runStep', () => {
  it('gives the same step for a batch of 8 and for 8 micro-batches of unequal lengths', async () => {
    const [wide, deep] = [new BigramModel(7), new BigramModel(7)];
    const one = await runStep(wide, { ...input, microBatches: [rows] });
    const eight = await runStep(deep, { ...input, microBatches: rows.map((row) => [row]) });
    expect(new Set(rows.map((row) => row.ids.length)).size).toBeGreaterThan(3);
    expect(eight.loss).toBeCloseTo(one.loss!, 12);
    expect(eight.gradNorm).toBeCloseTo(one.gradNorm!, 12);
    expect(eight).toMatchObject({ tokens: one.tokens, learnedTokens: one.learnedTokens });
    const [a, b] = [await wide.readState(), await deep.readState()];
    for (const [i, tensor] of a.entries()) expect(b[i]!.value).toEqual(tensor.value);
  });

  it('reports the mean loss per learned token: ln V before anything is learned', async () => {
    const outcome = await runStep(new BigramModel(7), { ...input, microBatches: [rows] });
    expect(outcome.loss).toBeCloseTo(Math.log(7), 12);
  });

  it('scales the gradient by learned tokens and the clip, and counts updates for AdamW', async () => {
    const model = new BigramModel(7);
    const clipped = { ...settings, maxGradNorm: 0.01 };
    const outcome = await runStep(model, {
      ...input,
      updates: 41,
      settings: clipped,
      microBatches: [rows],
    });
    const [step] = model.steps;
    expect(step).toMatchObject({ step: 42, learningRate: 0.1, weightDecay: 0.1, eps: 1e-8 });
    const clip = 0.01 / (outcome.gradNorm! + 1e-6);
    expect(step!.gradientScale).toBeCloseTo(clip / outcome.learnedTokens, 15);
    expect(outcome.gradNorm).toBeGreaterThan(0.01);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('skips a step whose loss is %s', async (loss) => {
    const model = new BigramModel(7);
    model.faults.set(1, loss);
    const before = await model.readState();
    const outcome = await runStep(model, { ...input, microBatches: [rows] });
    expect(outcome).toMatchObject({ loss: null, gradNorm: null, skipped: 'non_finite_loss' });
    expect(await model.readState()).toEqual(before);
    expect(await model.gradientNorm()).toBe(0);
  });

  it('skips a step whose gradient is not finite', async () => {
    const model = new BigramModel(7);
    model.gradientNorm = () => Promise.resolve(Number.POSITIVE_INFINITY);
    const outcome = await runStep(model, { ...input, microBatches: [rows] });
    expect(outcome.skipped).toBe('non_finite_gradient');
    expect(model.steps).toEqual([]);
  });

  it('skips a step without a token to learn', async () => {
    const model = new BigramModel(7);
    const unlearned = rows.map((row) => ({ ...row, learned: new Uint8Array(row.ids.length) }));
    const outcome = await runStep(model, { ...input, microBatches: [unlearned] });
    expect(outcome).toMatchObject({ skipped: 'no_learned_tokens', learnedTokens: 0 });
    expect(outcome.tokens).toBe(rows.reduce((sum, row) => sum + row.ids.length, 0));
  });
});

describe('clipCoefficient', () => {
  it('brings the norm to the limit, never enlarges, and is off at 0', () => {
    expect(clipCoefficient(4, 1)).toBeCloseTo(0.25, 6);
    expect(clipCoefficient(0.5, 1)).toBe(1);
    expect(clipCoefficient(1e9, 0)).toBe(1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { measurePacks, measureRows, planTrainingRun, type TrainingPlanOptions } from './plan.js';

const options: TrainingPlanOptions = {
  perDeviceTrainBatchSize: 2,
  gradientAccumulationSteps: 4,
  numTrainEpochs: 3,
  maxSteps: null,
  warmupSteps: 0,
  warmupRatio: 0,
  dataloaderDropLast: false,
  saveStrategy: 'steps',
  saveSteps: 5,
  evalStrategy: 'no',
  evalSteps: 5,
  loadBestModelAtEnd: false,
};

const rows = (count: number, tokens = 10, learned = 4) => ({
  tokens: new Array<number>(count).fill(tokens),
  learnedTokens: new Array<number>(count).fill(learned),
});

describe('planTrainingRun', () => {
  it('counts a partial accumulation at the end of an epoch as a step', () => {
    const plan = planTrainingRun(rows(19), options);
    expect(plan).toMatchObject({
      microBatchesPerEpoch: 10,
      stepsPerEpoch: 3,
      totalSteps: 9,
      epochs: 3,
    });
    expect(plan).toMatchObject({ tokensPerEpoch: 190, learnedTokensPerEpoch: 76 });
  });

  it('leaves the last short micro-batch out when asked', () => {
    const plan = planTrainingRun(rows(19), { ...options, dataloaderDropLast: true });
    expect(plan).toMatchObject({ microBatchesPerEpoch: 9, stepsPerEpoch: 3 });
  });

  it('rounds a fractional number of epochs up to whole steps', () => {
    expect(planTrainingRun(rows(80), { ...options, numTrainEpochs: 0.25 }).totalSteps).toBe(3);
    expect(planTrainingRun(rows(80), { ...options, numTrainEpochs: 1.51 }).totalSteps).toBe(16);
  });

  it('lets max_steps override the epochs', () => {
    const plan = planTrainingRun(rows(80), { ...options, maxSteps: 15 });
    expect(plan).toMatchObject({ totalSteps: 15, stepsPerEpoch: 10, epochs: 1.5 });
  });

  it('rounds the warm-up ratio up and prefers warm-up steps', () => {
    expect(planTrainingRun(rows(80), { ...options, warmupRatio: 0.05 }).warmupSteps).toBe(2);
    const both = { ...options, warmupRatio: 0.5, warmupSteps: 7 };
    expect(planTrainingRun(rows(80), both).warmupSteps).toBe(7);
  });

  it('saves at every interval and at the last step', () => {
    expect(planTrainingRun(rows(80), { ...options, maxSteps: 12 }).saveSteps).toEqual([5, 10, 12]);
    expect(planTrainingRun(rows(80), { ...options, maxSteps: 10 }).saveSteps).toEqual([5, 10]);
    const epochs = { ...options, saveStrategy: 'epoch', maxSteps: 25 } as const;
    expect(planTrainingRun(rows(80), epochs).saveSteps).toEqual([10, 20, 25]);
    expect(planTrainingRun(rows(80), { ...options, saveStrategy: 'no' }).saveSteps).toEqual([]);
  });

  it('evaluates before, between and after', () => {
    const plan = planTrainingRun(rows(80), { ...options, evalStrategy: 'steps', evalSteps: 0.3 });
    expect(plan.evalSteps).toEqual([0, 9, 18, 27, 30]);
  });

  it('refuses the best model where a saved step is not evaluated', () => {
    const best = { ...options, loadBestModelAtEnd: true, evalStrategy: 'steps' } as const;
    expect(planTrainingRun(rows(80), best).saveSteps).toHaveLength(6);
    expect(() => planTrainingRun(rows(80), { ...best, evalSteps: 4 })).toThrow(/step 5 is saved/);
    expect(() => planTrainingRun(rows(80), { ...best, saveStrategy: 'no' })).toThrow(
      /no checkpoint/,
    );
  });

  it('refuses settings that give nothing to train', () => {
    expect(() => planTrainingRun(rows(0), options)).toThrow(/has no rows/);
    expect(() => planTrainingRun(rows(1), { ...options, dataloaderDropLast: true })).toThrow(
      /1 rows do not fill one batch of 2/,
    );
    expect(() => planTrainingRun(rows(5, 10, 0), options)).toThrow(/None of the 5/);
  });

  it.each([
    ['perDeviceTrainBatchSize', 0, /per_device_train_batch_size is 0/],
    ['gradientAccumulationSteps', 1.5, /gradient_accumulation_steps is 1.5/],
    ['numTrainEpochs', 0, /num_train_epochs is 0/],
    ['maxSteps', 0, /max_steps is 0/],
    ['warmupRatio', 1.2, /warmup_ratio is 1.2/],
    ['warmupSteps', -1, /warmup_steps is -1/],
    ['saveSteps', 0, /save_steps is 0/],
  ] as const)('refuses %s = %s by its written name', (name, value, message) => {
    expect(() => planTrainingRun(rows(8), { ...options, [name]: value })).toThrow(message);
  });

  it('keeps every stop within the run, ascending and ending with the last step', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 500 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 60 }),
        (count, batch, accumulation, every) => {
          const plan = planTrainingRun(rows(count), {
            ...options,
            perDeviceTrainBatchSize: batch,
            gradientAccumulationSteps: accumulation,
            saveSteps: every,
          });
          expect(plan.stepsPerEpoch).toBe(Math.ceil(Math.ceil(count / batch) / accumulation));
          expect(plan.saveSteps.at(-1)).toBe(plan.totalSteps);
          expect([...new Set(plan.saveSteps)].sort((a, b) => a - b)).toEqual(plan.saveSteps);
        },
      ),
    );
  });
});

describe('row sizes', () => {
  it('counts tokens and labels of rows', () => {
    const row = {
      ids: Int32Array.of(1, 2, 3),
      learned: Uint8Array.of(0, 1, 1),
      segmentLengths: [3],
    };
    expect(measureRows([row])).toEqual({ tokens: [3], learnedTokens: [2] });
  });

  it('adds the sizes of the samples of a pack', () => {
    const samples = { tokens: [5, 7, 9], learnedTokens: [1, 2, 3] };
    expect(measurePacks(samples, [[2, 0], [1]])).toEqual({
      tokens: [14, 7],
      learnedTokens: [4, 2],
    });
  });
});

import { describe, expect, it } from 'vitest';
import { BigramModel, bigramRows } from '../test/bigram-model.js';
import { evaluateLoss } from './evaluate-loss.js';

const rows = bigramRows(23, 7, 9);

async function trainedModel(): Promise<BigramModel> {
  const model = new BigramModel(7);
  for (let step = 1; step <= 5; step++) {
    await model.accumulate(rows);
    const adam = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };
    await model.update({ ...adam, step, learningRate: 0.3, gradientScale: 0.01 });
  }
  return model;
}

describe('evaluateLoss', () => {
  it('is the mean over all learned tokens, not over rows or batches', async () => {
    const model = await trainedModel();
    const losses = rows.flatMap(({ ids, learned }) =>
      [...ids.keys()]
        .filter((t) => learned[t] === 1)
        .map((t) => -Math.log(model.predict(ids[t - 1]!)[ids[t]!]!)),
    );
    const mean = losses.reduce((a, b) => a + b) / losses.length;
    for (const batchSize of [1, 4, 100]) {
      const evaluation = await evaluateLoss(model, rows, batchSize);
      expect(evaluation.loss).toBeCloseTo(mean, 12);
      expect(evaluation.perplexity).toBeCloseTo(Math.exp(mean), 10);
      expect(evaluation).toMatchObject({ learnedTokens: losses.length, rows: 23 });
    }
  });

  it('has the perplexity of the vocabulary when every token is equally likely', async () => {
    expect((await evaluateLoss(new BigramModel(7), rows, 4)).perplexity).toBeCloseTo(7, 10);
  });

  it('reads the longest rows first and reports progress to the last row', async () => {
    const lengths: number[] = [];
    const model = {
      evaluate: (batch: typeof rows) => {
        lengths.push(...batch.map((row) => row.ids.length));
        return Promise.resolve({ lossSum: 1, learnedTokens: 1 });
      },
    };
    const done: number[] = [];
    await evaluateLoss(model as unknown as BigramModel, rows, 10, {
      onProgress: ({ rowsDone }) => done.push(rowsDone),
    });
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
    expect(done).toEqual([10, 20, 23]);
  });

  it('stops between two batches when cancelled', async () => {
    const model = new BigramModel(7);
    const abort = new AbortController();
    const run = evaluateLoss(model, rows, 4, {
      signal: abort.signal,
      onProgress: () => abort.abort(),
    });
    await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(model.evaluateCalls).toBe(1);
  });

  it('refuses rows without a label', async () => {
    const unlearned = rows.map((row) => ({ ...row, learned: new Uint8Array(row.ids.length) }));
    await expect(evaluateLoss(new BigramModel(7), unlearned, 4)).rejects.toMatchObject({
      code: 'EVALUATE_NO_LEARNED_TOKENS',
    });
    await expect(evaluateLoss(new BigramModel(7), [], 4)).rejects.toThrow(/None of the 0/);
  });
});

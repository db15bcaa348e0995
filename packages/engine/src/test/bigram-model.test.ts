import { describe, expect, it } from 'vitest';
import { BigramModel, bigramRows } from './bigram-model.js';

const adam = { beta1: 0, beta2: 0, eps: 1, weightDecay: 0, gradientScale: 1, learningRate: 1 };

describe('BigramModel', () => {
  it('has the gradient that finite differences show', async () => {
    const rows = bigramRows(4, 5, 3);
    const model = new BigramModel(5);
    await model.accumulate(rows);
    await model.update({ ...adam, step: 1 });
    const [weight] = await model.readState();
    await model.accumulate(rows);
    await model.update({ ...adam, step: 2, learningRate: 0 });
    const gradient = (await model.readState())[0]!.firstMoment;
    const lossWith = async (index: number, delta: number): Promise<number> => {
      const state = await model.readState();
      const value = Float32Array.from(weight!.value);
      value[index]! += delta;
      await model.writeState([{ ...state[0]!, value }, state[1]!]);
      return (await model.evaluate(rows)).lossSum;
    };
    for (const index of [0, 7, 12, 24]) {
      const slope = ((await lossWith(index, 1e-2)) - (await lossWith(index, -1e-2))) / 2e-2;
      expect(gradient[index]).toBeCloseTo(slope, 3);
    }
  });
});

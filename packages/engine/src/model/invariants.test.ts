/** What must not change the gradient: packing, batching, accumulation, threads. And finite differences. */
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { liveHandleCount } from '@tuneyard/ggml';
import { openModel } from '@tuneyard/weights';
import { expect, it } from 'vitest';
import { GraphTrainingModel, type TrainingModelOptions } from './graph-training-model.js';

const folder = (family: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/tiny/${family}`, import.meta.url));

const LORA = {
  config: {
    rank: 4,
    alpha: 8,
    rslora: false,
    dropout: 0,
    targetModules: ['all'],
    baseModel: null,
    rankPattern: {},
    alphaPattern: {},
  },
  pairs: null,
};

async function open(
  family: string,
  options: Partial<TrainingModelOptions> = {},
): Promise<GraphTrainingModel> {
  const source = await openModel(folder(family));
  try {
    return await GraphTrainingModel.open(source, {
      threads: 1,
      baseType: 'auto',
      adapter: null,
      seed: 3,
      recompute: false,
      ...options,
    });
  } finally {
    await source.close();
  }
}

function randomRow(length: number, seed: number): PackedRow {
  const rng = createRng(seed);
  return {
    ids: Int32Array.from({ length }, () => 3 + rng.nextInt(90)),
    learned: Uint8Array.from({ length }, (_, i) => (i > 1 && rng.next() < 0.6 ? 1 : 0)),
    segmentLengths: [length],
  };
}

const packed = (rows: readonly PackedRow[]): PackedRow => ({
  ids: Int32Array.from(rows.flatMap((r) => [...r.ids])),
  learned: Uint8Array.from(rows.flatMap((r) => [...r.learned])),
  segmentLengths: rows.map((r) => r.ids.length),
});

/** Loss and flattened gradient after accumulating the given micro-batches. */
async function accumulated(
  model: GraphTrainingModel,
  batches: readonly (readonly PackedRow[])[],
): Promise<{ loss: number; gradient: Float64Array }> {
  await model.zeroGradients();
  let loss = 0;
  for (const rows of batches) loss += (await model.accumulate(rows)).lossSum;
  return {
    loss,
    gradient: Float64Array.from([...model.readGradients().values()].flatMap((g) => [...g])),
  };
}

function expectSame(
  a: { loss: number; gradient: Float64Array },
  b: { loss: number; gradient: Float64Array },
): void {
  expect(Math.abs(a.loss / b.loss - 1)).toBeLessThan(1e-6);
  let error = 0;
  let norm = 0;
  for (const [i, g] of b.gradient.entries()) {
    error += (g - a.gradient[i]!) ** 2;
    norm += g * g;
  }
  expect(Math.sqrt(error / norm)).toBeLessThan(1e-5);
}

const lengths = [5, 31, 17, 12, 40, 9, 26, 33];

it.each(['llama', 'qwen3', 'llama3'])(
  'packed rows have the loss and gradient of separate ones (%s)',
  async (family) => {
    using model = await open(family);
    const rows = lengths.map((n, i) => randomRow(n, 10 + i));
    const separate = await accumulated(model, [rows]);
    // 173 tokens: long enough for several query blocks.
    expectSame(await accumulated(model, [[packed(rows)]]), separate);
    expectSame(
      await accumulated(model, [[packed(rows.slice(0, 3)), packed(rows.slice(3))]]),
      separate,
    );
  },
);

it('a batch of 8 is 8 accumulated batches of 1, with unequal lengths', async () => {
  using model = await open('qwen2');
  const rows = lengths.map((n, i) => randomRow(n, 30 + i));
  expectSame(
    await accumulated(
      model,
      rows.map((r) => [r]),
    ),
    await accumulated(model, [rows]),
  );
});

it('skipping masked query blocks and recomputing layers change nothing', async () => {
  const rows = [randomRow(300, 50), randomRow(180, 51)];
  using plain = await open('mistral', { adapter: LORA });
  using recomputing = await open('mistral', { adapter: LORA, recompute: true });
  const whole = await accumulated(plain, [rows]);
  expectSame(await accumulated(recomputing, [rows]), whole);
  // One by one, the 180-token row runs in two query blocks instead of four.
  expectSame(
    await accumulated(
      plain,
      rows.map((r) => [r]),
    ),
    whole,
  );
});

it('two threads give the bytes of one', async () => {
  const rows = [randomRow(64, 60), randomRow(50, 61)];
  using one = await open('llama', { adapter: LORA });
  using two = await open('llama', { adapter: LORA, threads: 2 });
  const a = await accumulated(one, [rows]);
  const b = await accumulated(two, [rows]);
  expect(b.loss).toBe(a.loss);
  expect(Buffer.compare(Buffer.from(a.gradient.buffer), Buffer.from(b.gradient.buffer))).toBe(0);
});

it('two replicas give the gradient of one worker, and the same bytes every time', async () => {
  const rows = lengths.map((n, i) => randomRow(n, 90 + i));
  using one = await open('llama', { adapter: LORA });
  using two = await open('llama', { adapter: LORA, threads: 2, replicas: 2 });
  const first = await accumulated(two, [rows]);
  expectSame(first, await accumulated(one, [rows]));
  const again = await accumulated(two, [rows]);
  expect(
    Buffer.compare(Buffer.from(again.gradient.buffer), Buffer.from(first.gradient.buffer)),
  ).toBe(0);
  expect(await two.gradientNorm()).toBeCloseTo(await one.gradientNorm(), 3);
});

it.each(['llama', 'qwen2', 'qwen3', 'llama-bias'])(
  'gradients agree with central differences along random directions (%s)',
  async (family) => {
    using model = await open(family);
    const rows = [randomRow(20, 70), randomRow(13, 71)];
    await accumulated(model, [rows]);
    const gradients = model.readGradients();
    const state = await model.readState();
    const rng = createRng(5);
    for (const [name, gradient] of gradients) {
      const direction = Float32Array.from(gradient, () => rng.nextGaussian());
      const step = 4e-3 / Math.sqrt(direction.length);
      const lossAt = async (t: number): Promise<number> => {
        await model.writeState(
          state.map((s) =>
            s.name === name ? { ...s, value: s.value.map((x, i) => x + t * direction[i]!) } : s,
          ),
        );
        return (await model.evaluate(rows)).lossSum;
      };
      const measured = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
      const predicted = direction.reduce((sum, d, i) => sum + d * gradient[i]!, 0);
      const size = Math.sqrt(gradient.reduce((sum, g) => sum + g * g, 0));
      // f32 losses near 100 carry about 1e-5 of noise, which the step turns into 0.05.
      expect(Math.abs(measured - predicted), name).toBeLessThan(0.02 * size + 0.05);
    }
    await model.writeState(state);
  },
);

it('q8_0 weights keep small gradients alive through the loss scale', async () => {
  using exact = await open('llama', { adapter: LORA });
  using quantized = await open('llama', { adapter: LORA, baseType: 'q8_0' });
  const rows = [randomRow(60, 80)];
  expect(quantized.placement.lossScale).toBeGreaterThan(1);
  const a = await accumulated(exact, [rows]);
  const b = await accumulated(quantized, [rows]);
  let dot = 0;
  let [na, nb] = [0, 0];
  for (const [i, g] of a.gradient.entries()) {
    dot += g * b.gradient[i]!;
    na += g * g;
    nb += b.gradient[i]! ** 2;
  }
  expect(dot / Math.sqrt(na * nb)).toBeGreaterThan(0.995);
});

it('closing a model closes every native handle', async () => {
  const before = liveHandleCount();
  const model = await open('llama', { adapter: LORA });
  await model.accumulate([randomRow(12, 1)]);
  model.close();
  expect(liveHandleCount()).toBe(before);
});

/** Against PyTorch: the eight tiny models of test/fixtures/tiny, computed in float64 by transformers. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { PackedRow } from '@tuneyard/data';
import { SafetensorsReader } from '@tuneyard/formats';
import { openModel, readPeftAdapter } from '@tuneyard/weights';
import { describe, expect, it } from 'vitest';
import { CausalModel } from './causal-model.js';
import { GraphTrainingModel, type TrainingModelOptions } from './graph-training-model.js';

const FAMILIES = [
  'llama',
  'llama3',
  'llama-linear',
  'llama-bias',
  'mistral',
  'qwen2',
  'qwen2-yarn',
  'qwen3',
];

interface Fixture {
  sequences: { ids: number[]; learned: number[] }[];
  learnedTokens: number;
  full: { loss: number; gradNorm: number };
  lora: { loss: number; gradNorm: number };
  greedy: { promptIds: number[]; ids: number[] };
}
interface Curve {
  losses: number[];
  gradNorms: number[];
  finalLoss: number;
}

const folder = (family: string): string =>
  fileURLToPath(new URL(`../../test/fixtures/tiny/${family}`, import.meta.url));
const json = <T>(family: string, file: string): T =>
  JSON.parse(readFileSync(`${folder(family)}/${file}`, 'utf8')) as T;
const fixture = (family: string): Fixture => json<Fixture>(family, 'fixture.json');
const rowsOf = (f: Fixture): PackedRow[] =>
  f.sequences.map(({ ids, learned }) => ({
    ids: Int32Array.from(ids),
    learned: Uint8Array.from(learned),
    segmentLengths: [ids.length],
  }));

async function tensor(reader: SafetensorsReader, name: string): Promise<Float32Array> {
  const bytes = await reader.read(name);
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

/** ||a - b|| / ||b||. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let error = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(error / norm);
}

async function openForTraining(
  family: string,
  method: 'full' | 'lora',
  options: Partial<TrainingModelOptions> = {},
): Promise<GraphTrainingModel> {
  const file = family === 'llama-wide' ? `${folder(family)}/model.gguf` : folder(family);
  const source = await openModel(file);
  const adapter = method === 'lora' ? await readPeftAdapter(`${folder(family)}/adapter`) : null;
  try {
    return await GraphTrainingModel.open(source, {
      threads: 1,
      baseType: 'auto',
      adapter,
      seed: 1,
      recompute: false,
      ...options,
    });
  } finally {
    await source.close();
  }
}

async function openForScores(family: string, withAdapter: boolean): Promise<CausalModel> {
  const source = await openModel(folder(family));
  const adapter = withAdapter ? await readPeftAdapter(`${folder(family)}/adapter`) : null;
  const model = await CausalModel.open(source, { adapter });
  await source.close();
  return model;
}

describe.each(FAMILIES)('%s against transformers', (family) => {
  it.each([false, true])('gives the same scores in f32 (adapter: %s)', async (withAdapter) => {
    using model = await openForScores(family, withAdapter);
    const reader = await SafetensorsReader.open(`${folder(family)}/reference.safetensors`);
    for (const [i, { ids }] of fixture(family).sequences.entries()) {
      const expected = await tensor(reader, `${withAdapter ? 'lora_' : ''}logits_${i}`);
      expect(distance(await model.logits(ids), expected)).toBeLessThan(1e-5);
    }
    await reader.close();
  });

  it('continues greedily with the same tokens, one by one through the cache', async () => {
    using model = await openForScores(family, false);
    const { promptIds, ids } = fixture(family).greedy;
    using decoder = model.openDecoder({ sequences: 1, capacity: promptIds.length + ids.length });
    let [scores] = await decoder.step([{ ids: promptIds, position: 0 }]);
    const out: number[] = [];
    while (out.length < ids.length) {
      out.push(scores!.indexOf(Math.max(...scores!)));
      const position = promptIds.length + out.length - 1;
      if (out.length < ids.length)
        [scores] = await decoder.step([{ ids: out.slice(-1), position }]);
    }
    expect(out).toEqual(ids);
  });

  it.each([
    ['full', false],
    ['full', true],
    ['lora', false],
    ['lora', true],
  ] as const)(
    'gives the same loss and every gradient (%s, recompute: %s)',
    async (method, recompute) => {
      using model = await openForTraining(family, method, { recompute });
      const expected = fixture(family);
      const { lossSum, learnedTokens } = await model.accumulate(rowsOf(expected));
      expect(learnedTokens).toBe(expected.learnedTokens);
      expect(Math.abs(lossSum / learnedTokens / expected[method].loss - 1)).toBeLessThan(1e-6);
      const norm = (await model.gradientNorm()) / learnedTokens;
      expect(Math.abs(norm / expected[method].gradNorm - 1)).toBeLessThan(1e-5);
      const reader = await SafetensorsReader.open(`${folder(family)}/grads_${method}.safetensors`);
      const gradients = model.readGradients();
      expect(gradients.size).toBe(reader.tensors.size);
      for (const [name, gradient] of gradients) {
        const key = method === 'lora' ? `base_model.model.${name}` : name;
        const reference = await tensor(reader, key);
        const mean = gradient.map((g) => g / learnedTokens);
        expect(distance(mean, reference), name).toBeLessThan(1e-5);
      }
      await reader.close();
    },
  );
});

describe.each([
  ['llama', 'full'],
  ['llama', 'lora'],
  ['qwen3', 'full'],
  ['qwen3', 'lora'],
] as const)('50 AdamW steps of %s (%s)', (family, method) => {
  it('follow the losses and gradient norms of PyTorch', async () => {
    using model = await openForTraining(family, method);
    const rows = rowsOf(fixture(family));
    const curve = json<Curve>(family, `curve_${method}.json`);
    for (const [i, expected] of curve.losses.entries()) {
      const { lossSum, learnedTokens } = await model.accumulate(rows);
      const norm = (await model.gradientNorm()) / learnedTokens;
      expect(Math.abs(lossSum / learnedTokens / expected - 1), `step ${i + 1}`).toBeLessThan(1e-3);
      expect(Math.abs(norm / curve.gradNorms[i]! - 1), `step ${i + 1}`).toBeLessThan(2e-3);
      await model.update({
        step: i + 1,
        learningRate: 1e-3,
        beta1: 0.9,
        beta2: 0.999,
        eps: 1e-8,
        weightDecay: 0.01,
        gradientScale: Math.min(1, 1 / (norm + 1e-6)) / learnedTokens,
      });
    }
    const { lossSum, learnedTokens } = await model.evaluate(rows);
    expect(Math.abs(lossSum / learnedTokens / curve.finalLoss - 1)).toBeLessThan(1e-3);
  });
});

describe('a base of quantized weights straight from a GGUF file', () => {
  it('gives the loss of its dequantized values within the precision of q8 activations', async () => {
    using model = await openForTraining('llama-wide', 'lora');
    const expected = fixture('llama-wide');
    const { lossSum, learnedTokens } = await model.accumulate(rowsOf(expected));
    expect(Math.abs(lossSum / learnedTokens / expected.lora.loss - 1)).toBeLessThan(0.02);
    const reader = await SafetensorsReader.open(`${folder('llama-wide')}/grads_lora.safetensors`);
    const distances: number[] = [];
    for (const [name, gradient] of model.readGradients()) {
      const reference = await tensor(reader, `base_model.model.${name}`);
      distances.push(
        distance(
          gradient.map((g) => g / learnedTokens),
          reference,
        ),
      );
    }
    distances.sort((a, b) => a - b);
    // Measured: the stored transposes are requantized, which costs about eight percent of dx.
    expect(distances[Math.floor(distances.length / 2)]).toBeLessThan(0.15);
    await reader.close();
  });
});

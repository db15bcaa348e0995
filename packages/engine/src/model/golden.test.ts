/** Against an independent float64 implementation on real trained weights: the bundled story model. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { PackedRow } from '@tuneyard/data';
import { type AdapterConfig, openModel } from '@tuneyard/weights';
import { expect, it } from 'vitest';
import { CausalModel } from './causal-model.js';
import { GraphTrainingModel, type TrainingModelOptions } from './graph-training-model.js';

const MODEL = fileURLToPath(new URL('../../../../assets/models/stories260k-hf', import.meta.url));
const reference = JSON.parse(
  readFileSync(
    fileURLToPath(new URL('../../test/fixtures/stories260k/reference.json', import.meta.url)),
    'utf8',
  ),
) as {
  logits: { ids: number[]; last_logits_first16: number[] }[];
  greedy: { prompt_ids: number[]; new_ids: number[] }[];
  loss: { ids: number[]; mean_ce: number }[];
  grad: { per_tensor_norm: Record<string, number>; global_norm: number };
  full_finetune: { loss_before_each_step_then_final: number[]; grad_norm_before_clip: number[] };
  lora_finetune: { loss_before_each_step_then_final: number[]; grad_norm: number[] };
  sft_masked_loss: { ids: number[]; labels: number[]; mean_ce_over_answer: number };
};

const wholeText = (ids: number[]): PackedRow => ({
  ids: Int32Array.from(ids),
  learned: Uint8Array.from(ids, (_, i) => (i > 0 ? 1 : 0)),
  segmentLengths: [ids.length],
});
const norm = (x: Float32Array): number => Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));

async function openScores(): Promise<CausalModel> {
  const source = await openModel(MODEL);
  const model = await CausalModel.open(source);
  await source.close();
  return model;
}

async function openTraining(adapter: TrainingModelOptions['adapter']): Promise<GraphTrainingModel> {
  const source = await openModel(MODEL);
  const options = { threads: 1, baseType: 'auto', seed: 1, recompute: false } as const;
  const model = await GraphTrainingModel.open(source, { ...options, adapter });
  await source.close();
  return model;
}

async function steps(
  model: GraphTrainingModel,
  options: { learningRate: number; weightDecay: number; maxGradNorm: number },
): Promise<{ losses: number[]; norms: number[] }> {
  const row = wholeText(reference.loss[0]!.ids);
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 1; step <= 20; step++) {
    const { lossSum, learnedTokens } = await model.accumulate([row]);
    const gradNorm = (await model.gradientNorm()) / learnedTokens;
    losses.push(lossSum / learnedTokens);
    norms.push(gradNorm);
    const clip = Math.min(1, options.maxGradNorm / (gradNorm + 1e-6));
    await model.update({
      step,
      learningRate: options.learningRate,
      beta1: 0.9,
      beta2: 0.999,
      eps: 1e-8,
      weightDecay: options.weightDecay,
      gradientScale: clip / learnedTokens,
    });
  }
  const last = await model.evaluate([row]);
  losses.push(last.lossSum / last.learnedTokens);
  return { losses, norms };
}

function expectClose(found: number[], expected: number[], relative: number): void {
  expect(found.length).toBe(expected.length);
  for (const [i, x] of expected.entries()) {
    expect(Math.abs(found[i]! - x), `step ${i + 1}`).toBeLessThan(relative * x + 2e-6);
  }
}

it('gives the reference scores after a prompt', async () => {
  using model = await openScores();
  for (const { ids, last_logits_first16 } of reference.logits) {
    const all = await model.logits(ids);
    const last = all.subarray(all.length - model.config.vocabSize);
    for (const [i, x] of last_logits_first16.entries()) expect(last[i]).toBeCloseTo(x, 3);
  }
});

it('writes the reference story greedily', async () => {
  using model = await openScores();
  const { prompt_ids: prompt, new_ids: expected } = reference.greedy[0]!;
  using decoder = model.openDecoder({ sequences: 1, capacity: prompt.length + expected.length });
  let [scores] = await decoder.step([{ ids: prompt, position: 0 }]);
  const out: number[] = [];
  while (out.length < expected.length) {
    out.push(scores!.indexOf(Math.max(...scores!)));
    [scores] = await decoder.step([
      { ids: out.slice(-1), position: prompt.length + out.length - 1 },
    ]);
  }
  expect(out).toEqual(expected);
});

it('gives the reference losses, over whole texts and over the learned tokens of an answer', async () => {
  using model = await openScores();
  for (const { ids, mean_ce } of reference.loss) {
    const { lossSum, learnedTokens } = await model.evaluate([wholeText(ids)]);
    expect(Math.abs(lossSum / learnedTokens / mean_ce - 1)).toBeLessThan(1e-5);
  }
  const { ids, labels, mean_ce_over_answer } = reference.sft_masked_loss;
  const learned = Uint8Array.from(labels, (label) => (label === -100 ? 0 : 1));
  const row = { ids: Int32Array.from(ids), learned, segmentLengths: [ids.length] };
  const { lossSum, learnedTokens } = await model.evaluate([row]);
  expect(Math.abs(lossSum / learnedTokens / mean_ce_over_answer - 1)).toBeLessThan(1e-5);
});

it('gives the reference gradient norm of every tensor', async () => {
  using model = await openTraining(null);
  const { learnedTokens } = await model.accumulate([wholeText(reference.loss[0]!.ids)]);
  const gradients = model.readGradients();
  for (const [name, expected] of Object.entries(reference.grad.per_tensor_norm)) {
    const found = norm(gradients.get(name)!) / learnedTokens;
    expect(Math.abs(found - expected), name).toBeLessThan(1e-4 * expected + 1e-6);
  }
});

it('follows the reference through 20 steps of full fine-tuning', async () => {
  using model = await openTraining(null);
  const { losses, norms } = await steps(model, {
    learningRate: 1e-3,
    weightDecay: 0.01,
    maxGradNorm: 1,
  });
  expectClose(losses, reference.full_finetune.loss_before_each_step_then_final, 2e-3);
  expectClose(norms, reference.full_finetune.grad_norm_before_clip, 5e-3);
});

it('follows the reference through 20 steps of LoRA', async () => {
  const config: AdapterConfig = {
    rank: 4,
    alpha: 8,
    rslora: false,
    dropout: 0,
    targetModules: ['q_proj', 'v_proj'],
    baseModel: null,
    rankPattern: {},
    alphaPattern: {},
  };
  const pairs = Array.from({ length: 5 }, (_, layer) =>
    [
      { name: 'q_proj', out: 64, shift: 0 },
      { name: 'v_proj', out: 32, shift: 0.5 },
    ].map(({ name, out, shift }) => ({
      module: `model.layers.${layer}.self_attn.${name}`,
      a: Float32Array.from({ length: 4 * 64 }, (_, i) => 0.125 * Math.sin(0.1 * i + layer + shift)),
      b: new Float32Array(out * 4),
      rank: 4,
      inFeatures: 64,
      outFeatures: out,
    })),
  ).flat();
  using model = await openTraining({ config, pairs });
  const { losses, norms } = await steps(model, {
    learningRate: 5e-3,
    weightDecay: 0,
    maxGradNorm: Number.POSITIVE_INFINITY,
  });
  expectClose(losses, reference.lora_finetune.loss_before_each_step_then_final, 2e-3);
  expectClose(norms, reference.lora_finetune.grad_norm, 5e-3);
});

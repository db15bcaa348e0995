/**
 * One candidate of `bench:train`: loads the random model, warms up, and runs training steps when told.
 *
 * Arguments: a JSON object {shape, base, threads, warmupSteps}.
 */
import { GraphTrainingModel } from '@tuneyard/engine';
import type { BenchBase } from './bench-options.js';
import { BENCH_SHAPES, randomModel, type ShapeName } from './random-model.js';
import { serveTurns } from './turn-protocol.js';

interface TrainChildOptions {
  readonly shape: ShapeName;
  readonly base: BenchBase;
  readonly threads: number;
  readonly warmupSteps: number;
}

const SEED = 1;
const ADAMW = { learningRate: 1e-4, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };

async function main({ shape: name, base, threads, warmupSteps }: TrainChildOptions): Promise<void> {
  const shape = BENCH_SHAPES[name];
  const config = {
    rank: 8,
    alpha: 16,
    rslora: false,
    dropout: 0,
    targetModules: ['all'],
    baseModel: null,
    rankPattern: {},
    alphaPattern: {},
  };
  const begin = performance.now();
  using model = await GraphTrainingModel.open(randomModel(shape, SEED), {
    threads,
    baseType: base,
    adapter: { config, pairs: null },
    seed: SEED,
    recompute: false,
  });
  const loadMs = performance.now() - begin;
  const T = shape.seqLength;
  const row = {
    ids: Int32Array.from({ length: T }, (_, i) => (i * 7919 + 13) % shape.vocabSize),
    learned: Uint8Array.from({ length: T }, (_, i) => (i > 0 ? 1 : 0)),
    segmentLengths: [T],
  };
  let step = 0;
  const runStep = async (): Promise<number> => {
    step++;
    const { lossSum, learnedTokens } = await model.accumulate([row]);
    await model.gradientNorm();
    await model.update({ ...ADAMW, step, gradientScale: 1 / learnedTokens });
    return lossSum / learnedTokens;
  };
  for (let i = 0; i < warmupSteps; i++) await runStep();
  await serveTurns({ load_ms: loadMs, weight_bytes: model.weightBytes }, runStep);
}

await main(JSON.parse(process.argv[2] ?? '{}') as TrainChildOptions);

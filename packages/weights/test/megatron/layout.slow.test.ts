import { describe, expect, it } from 'vitest';
import { composePlan } from '../../src/convert/compose-plan.js';
import type { LogicalModel, StoredSpec } from '../../src/convert/logical-model.js';
import { megatronLayout } from '../../src/megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS, type MegatronSettings } from '../../src/megatron/settings.js';
import { numberedTensors, runPieces, sourceOf, storeBySpecs } from './run-plan.js';
import { type TinyOptions, tinyModel } from './tiny-models.js';

const plain = (model: LogicalModel): StoredSpec[] =>
  model.tensors.map(({ id, shape }) => ({
    shard: '',
    name: id,
    shape,
    rectangles: [
      {
        logical: id,
        logicalRow: 0,
        logicalCol: 0,
        rows: shape[0]!,
        cols: shape[1] ?? 1,
        storedRow: 0,
        storedCol: 0,
        transpose: false,
      },
    ],
  }));

const settingsWith = (changes: Partial<MegatronSettings>): MegatronSettings => ({
  ...DEFAULT_MEGATRON_SETTINGS,
  ...changes,
});

/** Composes two layouts, runs the plan, and compares with what the target layout should hold. */
function expectConversion(
  model: LogicalModel,
  from: readonly StoredSpec[],
  to: readonly StoredSpec[],
): void {
  const logicals = numberedTensors(model);
  const stored = storeBySpecs(from, logicals);
  const sources = from.map((spec) => ({ spec, tensor: sourceOf(spec) }));
  const { targets, unused } = composePlan(sources, to, { dtype: null });
  expect(unused).toEqual([]);
  const expected = storeBySpecs(to, logicals);
  for (const [at, { tensor }] of targets.entries()) {
    const found = runPieces(tensor, stored);
    const wrong = found.numbers.findIndex((value, i) => value !== expected[at]!.numbers[i]);
    expect(wrong, `first wrong element of ${tensor.name}`).toBe(-1);
  }
}

const MODELS: { readonly [name: string]: TinyOptions } = {
  'a plain model': {},
  'grouped queries, biases and norms of q and k': { heads: 16, qkvBias: true, qkNorm: true },
  'tied embeddings and doubled norms': { tied: true, doubledNorms: true },
  'experts after a dense layer': { experts: 8, denseLayers: 1, shared: true },
  'latent attention': { latent: 'with_q', experts: 8, denseLayers: 1 },
  'latent attention with plain queries': { latent: 'without_q' },
};

const CUTS: readonly Partial<MegatronSettings>[] = [1, 2, 4, 8].flatMap((tensorParallel) =>
  [
    { pipelineParallel: 1 },
    { pipelineParallel: 2 },
    { pipelineParallel: 2, layersPerVirtualStage: 1 },
    { pipelineParallel: 4 },
    { pipelineParallel: 2, numLayerList: [1, 3] },
    { pipelineParallel: 2, noopLayers: [0, 5] },
    { pipelineParallel: 2, schedule: 'dualpipev' as const },
  ].map((pipeline) => ({ tensorParallel, ...pipeline })),
);

describe('megatronLayout', () => {
  for (const [title, options] of Object.entries(MODELS)) {
    for (const spec of ['local', 'transformer_engine'] as const) {
      it(`goes there and back for ${title} in every division (${spec})`, () => {
        const model = tinyModel(options);
        const expertSizes = options.experts === undefined ? [1] : [1, 4];
        for (const cut of CUTS) {
          for (const expertParallel of expertSizes) {
            for (const groupedGemm of options.experts === undefined ? [false] : [false, true]) {
              const settings = settingsWith({ spec, ...cut, expertParallel, groupedGemm });
              const layout = megatronLayout(model, settings);
              expectConversion(model, plain(model), layout);
              expectConversion(model, layout, plain(model));
            }
          }
        }
      });
    }
  }
});

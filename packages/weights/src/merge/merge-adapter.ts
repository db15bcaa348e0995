/**
 * Merges adapters into their base model: W' = W + scale · B · A, and what else PEFT's LoRA can hold.
 *
 * The sum is formed in f32 whatever the base is stored as, and rounded to the written type once, however many
 * adapters are merged. A base in f16 or bf16 has coarse steps, so a small update can round away: the report counts,
 * per tensor, how many elements really changed.
 */

import type { TensorCodec } from '../codec/tensor-codec.js';
import { castTensor, elementsOf, narrowTensor } from '../export/cast-tensor.js';
import { type HfWriteOptions, type HfWriteReport, writeHfModel } from '../export/write-hf-model.js';
import { addLowRank } from '../kernels/low-rank-update.js';
import { countChanged } from '../kernels/value-checks.js';
import type { ModelSource } from '../source/model-source.js';
import { addLowRankWithMagnitude } from './kernels/magnitude-update.js';
import { type MergeableAdapter, type MergeStep, planMerge, untiedHead } from './plan-merge.js';

/** One merged tensor. */
export interface MergedTensor {
  readonly name: string;
  readonly elements: number;
  /** Elements whose written bits differ from the base's in the same type. */
  readonly changedElements: number;
}

/** What was merged and written. */
export interface MergeReport extends HfWriteReport {
  readonly merged: readonly MergedTensor[];
  /** Tensors written without an update. */
  readonly carried: number;
  /** Embedding and head shared a matrix in the base and no longer do: the head is written too. */
  readonly untied: boolean;
}

/**
 * Merges adapters in turn and writes a Hugging Face directory, tensor by tensor.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` and `WEIGHTS_ADAPTER_UNSUPPORTED` before anything is written;
 * `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_NON_FINITE`, `WEIGHTS_CODEC_UNSUPPORTED`, `WEIGHTS_EXPORT_UNSUPPORTED`,
 * `CANCELLED`. Checked against: PEFT's merge_and_unload, within one unit in the last place of the written type.
 */
export async function mergeAdapters(
  base: ModelSource,
  adapters: readonly MergeableAdapter[],
  outDir: string,
  options: HfWriteOptions,
): Promise<MergeReport> {
  const plan = planMerge(base, adapters);
  const source = plan.unties ? untiedView(base) : base;
  const merged: MergedTensor[] = [];
  const report = await writeHfModel(source, outDir, {
    ...options,
    produce: async (parameter, dtype) => {
      const tensor = { ...parameter, bytes: await source.read(parameter.name) };
      const steps = plan.steps.get(parameter.name);
      if (steps === undefined) return castTensor(tensor, dtype, options.codec);
      const result = mergeTensor(tensor, dtype, { steps, codec: options.codec });
      merged.push(result.report);
      return result.bytes;
    },
  });
  const carried = source.parameters.length - merged.length;
  return { ...report, merged, carried, untied: plan.unties };
}

/** Merges one adapter; see {@link mergeAdapters}. */
export async function mergeAdapter(
  source: ModelSource,
  adapter: MergeableAdapter,
  outDir: string,
  options: HfWriteOptions,
): Promise<MergeReport> {
  return await mergeAdapters(source, [adapter], outDir, options);
}

type BaseTensor = Parameters<typeof castTensor>[0];

/** Applies a parameter's changes in f32 and rounds once. Throws: `WEIGHTS_NON_FINITE`, `WEIGHTS_CODEC_UNSUPPORTED`. */
export function mergeTensor(
  base: BaseTensor,
  dtype: 'f32' | 'f16' | 'bf16',
  change: { readonly steps: readonly MergeStep[]; readonly codec: TensorCodec },
): { bytes: Uint8Array; report: MergedTensor } {
  const { steps, codec } = change;
  const { name, shape } = base;
  const elements = elementsOf(shape);
  const before = castTensor(base, dtype, codec);
  const values = codec.toF32(base.type, base.bytes, elements);
  for (const step of steps) applyStep(values, shape, step);
  const bytes = narrowTensor({ name, shape, values }, dtype, codec);
  const changedElements = countChanged(before, bytes, dtype);
  return { bytes, report: { name, elements, changedElements } };
}

/** Applies one change in f32. Mutates: `values`. */
function applyStep(values: Float32Array, shape: readonly number[], step: MergeStep): void {
  if (step.kind === 'replace') {
    values.set(step.values);
    return;
  }
  if (step.kind === 'add') {
    step.values.forEach((value, i) => {
      values[i] = (values[i] ?? 0) + step.scale * value;
    });
    return;
  }
  const [outFeatures = 0, inFeatures = 0] = shape;
  const sizes = { outFeatures, inFeatures, rank: step.rank };
  const factors = { a: step.a, b: step.b, scale: step.scale };
  if (step.magnitude === null) addLowRank(values, sizes, factors);
  else addLowRankWithMagnitude(values, sizes, { factors, magnitude: step.magnitude });
}

/** A base whose head is a copy of its embedding. */
function untiedView(base: ModelSource): ModelSource {
  const embedding = base.parameters.find(({ role }) => role === 'embedding');
  if (embedding === undefined) return base;
  const head = untiedHead(embedding);
  return {
    kind: base.kind,
    path: base.path,
    config: {
      ...base.config,
      tieWordEmbeddings: false,
      raw: { ...base.config.raw, tie_word_embeddings: false },
    },
    parameters: [...base.parameters, head],
    ignoredTensors: base.ignoredTensors,
    generationConfig: base.generationConfig,
    files: base.files,
    read: async (name) => await base.read(name === head.name ? embedding.name : name),
    close: async () => await base.close(),
  };
}

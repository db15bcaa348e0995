/**
 * Merges a LoRA adapter into its base model: W' = W + scale · B · A.
 *
 * The sum is formed in f32 whatever the base is stored as, and rounded to the written type once. A base in
 * f16 or bf16 has coarse steps, so a small update can round away: the report counts, per tensor, how many
 * elements really changed.
 */

import type { LoraAdapter, LoraPair } from '../adapter/adapter.js';
import { matchAdapter } from '../adapter/match-adapter.js';
import { moduleScale } from '../adapter/module-pattern.js';
import type { TensorCodec } from '../codec/tensor-codec.js';
import { castTensor, elementsOf, narrowTensor } from '../export/cast-tensor.js';
import { type HfWriteOptions, type HfWriteReport, writeHfModel } from '../export/write-hf-model.js';
import { addLowRank } from '../kernels/low-rank-update.js';
import { countChanged } from '../kernels/value-checks.js';
import type { ModelSource } from '../source/model-source.js';

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
}

/**
 * Merges and writes a Hugging Face directory, tensor by tensor.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` before anything is written; `WEIGHTS_OUTPUT_EXISTS`,
 * `WEIGHTS_NON_FINITE`, `WEIGHTS_CODEC_UNSUPPORTED`, `WEIGHTS_EXPORT_UNSUPPORTED`, `CANCELLED`.
 */
export async function mergeAdapter(
  source: ModelSource,
  adapter: LoraAdapter,
  outDir: string,
  options: HfWriteOptions,
): Promise<MergeReport> {
  const pairs = matchAdapter(source, adapter);
  const scales = new Map(
    adapter.pairs.map(({ module }) => [module, moduleScale(adapter.config, module)]),
  );
  const merged: MergedTensor[] = [];
  const report = await writeHfModel(source, outDir, {
    ...options,
    produce: async (parameter, dtype) => {
      const tensor = { ...parameter, bytes: await source.read(parameter.name) };
      const pair = pairs.get(parameter.name);
      if (pair === undefined) return castTensor(tensor, dtype, options.codec);
      const update = { pair, scale: scales.get(pair.module) ?? 0, codec: options.codec };
      const result = mergeTensor(tensor, dtype, update);
      merged.push(result.report);
      return result.bytes;
    },
  });
  return { ...report, merged, carried: source.parameters.length - merged.length };
}

interface Update {
  readonly pair: LoraPair;
  readonly scale: number;
  readonly codec: TensorCodec;
}

type BaseTensor = Parameters<typeof castTensor>[0];

function mergeTensor(
  base: BaseTensor,
  dtype: 'f32' | 'f16' | 'bf16',
  update: Update,
): { bytes: Uint8Array; report: MergedTensor } {
  const { pair, scale, codec } = update;
  const elements = elementsOf(base.shape);
  const before = castTensor(base, dtype, codec);
  const values = codec.toF32(base.type, base.bytes, elements);
  addLowRank(values, pair, { a: pair.a, b: pair.b, scale });
  const bytes = narrowTensor({ name: base.name, shape: base.shape, values }, dtype, codec);
  const changedElements = countChanged(before, bytes, dtype);
  return { bytes, report: { name: base.name, elements, changedElements } };
}

/** Writes any opened model as one GGUF file that llama.cpp loads. */
import { basename } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import { type GgufEntry, writeGguf } from '@tuneyard/formats';
import { plainCodec, type TensorCodec } from '../codec/tensor-codec.js';
import type { ModelConfig } from '../config/model-config.js';
import { gatherRows, interleavedFromHalfSplit } from '../kernels/row-permutation.js';
import { llama3Factors } from '../rope/frequencies.js';
import type { ModelSource, StoredParameter } from '../source/model-source.js';
import { castTensor } from './cast-tensor.js';
import type { GgufExportType, TypeFallback } from './gguf/element-types.js';
import { type GgufTokenizerFields, ggufMetadata } from './gguf/metadata.js';
import { type PlannedTensor, planGguf } from './gguf/model-plan.js';
import { requireAbsentFile } from './output-checks.js';
import type { WriteProgress } from './write-hf-model.js';

/** Settings of {@link exportGguf}. */
export interface GgufExportOptions {
  /** Type of the embedding, the head and all other matrices; norms and biases are f32. */
  readonly type: GgufExportType;
  readonly codec: TensorCodec;
  readonly tokenizer: GgufTokenizerFields;
  /** `general.name`; default the last part of the source's path. */
  readonly name?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: WriteProgress) => void;
}

/** What was written. */
export interface GgufExportReport {
  readonly bytes: number;
  readonly tensors: number;
  /** Matrices whose rows do not divide into blocks of the asked type. */
  readonly fallbacks: readonly TypeFallback[];
}

/**
 * Exports a model; tensors already in the asked type pass through byte by byte.
 *
 * Throws: `WEIGHTS_EXPORT_UNSUPPORTED`, `WEIGHTS_TOKENIZER_MISMATCH`, `WEIGHTS_OUTPUT_EXISTS`,
 * `WEIGHTS_NON_FINITE`, `WEIGHTS_CODEC_UNSUPPORTED`, `CANCELLED`.
 * Checked against: a llama.cpp-made file of the same weights, byte for byte per tensor.
 */
export async function exportGguf(
  source: ModelSource,
  outPath: string,
  options: GgufExportOptions,
): Promise<GgufExportReport> {
  throwIfAborted(options.signal);
  const plan = planGguf(source.config, options.type);
  const metadata = ggufMetadata(source.config, {
    name: options.name ?? basename(source.path).replace(/\.gguf$/i, ''),
    type: options.type,
    tokenizer: options.tokenizer,
  });
  await requireAbsentFile(outPath);
  const stored = new Map(source.parameters.map((parameter) => [parameter.name, parameter]));
  const total = plan.tensors.length;
  const entries = plan.tensors.map((tensor, i): GgufEntry => {
    const parameter = stored.get(tensor.parameter.name);
    return {
      name: tensor.parameter.ggufName,
      type: tensor.type,
      shape: tensor.parameter.shape.toReversed(),
      data: async () => {
        throwIfAborted(options.signal);
        const bytes = await tensorBytes(source, { tensor, parameter, codec: options.codec });
        options.onProgress?.({ tensor: tensor.parameter.name, done: i + 1, total });
        return bytes;
      },
    };
  });
  const { bytes } = await writeGguf(outPath, {
    metadata,
    tensors: [...ropeFactorEntries(source.config), ...entries],
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return { bytes, tensors: total, fallbacks: plan.fallbacks };
}

async function tensorBytes(
  source: ModelSource,
  job: { tensor: PlannedTensor; parameter: StoredParameter | undefined; codec: TensorCodec },
): Promise<Uint8Array> {
  const { parameter: mapped, type } = job.tensor;
  const raw = await source.read(mapped.name);
  const storedType = job.parameter?.type ?? type;
  const bytes = castTensor({ ...mapped, type: storedType, bytes: raw }, type, job.codec);
  if (mapped.interleavedHeads === null) return bytes;
  const rows = { heads: mapped.interleavedHeads, headDim: source.config.headDim };
  return gatherRows(bytes, interleavedFromHalfSplit(rows));
}

function ropeFactorEntries(config: ModelConfig): GgufEntry[] {
  const scaling = config.ropeScaling;
  if (scaling?.type !== 'llama3' && scaling?.type !== 'factors') return [];
  const factors = scaling.type === 'llama3' ? llama3Factors(config, scaling) : scaling.factors;
  const data = plainCodec.fromF32('f32', Float32Array.from(factors), factors.length);
  return [{ name: 'rope_freqs.weight', type: 'f32', shape: [factors.length], data }];
}

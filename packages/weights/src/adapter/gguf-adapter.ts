/**
 * A PEFT adapter as the GGUF file that llama.cpp applies to a base model when it loads.
 *
 * llama.cpp states one alpha for the file and divides it by each tensor's own rank; so modules with another scale
 * (patterns, rank-stabilized scaling) get the difference into B, which llama.cpp's own converter forgets. Rows of B
 * follow the order in which GGUF stores rows of the weight.
 *
 * Source: llama.cpp `convert_lora_to_gguf.py` (names, orientation), `src/llama-adapter.cpp` (what is read).
 */
import { TuneyardError } from '@tuneyard/core';
import { type GgufEntry, type GgufValue, writeGguf } from '@tuneyard/formats';
import { plainCodec } from '../codec/tensor-codec.js';
import { hfLayout, requireTable } from '../convert/hf-layout.js';
import type { LogicalModel, StoredSpec } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { type GgufTensorSpec, ggufLayout } from '../export/gguf/layout.js';
import { requireAbsentFile } from '../export/output-checks.js';
import { gatherRows, interleavedFromHalfSplit } from '../kernels/row-permutation.js';
import { transposed } from '../merge/kernels/magnitude-update.js';
import type { LoraAdapter, LoraPair, PeftAdapter } from './adapter.js';
import {
  gatherFactors,
  padRank,
  type StackedFactors,
  type StoredFactors,
  scatterFactors,
  withScale,
} from './factors/factor-layout.js';
import { alphaOf, mostCommon } from './factors/settle-peft-config.js';
import { moduleScale } from './module-pattern.js';

/** A tensor of an adapter file, in Hugging Face order: the last number is the length of a row. */
export interface GgufFactor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What a file says besides the factors that PEFT had. */
export interface GgufAdapterReport {
  readonly alpha: number;
  /** Tensors whose parts kept an A each; their rank is the sum. */
  readonly stacked: readonly StackedFactors[];
  /** Tensors whose B took up a factor, because one alpha cannot say all scales. */
  readonly rescaled: readonly string[];
}

/** A planned file. */
export interface GgufAdapterPlan {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufFactor[];
  readonly report: GgufAdapterReport;
}

/** Settings of {@link writeGgufAdapter}. */
export interface GgufAdapterOptions {
  /** `general.name`. */
  readonly name: string;
  /** Default: f32, as adapters are trained. */
  readonly type?: 'f32' | 'f16' | 'bf16';
  readonly signal?: AbortSignal;
}

/**
 * Writes the file.
 *
 * Throws: as {@link planGgufAdapter}; `WEIGHTS_OUTPUT_EXISTS`, `GGUF_…`, `FILE_…`, `CANCELLED`.
 */
export async function writeGgufAdapter(
  path: string,
  input: { readonly adapter: LoraAdapter | PeftAdapter; readonly model: LogicalModel },
  options: GgufAdapterOptions,
): Promise<GgufAdapterReport & { readonly bytes: number; readonly tensors: number }> {
  const plan = planGgufAdapter(input.adapter, input.model, options.name);
  await requireAbsentFile(path);
  const type = options.type ?? 'f32';
  const tensors = plan.tensors.map(
    ({ name, shape, values }): GgufEntry => ({
      name,
      type,
      shape: shape.toReversed(),
      data: plainCodec.fromF32(type, values, shape.at(-1) ?? 1),
    }),
  );
  const { bytes } = await writeGguf(path, {
    metadata: plan.metadata,
    tensors,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return { ...plan.report, bytes, tensors: tensors.length };
}

/**
 * Plans the file.
 *
 * Throws: `WEIGHTS_ADAPTER_UNSUPPORTED` for what such a file cannot hold (DoRA, biases, whole modules, an embedding
 * that the head shares); `WEIGHTS_ADAPTER_MISMATCH` when the adapter is not for the model.
 */
export function planGgufAdapter(
  adapter: LoraAdapter | PeftAdapter,
  model: LogicalModel,
  name: string,
): GgufAdapterPlan {
  const additions = 'additions' in adapter ? adapter.additions : null;
  requireExpressible(additions);
  const rules = requireTable(model.family).gguf ?? {
    architecture: model.family,
    permutesRotary: false,
  };
  // Baichuan 2 stores its head's rows at length one; Baichuan 1 shares the table, and its head is seldom adapted.
  const specs = ggufLayout(model, { ...rules, normalizesHead: model.family === 'baichuan' });
  const shapes = new Map(model.tensors.map(({ id, shape }) => [id, shape]));
  const logical = gatherFactors(hfLayout(model), pairFactors(adapter), shapes);
  const { stored, report } = scatterFactors(specs.flatMap(slices), logical, 'stack');
  const embeddings = (additions?.embeddings ?? []).map((pair) =>
    embeddingFactors(pair, { adapter, model }),
  );
  const all = [...stored, ...embeddings];
  const alpha = Math.fround(mostCommon(all.map(alphaOf)) ?? 1);
  const rescaled = all.filter((factors) => needsRescaling(factors, alpha));
  const byName = new Map(all.map((f) => [f.name, atAlpha(f, alpha)]));
  return {
    metadata: metadataOf(rules.architecture, name, alpha),
    tensors: specs.flatMap((spec) => specFactors(spec, byName)),
    report: {
      alpha,
      stacked: report.stacked,
      rescaled: [...new Set(rescaled.map((f) => f.name.replace(SLICE, '')))],
    },
  };
}

/** Marks one matrix of a tensor with three dimensions. */
const SLICE = /#\d+$/;

/** The matrices of a tensor: one, or one for each expert. */
function slices({ name, shape, parts }: GgufTensorSpec): StoredSpec[] {
  if (shape.length < 2) return [];
  const isStack = shape.length === 3;
  const [rows = 0, cols = 0] = shape.slice(-2);
  const count = isStack ? (shape[0] ?? 0) : 1;
  return Array.from({ length: count }, (_, at) => ({
    shard: '',
    name: isStack ? `${name}#${at}` : name,
    shape: [rows, cols],
    rectangles: parts
      .filter(({ row }) => !isStack || Math.floor(row / rows) === at)
      .map((part) => ({
        logical: part.logical,
        logicalRow: part.logicalRow,
        logicalCol: 0,
        rows: part.rows,
        cols: part.cols,
        storedRow: isStack ? part.row - at * rows : part.row,
        storedCol: 0,
        transpose: part.isTransposed,
      })),
  }));
}

/** The two tensors of an adapted weight, or none. */
function specFactors(
  spec: GgufTensorSpec,
  byName: ReadonlyMap<string, StoredFactors>,
): GgufFactor[] {
  const names = slices(spec).map(({ name }) => name);
  const found = names.map((name) => byName.get(name));
  const [any] = found.filter((factors) => factors !== undefined);
  if (any === undefined) return [];
  if (spec.values === 'normalize-rows') {
    throw unsupported(`the head of this model is stored with rows of length one`);
  }
  const rank = Math.max(...found.map((factors) => factors?.rank ?? 0));
  const { rows, columns } = any;
  const idle = {
    ...any,
    rank,
    a: new Float32Array(rank * columns),
    b: new Float32Array(rows * rank),
  };
  const matrices = found.map((factors) => padRank(factors ?? idle, rank));
  const lead = spec.shape.length === 3 ? [matrices.length] : [];
  const isEmbedding = spec.name === 'token_embd.weight';
  return [
    {
      name: `${spec.name}.lora_a`,
      shape: [...lead, ...(isEmbedding ? [columns, rank] : [rank, columns])],
      values: joined(matrices.map(({ a }) => a)),
    },
    {
      name: `${spec.name}.lora_b`,
      shape: [...lead, rows, rank],
      values: joined(matrices.map((factors) => orderedRows(factors, spec))),
    },
  ];
}

/** Rows of B in the order in which the file stores the weight's rows. */
function orderedRows(factors: StoredFactors, spec: GgufTensorSpec): Float32Array {
  const rotated = spec.parts.filter(({ interleavedHeadDim }) => interleavedHeadDim !== null);
  if (rotated.length === 0) return factors.b;
  const b = factors.b.slice();
  for (const { row, rows, interleavedHeadDim } of rotated) {
    const headDim = interleavedHeadDim ?? 1;
    const part = b.subarray(row * factors.rank, (row + rows) * factors.rank);
    const bytes = new Uint8Array(part.buffer, part.byteOffset, part.byteLength).slice();
    const order = interleavedFromHalfSplit({ heads: rows / headDim, headDim });
    part.set(new Float32Array(gatherRows(bytes, order).buffer));
  }
  return b;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const out = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** llama.cpp looks rows of A up by token, so A is stored turned: [vocabulary, rank]. */
function embeddingFactors(
  pair: LoraPair,
  context: { adapter: LoraAdapter; model: LogicalModel },
): StoredFactors {
  const { model, adapter } = context;
  const { vocab, hidden, tiedEmbeddings } = model.sizes;
  if (tiedEmbeddings) {
    throw unsupported(
      'the embedding that it changes is also the head, which llama.cpp keeps as one',
    );
  }
  if (
    pair.module !== 'model.embed_tokens' ||
    pair.inFeatures !== vocab ||
    pair.outFeatures !== hidden
  ) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
      `The adapter changes the embedding ${pair.module} of [${pair.inFeatures}, ${pair.outFeatures}]; the base model's is [${vocab}, ${hidden}]`,
      { details: { module: pair.module } },
    );
  }
  const { rank } = pair;
  return {
    shard: '',
    name: 'token_embd.weight',
    rank,
    rows: hidden,
    columns: vocab,
    a: transposed(pair.a, { rows: rank, columns: vocab }),
    b: pair.b,
    scale: moduleScale(adapter.config, pair.module),
  };
}

function pairFactors(adapter: LoraAdapter): StoredFactors[] {
  return adapter.pairs.map(({ module, a, b, rank, inFeatures, outFeatures }) => ({
    shard: '',
    name: `${module}.weight`,
    rank,
    rows: outFeatures,
    columns: inFeatures,
    a,
    b,
    scale: moduleScale(adapter.config, module),
  }));
}

/** Below the precision of f32, alpha's own rounding is not worth touching B. */
function needsRescaling(factors: StoredFactors, alpha: number): boolean {
  return Math.abs((factors.scale * factors.rank) / alpha - 1) > 2 ** -24;
}

function atAlpha(factors: StoredFactors, alpha: number): StoredFactors {
  return needsRescaling(factors, alpha) ? withScale(factors, alpha / factors.rank) : factors;
}

function metadataOf(
  architecture: string,
  name: string,
  alpha: number,
): ReadonlyMap<string, GgufValue> {
  return new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: architecture }],
    ['general.type', { type: 'string', value: 'adapter' }],
    ['adapter.type', { type: 'string', value: 'lora' }],
    ['general.name', { type: 'string', value: name }],
    ['adapter.lora.alpha', { type: 'f32', value: alpha }],
    ['general.quantization_version', { type: 'u32', value: 2 }],
  ]);
}

function requireExpressible(additions: PeftAdapter['additions'] | null): void {
  if (additions === null) return;
  const [magnitude] = additions.magnitudes.keys();
  if (magnitude !== undefined) throw unsupported('DoRA magnitudes have no place in it');
  const [bias] = additions.factorBiases.keys();
  if (bias !== undefined) throw unsupported(`the bias of B of ${bias} has no place in it`);
  const [name] = additions.replacements.keys();
  if (name !== undefined) throw unsupported(`${name}, stored whole, has no place in it`);
}

function unsupported(why: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
    `The adapter cannot be written as a GGUF adapter: ${why}`,
    { hint: 'Merge it into its base (tuneyard merge) and export the merged model.' },
  );
}

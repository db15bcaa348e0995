/**
 * Merges adapters into a Hugging Face directory of any catalogued family, whether or not it can be trained here.
 *
 * What is not adapted keeps its bytes; the names and types of tensors stay unless a type is asked for.
 */
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type GgmlTypeName, TuneyardError, throwIfAborted } from '@tuneyard/core';
import { type SafetensorsEntry, writeShardedSafetensors } from '@tuneyard/formats';
import { isPlainType, plainCodec } from '../codec/tensor-codec.js';
import type { RawObject } from '../config/fields.js';
import type { ParameterRole, ParameterSpec } from '../config/parameter-table.js';
import { readJsonObject } from '../config/read-json.js';
import { hfLayout, hfStyleOf } from '../convert/hf-layout.js';
import { requireStoredTensors } from '../convert/hf-tensor-check.js';
import { logicalModel } from '../convert/logical-config.js';
import type { LogicalModel, LogicalTensor } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { castTensor } from '../export/cast-tensor.js';
import { DEFAULT_MAX_SHARD_BYTES, type WriteProgress } from '../export/write-hf-model.js';
import { type HfTensors, openHfTensors } from '../source/hf-tensors.js';
import { notAModel } from '../source/not-a-model.js';
import { listSidecarFiles } from '../source/sidecar-files.js';
import { type MergedTensor, type MergeReport, mergeTensor } from './merge-adapter.js';
import { type MergeableAdapter, type MergePlan, planMerge, untiedHead } from './plan-merge.js';

/** Settings of {@link mergeHfDirectory}. */
export interface MergeHfOptions {
  /** Type of every written tensor of floats; default: each its own. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  /** Bytes; default {@link DEFAULT_MAX_SHARD_BYTES}. */
  readonly maxShardBytes?: number;
  /** Directories of the adapters: where one resized the vocabulary, the last one's tokenizer replaces the base's. */
  readonly adapterDirs?: readonly string[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: WriteProgress) => void;
}

/**
 * Merges adapters in turn and writes a new directory with the tokenizer and settings of the base.
 *
 * Throws: what `logicalModel` and the readers of weights throw; `WEIGHTS_MISSING_TENSOR`,
 * `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`, `WEIGHTS_ADAPTER_MISMATCH`,
 * `WEIGHTS_ADAPTER_UNSUPPORTED` before anything is written; `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_NON_FINITE`,
 * `CANCELLED`. Cost: one tensor in memory, and its f32 values where it is adapted.
 */
export async function mergeHfDirectory(
  directory: string,
  adapters: readonly MergeableAdapter[],
  outDir: string,
  options: MergeHfOptions = {},
): Promise<MergeReport> {
  throwIfAborted(options.signal);
  const path = join(directory, 'config.json');
  const raw = await readJsonObject(path);
  if (raw === null) throw notAModel(directory, 'it has no config.json');
  const model = logicalModel(raw, path);
  const source = await openHfTensors(directory);
  try {
    const vocabulary = resizedVocabulary(model, adapters);
    const parameters = storedParameters(directory, model, source).map((parameter) =>
      withVocabulary(parameter, vocabulary),
    );
    const tieWordEmbeddings = model.sizes.tiedEmbeddings;
    const base = { path: directory, config: { tieWordEmbeddings }, parameters };
    const plan = planMerge(base, adapters);
    return await write({ directory, outDir, raw, source, parameters, plan, options, vocabulary });
  } finally {
    await source.close();
  }
}

interface Job {
  readonly directory: string;
  readonly outDir: string;
  readonly raw: RawObject;
  readonly source: HfTensors;
  readonly parameters: readonly StoredFloat[];
  readonly plan: MergePlan;
  readonly options: MergeHfOptions;
  /** Null when it stays. */
  readonly vocabulary: number | null;
}

/** A tensor of the base; types that nothing is added to keep a null. */
interface StoredFloat extends ParameterSpec {
  /** Name in the files: the embedding's for an untied head. */
  readonly stored: string;
  readonly dtype: string;
  readonly type: 'f32' | 'f16' | 'bf16' | null;
  /** The base has another number of rows, so that only the adapter's own tensor counts. */
  readonly isResized: boolean;
}

const PLAIN_TYPES: Readonly<Record<string, GgmlTypeName>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};
const DTYPE_NAMES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

function storedParameters(
  directory: string,
  model: LogicalModel,
  source: HfTensors,
): readonly StoredFloat[] {
  const layout = hfLayout(model, { style: hfStyleOf(model, source.tensors.keys()) });
  requireStoredTensors(directory, model, { layout, tensors: source.tensors });
  const logical = new Map(model.tensors.map((tensor) => [tensor.id, tensor]));
  return layout.map(({ name, shape, rectangles }) => {
    const dtype = source.tensors.get(name)?.dtype ?? '';
    const plain = PLAIN_TYPES[dtype];
    const first = logical.get(rectangles[0]?.logical ?? '');
    return {
      name,
      stored: name,
      shape,
      dtype,
      type: plain !== undefined && isPlainType(plain) ? plain : null,
      isResized: false,
      role: roleOf(first, shape),
      layer: first?.layer ?? null,
      module: name.split('.').at(-2) ?? name,
    };
  });
}

/**
 * The size of the vocabulary after training with added tokens: what embedding and head, stored whole, both have.
 * One of them alone is left for the plan to refuse.
 */
function resizedVocabulary(
  model: LogicalModel,
  adapters: readonly MergeableAdapter[],
): number | null {
  const { vocab, tiedEmbeddings } = model.sizes;
  const names = hfLayout(model)
    .filter(({ rectangles }) =>
      /(embed_tokens|lm_head)\.weight$/.test(rectangles[0]?.logical ?? ''),
    )
    .map(({ name }) => name);
  const found = new Set<number>();
  for (const name of names) {
    const shapes = adapters.map(({ additions }) => additions?.replacements.get(name)?.shape);
    const [rows] = shapes.findLast((shape) => shape !== undefined) ?? [];
    if (rows !== undefined) found.add(rows);
    else if (!tiedEmbeddings) return null;
  }
  const [rows] = found;
  return found.size === 1 && rows !== undefined && rows !== vocab ? rows : null;
}

function withVocabulary(parameter: StoredFloat, vocabulary: number | null): StoredFloat {
  const isTable = parameter.role === 'embedding' || parameter.role === 'head';
  if (vocabulary === null || !isTable) return parameter;
  return { ...parameter, shape: [vocabulary, ...parameter.shape.slice(1)], isResized: true };
}

function roleOf(tensor: LogicalTensor | undefined, shape: readonly number[]): ParameterRole {
  if (tensor?.part === 'bias') return 'bias';
  if (tensor?.role === 'embedding' || tensor?.role === 'head') return tensor.role;
  return shape.length === 2 ? 'linear' : 'norm';
}

async function write(job: Job): Promise<MergeReport> {
  const { outDir, options, plan } = job;
  const embedding = job.parameters.find(({ role }) => role === 'embedding');
  const written =
    plan.unties && embedding !== undefined
      ? [...job.parameters, untiedHead(embedding)]
      : job.parameters;
  for (const parameter of written) requireMergeable(parameter, plan);
  await mkdir(outDir, { recursive: true });
  await requireNoModel(outDir);
  const sidecarFiles = await copySidecars(job);
  const merged: MergedTensor[] = [];
  const result = await writeShardedSafetensors(
    outDir,
    written.map((parameter, at) => entryOf(parameter, { job, merged, at, total: written.length })),
    {
      maxShardBytes: options.maxShardBytes ?? DEFAULT_MAX_SHARD_BYTES,
      metadata: { format: 'pt' },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  await writeFile(join(outDir, 'config.json'), `${JSON.stringify(configOf(job), null, 2)}\n`);
  return {
    weightFiles: result.files.map((file) => basename(file)),
    sidecarFiles,
    tensorBytes: result.totalSize,
    tensors: written.length,
    merged,
    carried: written.length - merged.length,
    untied: plan.unties,
  };
}

/** Licence and card stay the base's; the tokenizer is the adapter's where that added tokens. */
async function copySidecars({ directory, outDir, options, vocabulary }: Job): Promise<string[]> {
  const from = new Map<string, string>();
  for (const name of await listSidecarFiles(directory)) from.set(name, directory);
  const adapterDir = vocabulary === null ? undefined : options.adapterDirs?.at(-1);
  if (adapterDir !== undefined) {
    for (const name of await listSidecarFiles(adapterDir)) {
      if (!/^[A-Z]/.test(name)) from.set(name, adapterDir);
    }
  }
  for (const [name, source] of from) await copyFile(join(source, name), join(outDir, name));
  return [...from.keys()].sort();
}

function entryOf(
  parameter: StoredFloat,
  context: { job: Job; merged: MergedTensor[]; at: number; total: number },
): SafetensorsEntry {
  const { job, merged, at, total } = context;
  const { name, shape, type } = parameter;
  const { dtype, signal, onProgress } = job.options;
  const target = type === null ? null : (dtype ?? type);
  return {
    name,
    shape,
    dtype: (target === null ? parameter.dtype : DTYPE_NAMES[target]) as SafetensorsEntry['dtype'],
    data: async () => {
      throwIfAborted(signal);
      const bytes = await baseBytes(job, parameter);
      onProgress?.({ tensor: name, done: at + 1, total });
      if (type === null || target === null) return bytes;
      const steps = job.plan.steps.get(name);
      const tensor = { name, shape, type, bytes };
      if (steps === undefined) return castTensor(tensor, target, plainCodec);
      const result = mergeTensor(tensor, target, { steps, codec: plainCodec });
      merged.push(result.report);
      return result.bytes;
    },
  };
}

/** A resized table starts from nothing; its whole replacement is the first change. */
async function baseBytes({ source }: Job, parameter: StoredFloat): Promise<Uint8Array> {
  if (!parameter.isResized) return await source.read(parameter.stored);
  const elements = parameter.shape.reduce((product, n) => product * n, 1);
  return new Uint8Array(elements * (parameter.type === 'f32' ? 4 : 2));
}

function configOf({ raw, options, plan, vocabulary }: Job): RawObject {
  const key = raw['dtype'] === undefined ? 'torch_dtype' : 'dtype';
  const names = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };
  return {
    ...raw,
    ...(options.dtype === undefined ? {} : { [key]: names[options.dtype] }),
    ...(plan.unties ? { tie_word_embeddings: false } : {}),
    ...(vocabulary === null ? {} : { vocab_size: vocabulary }),
  };
}

function requireMergeable(parameter: StoredFloat, plan: MergePlan): void {
  const { name, dtype, type, isResized } = parameter;
  const steps = plan.steps.get(name);
  if (isResized && steps?.[0]?.kind !== 'replace') {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
      `The adapter resized the vocabulary to ${parameter.shape[0]} and does not hold ${name}`,
      {
        details: { tensor: name },
        hint: 'Save it in PEFT with save_embedding_layers=True.',
      },
    );
  }
  if (type !== null || steps === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TENSOR_DTYPE,
    `${name} is stored as ${dtype}; adapters are merged into F32, F16 and BF16`,
    { details: { tensor: name, type: dtype } },
  );
}

async function requireNoModel(outDir: string): Promise<void> {
  const names = await readdir(outDir);
  const found = names.find((name) => name === 'config.json' || /\.(safetensors|bin)$/.test(name));
  if (found === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS,
    `${outDir} already holds a model (${found})`,
    { category: 'conflict', details: { path: outDir, found }, hint: 'Choose an empty directory.' },
  );
}

/** Writes a GGUF file of any known architecture as a Hugging Face directory; quantized tensors are dequantized. */
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import {
  GgufReader,
  type GgufTensor,
  type SafetensorsEntry,
  writeShardedSafetensors,
} from '@tuneyard/formats';
import { plainCodec } from '../../codec/tensor-codec.js';
import { hfLayout, requireTable } from '../../convert/hf-layout.js';
import { logicalModel } from '../../convert/logical-config.js';
import type { LogicalModel, StoredSpec } from '../../convert/logical-model.js';
import { type GgufDivisors, ggufHfConfig } from '../../source/gguf-hf-config.js';
import {
  checkShape,
  isWeightType,
  missingTensors,
  unexpectedTensors,
  unusableType,
} from '../../source/tensor-checks.js';
import { formatConfigJson } from '../config-json.js';
import {
  DEFAULT_MAX_SHARD_BYTES,
  type HfWriteOptions,
  type HfWriteReport,
  requireNoModel,
} from '../write-hf-model.js';
import { type GgufTensorSpec, ggufLayout } from './layout.js';
import { RowFiles, type RowTensor } from './row-files.js';
import { HfRowProducer } from './rows.js';

const DTYPES = {
  f32: ['F32', 'float32'],
  f16: ['F16', 'float16'],
  bf16: ['BF16', 'bfloat16'],
} as const;

/** Tensors that state rotary frequencies, which `config.json` states in words. */
const DIVISORS = {
  frequencies: 'rope_freqs.weight',
  long: 'rope_factors_long.weight',
  short: 'rope_factors_short.weight',
} as const;

/** A GGUF file as a conversion sees it: headers read, nothing else. */
export interface OpenedGguf {
  readonly config: Record<string, unknown>;
  readonly model: LogicalModel;
  readonly specs: readonly GgufTensorSpec[];
  readonly tensors: ReadonlyMap<string, RowTensor>;
}

/**
 * Converts; a few rows of one tensor are in memory at a time. Tokenizer files come as `extraFiles`.
 *
 * Throws: what `ggufHfConfig` and `logicalModel` throw, `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`,
 * `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`, `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_NON_FINITE`, `CANCELLED`.
 * Checked against: checkpoints of every family, byte for byte after the way there and back.
 */
export async function convertGgufToHf(
  path: string,
  outDir: string,
  options: HfWriteOptions,
): Promise<HfWriteReport> {
  throwIfAborted(options.signal);
  const opened = await openGguf(path);
  const dtype = options.dtype ?? dtypeOf(opened.config);
  await mkdir(outDir, { recursive: true });
  await requireNoModel(outDir);
  const extra = options.extraFiles ?? [];
  for (const { name, content } of extra) await writeFile(join(outDir, basename(name)), content);
  const files = new RowFiles();
  try {
    const { specs, tensors, model } = opened;
    const producer = new HfRowProducer(specs, { files, tensors, codec: options.codec });
    const stored = hfLayout(model);
    const wide = keptWide(model);
    const written = await writeShardedSafetensors(
      outDir,
      stored.map((spec, i) => {
        const place = { done: i + 1, total: stored.length };
        const isWide = spec.rectangles.every(({ logical }) => wide.has(logical));
        return entryOf(spec, { producer, dtype: isWide ? 'f32' : dtype, options, place });
      }),
      {
        maxShardBytes: options.maxShardBytes ?? DEFAULT_MAX_SHARD_BYTES,
        metadata: { format: 'pt' },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
    );
    const config = { ...opened.config, torch_dtype: DTYPES[dtype][1] };
    await writeFile(join(outDir, 'config.json'), formatConfigJson(config));
    return {
      weightFiles: written.files.map((file) => basename(file)),
      sidecarFiles: extra.map(({ name }) => name).sort(),
      tensorBytes: written.totalSize,
      tensors: stored.length,
    };
  } finally {
    await files.close();
  }
}

/** Reads the headers and matches every tensor with the layout that the metadata imply. */
export async function openGguf(path: string): Promise<OpenedGguf> {
  await using reader = await GgufReader.open(path);
  const divisors = await readDivisors(path, reader);
  const config = ggufHfConfig({
    path,
    metadata: reader.metadata,
    tensors: reader.tensors,
    divisors,
  });
  const model = logicalModel(config, path);
  const table = requireTable(model.family);
  const specs = ggufLayout(model, {
    ...(table.gguf ?? { architecture: table.name, permutesRotary: false }),
    keepsLatentWhole: reader.tensors.has('blk.0.attn_kv_b.weight'),
  });
  return { config, model, specs, tensors: matchTensors(path, specs, reader.tensors) };
}

function matchTensors(
  path: string,
  specs: readonly GgufTensorSpec[],
  found: ReadonlyMap<string, GgufTensor>,
): ReadonlyMap<string, RowTensor> {
  const missing = specs.map((spec) => spec.name).filter((name) => !found.has(name));
  if (missing.length > 0) throw missingTensors(path, missing);
  const expected = new Set<string>([...Object.values(DIVISORS), ...specs.map(({ name }) => name)]);
  const extra = [...found.keys()].filter((name) => !expected.has(name));
  if (extra.length > 0) throw unexpectedTensors(path, extra);
  const matched = new Map<string, RowTensor>();
  for (const { name, shape, parts } of specs) {
    const tensor = found.get(name);
    if (tensor === undefined) continue;
    checkShape(path, name, { found: withoutOnes(tensor.shape), expected: shape.toReversed() });
    if (!isWeightType(tensor.type)) throw unusableType(path, name, tensor.type);
    const [part] = parts;
    const cols = part === undefined ? 1 : part.isTransposed ? part.rows : part.cols;
    const rows = shape.reduce((product, n) => product * n, 1) / cols;
    matched.set(name, { name, file: path, begin: tensor.begin, type: tensor.type, rows, cols });
  }
  return matched;
}

/** GGUF may count dimensions of one element at the end. */
function withoutOnes(shape: readonly number[]): readonly number[] {
  let length = shape.length;
  while (length > 1 && shape[length - 1] === 1) length--;
  return shape.slice(0, length);
}

async function readDivisors(path: string, reader: GgufReader): Promise<GgufDivisors> {
  const read = async (name: string): Promise<readonly number[] | null> => {
    const tensor = reader.tensors.get(name);
    if (tensor === undefined) return null;
    if (tensor.type !== 'f32') throw unusableType(path, name, tensor.type);
    return [...plainCodec.toF32('f32', await reader.read(name), tensor.byteLength / 4)];
  };
  return {
    frequencies: await read(DIVISORS.frequencies),
    long: await read(DIVISORS.long),
    short: await read(DIVISORS.short),
  };
}

/** What steers the choice of experts by small differences is f32 in published files and in transformers. */
function keptWide(model: LogicalModel): ReadonlySet<string> {
  return new Set(model.tensors.filter(({ role }) => role === 'router_bias').map(({ id }) => id));
}

type PlainType = keyof typeof DTYPES;

function dtypeOf(config: Record<string, unknown>): PlainType {
  const stated = config['torch_dtype'];
  const types = Object.keys(DTYPES) as PlainType[];
  return types.find((type) => DTYPES[type][1] === stated) ?? 'f32';
}

interface EntryContext {
  readonly producer: HfRowProducer;
  readonly dtype: PlainType;
  readonly options: HfWriteOptions;
  readonly place: { readonly done: number; readonly total: number };
}

function entryOf(spec: StoredSpec, context: EntryContext): SafetensorsEntry {
  const { producer, dtype, options, place } = context;
  async function* data(): AsyncGenerator<Uint8Array> {
    for await (const piece of producer.produce(spec, dtype)) {
      throwIfAborted(options.signal);
      yield piece;
    }
    options.onProgress?.({ tensor: spec.name, ...place });
  }
  return { name: spec.name, dtype: DTYPES[dtype][0], shape: spec.shape, data };
}

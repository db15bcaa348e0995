/** Writes a model directory in the Hugging Face layout, one tensor in memory at a time. */
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { assert, TuneyardError, throwIfAborted } from '@tuneyard/core';
import { type SafetensorsEntry, writeShardedSafetensors } from '@tuneyard/formats';
import type { TensorCodec } from '../codec/tensor-codec.js';
import { modelConfigToHf } from '../config/config-to-hf.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { ModelSource, StoredParameter } from '../source/model-source.js';
import { formatConfigJson } from './config-json.js';

/** Shards of transformers' own size, so that other tools find what they expect. */
export const DEFAULT_MAX_SHARD_BYTES = 5e9;

/** Where a long write stands. */
export interface WriteProgress {
  /** Name of the tensor just written. */
  readonly tensor: string;
  readonly done: number;
  readonly total: number;
}

/** A file to write beside the weights; replaces a sidecar of the same name. */
export interface ExtraFile {
  /** A plain file name, without directories. */
  readonly name: string;
  readonly content: string | Uint8Array;
}

/** Settings shared by everything that writes a Hugging Face directory. */
export interface HfWriteOptions {
  /** Element type of every written tensor; default the source's. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  readonly codec: TensorCodec;
  /** Bytes; default {@link DEFAULT_MAX_SHARD_BYTES}. */
  readonly maxShardBytes?: number;
  /** Tokenizer files of a source that has none (GGUF). */
  readonly extraFiles?: readonly ExtraFile[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: WriteProgress) => void;
}

/** What was written. */
export interface HfWriteReport {
  /** Weight files, relative to the directory. */
  readonly weightFiles: readonly string[];
  /** Sidecar and extra files, relative to the directory. */
  readonly sidecarFiles: readonly string[];
  /** Bytes of tensor data. */
  readonly tensorBytes: number;
  readonly tensors: number;
}

/** Makes the bytes of a parameter in the written type. */
export type TensorProducer = (
  parameter: StoredParameter,
  dtype: 'f32' | 'f16' | 'bf16',
) => Promise<Uint8Array>;

const DTYPES = {
  f32: { name: 'F32', bytes: 4 },
  f16: { name: 'F16', bytes: 2 },
  bf16: { name: 'BF16', bytes: 2 },
} as const;

/**
 * Writes weights, sidecars and, last, `config.json`.
 *
 * Throws: `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_EXPORT_UNSUPPORTED`, `CANCELLED` and what `produce` throws.
 */
export async function writeHfModel(
  source: ModelSource,
  outDir: string,
  options: HfWriteOptions & { readonly produce: TensorProducer },
): Promise<HfWriteReport> {
  const dtype = options.dtype ?? source.config.torchDtype;
  const config = modelConfigToHf({ ...source.config, torchDtype: dtype });
  throwIfAborted(options.signal);
  await mkdir(outDir, { recursive: true });
  await requireNoModel(outDir);
  const sidecarFiles = await writeSidecars(source, outDir, options.extraFiles ?? []);
  const written = await writeShardedSafetensors(
    outDir,
    source.parameters.map((parameter, i) => entryOf(parameter, i, { source, dtype, options })),
    {
      maxShardBytes: options.maxShardBytes ?? DEFAULT_MAX_SHARD_BYTES,
      metadata: { format: 'pt' },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    },
  );
  await writeFile(join(outDir, 'config.json'), formatConfigJson(config));
  return {
    weightFiles: written.files.map((file) => basename(file)),
    sidecarFiles,
    tensorBytes: written.totalSize,
    tensors: source.parameters.length,
  };
}

interface EntryContext {
  readonly source: ModelSource;
  readonly dtype: 'f32' | 'f16' | 'bf16';
  readonly options: HfWriteOptions & { readonly produce: TensorProducer };
}

function entryOf(
  parameter: StoredParameter,
  index: number,
  context: EntryContext,
): SafetensorsEntry {
  const { source, dtype, options } = context;
  const expected = parameter.shape.reduce((product, n) => product * n, DTYPES[dtype].bytes);
  return {
    name: parameter.name,
    dtype: DTYPES[dtype].name,
    shape: parameter.shape,
    data: async () => {
      throwIfAborted(options.signal);
      const bytes = await options.produce(parameter, dtype);
      assert(bytes.byteLength === expected, `${parameter.name}: produced a wrong number of bytes`);
      options.onProgress?.({
        tensor: parameter.name,
        done: index + 1,
        total: source.parameters.length,
      });
      return bytes;
    },
  };
}

async function writeSidecars(
  source: ModelSource,
  outDir: string,
  extra: readonly ExtraFile[],
): Promise<readonly string[]> {
  for (const { name } of extra) {
    assert(name === basename(name) && name !== '..' && name !== '.', `${name} is not a file name`);
  }
  const replaced = new Set(extra.map((file) => file.name));
  const copied = source.files.filter((name) => !replaced.has(name));
  for (const name of copied) await copyFile(join(source.path, name), join(outDir, name));
  for (const { name, content } of extra) await writeFile(join(outDir, name), content);
  return [...copied, ...replaced].sort();
}

/** Writing into a directory with other weights would leave a mixture of two models. Throws: `WEIGHTS_OUTPUT_EXISTS`. */
export async function requireNoModel(outDir: string): Promise<void> {
  const names = await readdir(outDir);
  const found = names.find((name) => name === 'config.json' || /\.(safetensors|bin)$/.test(name));
  if (found === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS,
    `${outDir} already holds a model (${found})`,
    {
      category: 'conflict',
      details: { path: outDir, found },
      hint: 'Choose an empty directory.',
    },
  );
}

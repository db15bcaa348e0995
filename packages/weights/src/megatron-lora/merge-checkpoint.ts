/**
 * Merges the adapters of a Megatron checkpoint into its weights, rank by rank.
 *
 * W' = W + alpha / r · B · A is formed in f32 and rounded to the weight's type once (MindSpeed-LLM's converter rounds
 * the product first). Everything else of the model stays as it is; optimizer and random state are left out, because
 * they belong to the adapters' training.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type GgmlTypeName, TuneyardError, throwIfAborted } from '@tuneyard/core';
import {
  type TorchDict,
  type TorchEntry,
  type TorchStorage,
  type TorchTensorValue,
  type TorchValue,
  torchDict,
  torchEntries,
  torchList,
  torchNamespace,
  torchTensor,
  writeTorchArchive,
} from '@tuneyard/formats';
import { plainCodec } from '../codec/tensor-codec.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { narrowTensor } from '../export/cast-tensor.js';
import { addLowRank } from '../kernels/low-rank-update.js';
import { parseRankDirectory } from '../megatron/rank-directories.js';
import { KEY_SEPARATOR } from '../megatron/rank-names.js';
import { TRACKER_FILE } from '../megatron/tracker.js';
import { findIterationDirectory } from './find-iteration.js';
import { type LoraArguments, loraArguments } from './lora-arguments.js';
import { mergedKey, planRankMerge, type RankUpdate } from './merge-rank.js';
import {
  isModelKey,
  openRankArchive,
  RANK_FILE,
  type RankArchive,
  readWide,
} from './rank-archive.js';

/** Settings of {@link mergeMegatronCheckpoint}. */
export interface MergeMegatronOptions {
  /** Checkpoint with the adapters, where the base does not hold them itself. */
  readonly adapter?: string;
  /** Rank and alpha, where the checkpoint's arguments do not state them. */
  readonly stated?: Partial<LoraArguments>;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { readonly done: number; readonly total: number }) => void;
}

/** What was merged. */
export interface MergeMegatronReport {
  readonly ranks: number;
  /** Weights that took up an update, over all ranks. */
  readonly merged: number;
  readonly rank: number;
  readonly alpha: number;
  readonly bytes: number;
}

/**
 * Merges and writes a checkpoint of the same layout.
 *
 * Throws: `WEIGHTS_ADAPTER_CONFIG`, `WEIGHTS_ADAPTER_TENSOR`, `WEIGHTS_ADAPTER_MISMATCH`,
 * `WEIGHTS_MEGATRON_CHECKPOINT`, `WEIGHTS_NON_FINITE`, `WEIGHTS_OUTPUT_EXISTS`, `TORCH_…`, `CANCELLED`.
 * Cost: one weight and its factors in memory.
 */
export async function mergeMegatronCheckpoint(
  directory: string,
  outDir: string,
  options: MergeMegatronOptions = {},
): Promise<MergeMegatronReport> {
  const base = await findIterationDirectory(directory);
  const adapter =
    options.adapter === undefined ? null : await findIterationDirectory(options.adapter);
  if (adapter !== null) requireSameRanks(base.ranks, adapter.ranks, options.adapter ?? '');
  await requireNoCheckpoint(outDir);
  const ranks = base.ranks.map((rank) => ({
    base: join(base.path, rank),
    adapter: adapter === null ? null : join(adapter.path, rank),
    out: join(outDir, base.name, rank),
  }));
  // Every rank is checked before the first is written.
  for (const rank of ranks) await withRank(rank, options, () => Promise.resolve());
  const total = { merged: 0, rank: 0, alpha: 0, bytes: 0 };
  for (const [at, rank] of ranks.entries()) {
    throwIfAborted(options.signal);
    await mkdir(rank.out, { recursive: true });
    await withRank(rank, options, async ({ merge, updates, lora }) => {
      total.bytes += await writeRank(join(rank.out, RANK_FILE), merge, options.signal);
      total.merged += updates.length;
      total.rank = lora.rank;
      total.alpha = lora.alpha;
    });
    options.onProgress?.({ done: at + 1, total: ranks.length });
  }
  await writeFile(join(outDir, TRACKER_FILE), base.trackerText);
  return { ranks: ranks.length, ...total };
}

interface OpenRank {
  readonly merge: RankMerge;
  readonly updates: readonly RankUpdate[];
  readonly lora: LoraArguments;
}

/** Opens a rank's files and pairs their tensors; closes them when `run` is done. */
async function withRank(
  paths: { readonly base: string; readonly adapter: string | null },
  options: MergeMegatronOptions,
  run: (rank: OpenRank) => Promise<void>,
): Promise<void> {
  await using base = disposable(await openRankArchive(paths.base));
  await using other =
    paths.adapter === null ? null : disposable(await openRankArchive(paths.adapter));
  const adapter = other?.archive ?? base.archive;
  const lora = loraArguments(adapter.args, options.stated ?? {}, adapter.path);
  const updates = planRankMerge([...base.archive.tensors.values()], [...adapter.tensors.values()], {
    where: adapter.path,
    rank: lora.rank,
  });
  if (updates.length === 0) throw noFactors(adapter.path);
  const scale = lora.alpha / lora.rank;
  const merge = new RankMerge({ base: base.archive, adapter, updates, scale });
  await run({ merge, updates, lora });
}

async function writeRank(
  path: string,
  merge: RankMerge,
  signal: AbortSignal | undefined,
): Promise<number> {
  const data = (storage: TorchStorage) => async () => {
    throwIfAborted(signal);
    return await merge.bytesOf(storage);
  };
  const options = signal === undefined ? {} : { signal };
  return (await writeTorchArchive(path, merge.root(), data, options)).bytes;
}

function disposable(archive: RankArchive): { archive: RankArchive } & AsyncDisposable {
  return { archive, [Symbol.asyncDispose]: async () => await archive.reader.close() };
}

/** The value of the merged file, and where the bytes of its storages come from. */
class RankMerge {
  readonly #source: { base: RankArchive; adapter: RankArchive; scale: number };
  readonly #updates: ReadonlyMap<string, RankUpdate>;
  readonly #jobs = new Map<TorchStorage, RankUpdate>();

  constructor(input: {
    base: RankArchive;
    adapter: RankArchive;
    updates: readonly RankUpdate[];
    scale: number;
  }) {
    this.#source = input;
    this.#updates = new Map(input.updates.map((update) => [update.base, update]));
  }

  root(): TorchDict {
    const entries: TorchEntry[] = [];
    for (const [key, value] of torchEntries(this.#source.base.root)) {
      if (key === 'args') entries.push([key, withoutAdapter(value)]);
      else if (key === 'checkpoint_version' || key === 'iteration') entries.push([key, value]);
      else if (isModelKey(key)) entries.push([key, this.#merged(value, key)]);
    }
    return torchDict(entries);
  }

  #merged(value: TorchValue, path: string): TorchValue {
    if (value === null || typeof value !== 'object') return value;
    if (value.kind === 'dict') {
      const entries: TorchEntry[] = [];
      for (const [key, child] of value.entries) {
        const name = typeof key === 'string' ? mergedKey(key) : key;
        if (name === null) continue;
        entries.push([name, this.#merged(child, `${path}${KEY_SEPARATOR}${String(key)}`)]);
      }
      return { ...value, entries };
    }
    const update = this.#updates.get(path);
    if (update === undefined) return value;
    const tensor = value.kind === 'parameter' ? value.data : (value as TorchTensorValue);
    const fresh = torchTensor({ dtype: tensor.dtype, shape: tensor.shape });
    this.#jobs.set(fresh.storage, update);
    return fresh;
  }

  async bytesOf(storage: TorchStorage): Promise<Uint8Array> {
    const { base, adapter, scale } = this.#source;
    const update = this.#jobs.get(storage);
    if (update === undefined) return await base.reader.readStorage(storage);
    const { dtype = '', shape = [] } = base.tensors.get(update.base) ?? {};
    const values = await readWide(base, update.base);
    const [outFeatures = 0, inFeatures = 0] = shape;
    const sizes = { outFeatures, inFeatures, rank: update.rank };
    const [a, b] = [await readWide(adapter, update.a), await readWide(adapter, update.b)];
    addLowRank(values, sizes, { a, b, scale });
    const name = update.base.replaceAll(KEY_SEPARATOR, '/');
    return narrowTensor({ name, shape, values }, PLAIN_TYPES[dtype] ?? 'f32', plainCodec);
  }
}

const PLAIN_TYPES: Readonly<Record<string, GgmlTypeName>> = {
  float32: 'f32',
  float16: 'f16',
  bfloat16: 'bf16',
};

/** The arguments without the adapter's, so that a training that starts from them does not wrap its layers. */
function withoutAdapter(args: TorchValue): TorchValue {
  if (args === null || typeof args !== 'object' || args.kind !== 'namespace') return args;
  const attributes: (readonly [string, TorchValue])[] = [];
  for (const [name, value] of args.attributes.entries) {
    if (typeof name !== 'string') continue;
    if (name === 'lora_target_modules') attributes.push([name, torchList([])]);
    else attributes.push([name, name === 'lora_load' ? null : value]);
  }
  return torchNamespace(attributes);
}

function requireSameRanks(
  base: readonly string[],
  adapter: readonly string[],
  where: string,
): void {
  const missing = base.filter((rank) => !adapter.includes(rank));
  const extra = adapter.filter((rank) => !base.includes(rank));
  if (missing.length + extra.length === 0) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `${where} has the ranks ${adapter.join(', ')}; the base has ${base.join(', ')}`,
    {
      details: { missing, extra },
      hint: 'Convert the adapter to the base checkpoint’s layout first (tuneyard adapter convert).',
    },
  );
}

async function requireNoCheckpoint(outDir: string): Promise<void> {
  const names: string[] = await readdir(outDir).catch(() => []);
  const found = names.find(
    (name) =>
      name === TRACKER_FILE ||
      name === 'release' ||
      /^iter_\d+$/.test(name) ||
      parseRankDirectory(name) !== null,
  );
  if (found === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS,
    `${outDir} already holds a checkpoint (${found})`,
    { category: 'conflict', details: { path: outDir, found }, hint: 'Choose an empty directory.' },
  );
}

function noFactors(path: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR,
    `${path}: holds no LoRA factors`,
    {
      details: { file: path },
      hint: 'Name the checkpoint that holds the adapters beside the base.',
    },
  );
}

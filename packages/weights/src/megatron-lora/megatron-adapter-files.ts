/** Adapters of Megatron checkpoints as files: one torch archive for each rank. */
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, TuneyardError } from '@tuneyard/core';
import { writeTorchArchive } from '@tuneyard/formats';
import type { StoredFactors } from '../adapter/factors/factor-layout.js';
import { plainCodec } from '../codec/tensor-codec.js';
import type { RawObject } from '../config/fields.js';
import type { LogicalModel, TargetTensor } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import {
  buildArguments,
  type MegatronArguments,
  settingsOfArguments,
} from '../megatron/arguments.js';
import {
  inferParallelSizes,
  parseRankDirectory,
  ranksOfDirectories,
} from '../megatron/rank-directories.js';
import { allRanks, KEY_SEPARATOR, rankDirectory } from '../megatron/rank-names.js';
import {
  DEFAULT_MEGATRON_SETTINGS,
  type MegatronSettings,
  megatronLayers,
  virtualChunks,
} from '../megatron/settings.js';
import { torchRoot } from '../megatron/torch-root.js';
import { iterationDirectory, TRACKER_FILE, trackerText } from '../megatron/tracker.js';
import type { MegatronAdapter } from './convert-adapter.js';
import { factorName, parseFactorName, targetOf } from './factor-names.js';
import { findIterationDirectory } from './find-iteration.js';
import { type LoraArguments, loraArguments, withLoraArguments } from './lora-arguments.js';
import { openRankArchive, RANK_FILE, type RankArchive, readWide } from './rank-archive.js';

/** An adapter and the layout that its files are in. */
export interface ReadMegatronAdapter {
  readonly adapter: MegatronAdapter;
  readonly settings: MegatronSettings;
}

/**
 * Reads the adapters of a checkpoint, which may hold the base too. The layout follows from arguments, directories and
 * names; `overrides` win.
 *
 * Throws: `WEIGHTS_ADAPTER_CONFIG`, `WEIGHTS_ADAPTER_TENSOR`, `WEIGHTS_MEGATRON_CHECKPOINT`, `TORCH_…`.
 */
export async function readMegatronAdapter(
  directory: string,
  model: LogicalModel,
  options: {
    readonly stated?: Partial<LoraArguments>;
    readonly overrides?: Partial<MegatronSettings>;
  } = {},
): Promise<ReadMegatronAdapter> {
  const { path, ranks } = await findIterationDirectory(directory);
  const factors: StoredFactors[] = [];
  const names: string[] = [];
  let lora: LoraArguments | null = null;
  let args: MegatronArguments = {};
  for (const rank of ranks) {
    const archive = await openRankArchive(join(path, rank));
    try {
      if (lora === null) args = archive.args;
      lora ??= loraArguments(archive.args, options.stated ?? {}, archive.path);
      factors.push(...(await readFactors(archive, lora)));
      names.push(...archive.tensors.keys());
    } finally {
      await archive.reader.close();
    }
  }
  if (lora === null || factors.length === 0) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR,
      `${path}: holds no LoRA factors`,
      { details: { path } },
    );
  }
  const targetModules = [...new Set(factors.map(({ name }) => targetOf(name)))].sort();
  return {
    adapter: { ...lora, targetModules, factors },
    settings: { ...settingsOf({ ranks, names, args }, model), ...options.overrides },
  };
}

async function readFactors(archive: RankArchive, lora: LoraArguments): Promise<StoredFactors[]> {
  const halves = new Map<string, { a?: string; b?: string }>();
  for (const name of archive.tensors.keys()) {
    const factor = parseFactorName(name);
    if (factor === null) continue;
    const pair = halves.get(factor.weight) ?? {};
    pair[factor.side] = name;
    halves.set(factor.weight, pair);
  }
  const factors: StoredFactors[] = [];
  for (const [name, { a, b }] of halves) {
    const [rank = 0, columns = 0] = archive.tensors.get(a ?? '')?.shape ?? [];
    const [rows = 0, rankOfB = 0] = archive.tensors.get(b ?? '')?.shape ?? [];
    if (a === undefined || b === undefined || rank !== rankOfB || rank !== lora.rank) {
      throw new TuneyardError(
        WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR,
        `${archive.path}: the adapter of ${name.replaceAll(KEY_SEPARATOR, '/')} has A of rank ${rank} and B of rank ${rankOfB}; lora_r is ${lora.rank}`,
        { details: { file: archive.path, tensor: name.replaceAll(KEY_SEPARATOR, '/') } },
      );
    }
    factors.push({
      shard: archive.directory,
      name,
      rank,
      rows,
      columns,
      a: await readWide(archive, a),
      b: await readWide(archive, b),
      scale: lora.alpha / lora.rank,
    });
  }
  return factors;
}

/** Norms do not matter here, so both layer specifications of Megatron core are `local`. */
function settingsOf(
  found: { ranks: readonly string[]; names: readonly string[]; args: MegatronArguments },
  model: LogicalModel,
): MegatronSettings {
  const { names, args } = found;
  const stated = settingsOfArguments(args);
  const directories = found.ranks.map((directory) => {
    const parsed = parseRankDirectory(directory);
    assert(parsed !== null, 'ranks come from directories of ranks');
    return parsed;
  });
  const holdsEmbedding = (): boolean => false;
  const sizes =
    stated.tensorParallel === undefined
      ? inferParallelSizes(directories, holdsEmbedding)
      : {
          tensorParallel: stated.tensorParallel,
          pipelineParallel: stated.pipelineParallel ?? 1,
          expertParallel: stated.expertParallel ?? 1,
        };
  ranksOfDirectories(directories, sizes);
  const settings = { ...DEFAULT_MEGATRON_SETTINGS, ...stated, ...sizes, ...specOf(names) };
  const chunks = 1 + Math.max(...names.map((name) => Number(/^model(\d+)/.exec(name)?.[1] ?? 0)));
  if (chunks === 1 || settings.schedule === 'dualpipev') {
    return { ...settings, layersPerVirtualStage: null };
  }
  const perStage = megatronLayers(model.sizes.layers, settings) / settings.pipelineParallel;
  return { ...settings, layersPerVirtualStage: perStage / chunks };
}

function specOf(names: readonly string[]): Pick<MegatronSettings, 'spec' | 'separateGate'> {
  const has = (part: string): boolean => names.some((name) => name.includes(part));
  if (!has(`${KEY_SEPARATOR}language_model${KEY_SEPARATOR}`)) {
    return { spec: 'local', separateGate: false };
  }
  const isOldest = has('.mlp.proj.') || has('.mlp.gate_proj.');
  return { spec: isOldest ? 'ascendspeed' : 'legacy', separateGate: has('.mlp.gate_proj.') };
}

/** Settings of {@link writeMegatronAdapter}. */
export interface WriteMegatronAdapterOptions {
  readonly model: LogicalModel;
  /** The base's `config.json`, for the arguments in the files. */
  readonly config: RawObject;
  readonly settings: MegatronSettings;
  /** Default: f32, as PEFT keeps factors in Megatron. */
  readonly type?: 'f32' | 'f16' | 'bf16';
  readonly signal?: AbortSignal;
}

const DTYPES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/**
 * Writes a checkpoint that holds the adapters alone, for `--lora-load`.
 *
 * Throws: `WEIGHTS_OUTPUT_EXISTS`, `TORCH_…`, `FILE_…`, `CANCELLED`.
 */
export async function writeMegatronAdapter(
  directory: string,
  adapter: MegatronAdapter,
  options: WriteMegatronAdapterOptions,
): Promise<{ readonly files: number; readonly bytes: number }> {
  const { model, settings, signal } = options;
  await mkdir(directory, { recursive: true });
  await requireEmpty(directory);
  const iteration = 1;
  const args = withLoraArguments(buildArguments(model, options.config, settings), adapter);
  const chunks = virtualChunks(model.sizes.layers, settings);
  const chunkKeys =
    chunks === 1 ? ['model'] : Array.from({ length: chunks }, (_, chunk) => `model${chunk}`);
  const shards = allRanks(settings).map((rank) => rankDirectory(rank, settings));
  let bytes = 0;
  for (const shard of shards) {
    const tensors = shardTensors(adapter, shard, options.type ?? 'f32');
    const root = torchRoot(
      tensors.map(({ target }) => target),
      { args, chunkKeys, iteration },
    );
    const data = new Map(tensors.map(({ target, data }) => [target.name, data]));
    const folder = join(directory, iterationDirectory(iteration), shard);
    await mkdir(folder, { recursive: true });
    const written = await writeTorchArchive(
      join(folder, RANK_FILE),
      root,
      (_, name) => data.get(name) ?? new Uint8Array(0),
      signal === undefined ? {} : { signal },
    );
    bytes += written.bytes;
  }
  await writeFile(join(directory, TRACKER_FILE), trackerText(iteration));
  return { files: shards.length, bytes };
}

function shardTensors(
  adapter: MegatronAdapter,
  shard: string,
  type: 'f32' | 'f16' | 'bf16',
): { target: TargetTensor; data: Uint8Array }[] {
  return adapter.factors
    .filter((factors) => factors.shard === shard)
    .flatMap(({ name, rank, rows, columns, a, b }) =>
      (
        [
          [factorName(name, 'A'), rank, columns, a],
          [factorName(name, 'B'), rows, rank, b],
        ] as const
      ).map(([key, height, width, values]) => ({
        target: {
          name: key,
          dtype: DTYPES[type],
          shape: [height, width],
          rows: height,
          cols: width,
          pieces: [],
        },
        data: plainCodec.fromF32(type, values, width),
      })),
    );
}

async function requireEmpty(directory: string): Promise<void> {
  const [found] = await readdir(directory);
  if (found === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS,
    `${directory} is not empty (${found})`,
    {
      category: 'conflict',
      details: { path: directory, found },
      hint: 'Choose an empty directory.',
    },
  );
}

/**
 * Finds out which of three forms a directory has: one `.metadata`, one `__<rank>.metadata` per rank, or safetensors
 * that say in their own metadata which part of each tensor they hold.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { fileError } from '../io/file-errors.js';
import { readSmallFile } from '../io/random-access-file.js';
import { MAX_CONFIG_BYTES, MAX_RANKS } from './limits.js';

const METADATA_NAME = '.metadata';
const RANK_METADATA = /^__(\d+)\.metadata$/;
/** Names that `HuggingFaceStorageWriter` gives to the files of several ranks. */
const SHARD_NAME = /^shard-\d+-model-\d+-of-\d+\.safetensors$/;
/** Names of Megatron's own files. */
const CONFIG_NAME = 'metadata.json';
const TRACKER_NAME = 'latest_checkpointed_iteration.txt';

/** Files of a checkpoint that describe it. */
export interface FoundCheckpoint {
  readonly directory: string;
  /** Pickles to read: one, or one per rank. Empty for safetensors. */
  readonly metadataFiles: readonly string[];
  /** Safetensors files of several ranks. */
  readonly shardFiles: readonly string[];
  /** `metadata.json` of Megatron, or null. */
  readonly backend: DcpBackend | null;
  /** Path of Megatron's file of what is no tensor (arguments, iteration), or null. */
  readonly commonFile: string | null;
}

/** What Megatron's `metadata.json` says. */
export interface DcpBackend {
  /** `torch_dist`; other backends are refused. */
  readonly shardedBackend: string;
  readonly shardedBackendVersion: number;
}

/**
 * Looks into a directory.
 *
 * Throws: `DCP_NOT_FOUND`, `DCP_UNSUPPORTED` for another backend, `DCP_BAD_METADATA`, `FILE_…`.
 */
export async function findCheckpoint(directory: string): Promise<FoundCheckpoint> {
  const names = new Set(await list(directory));
  const backend = names.has(CONFIG_NAME) ? await readBackend(join(directory, CONFIG_NAME)) : null;
  const metadataNames = names.has(METADATA_NAME) ? [METADATA_NAME] : rankMetadata(names);
  const shardNames =
    metadataNames.length > 0 ? [] : [...names].filter((name) => SHARD_NAME.test(name)).sort();
  if (metadataNames.length + shardNames.length === 0) throw notFound(directory, names);
  if (metadataNames.length > MAX_RANKS) {
    throw new TuneyardError(
      DCP_ERRORS.DCP_BAD_METADATA,
      `${directory} holds metadata of ${metadataNames.length} ranks; at most ${MAX_RANKS} are read`,
    );
  }
  return {
    directory,
    metadataFiles: metadataNames.map((name) => join(directory, name)),
    shardFiles: shardNames.map((name) => join(directory, name)),
    backend,
    commonFile: names.has('common.pt') ? join(directory, 'common.pt') : null,
  };
}

async function list(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw fileError(error, 'list', directory);
  }
}

function rankMetadata(names: ReadonlySet<string>): readonly string[] {
  const ranks: { name: string; rank: number }[] = [];
  for (const name of names) {
    const match = RANK_METADATA.exec(name);
    if (match !== null) ranks.push({ name, rank: Number(match[1]) });
  }
  return ranks.sort((a, b) => a.rank - b.rank).map(({ name }) => name);
}

/** A `metadata.json` without a sharded backend belongs to another program and says nothing here. */
async function readBackend(path: string): Promise<DcpBackend | null> {
  const bytes = await readSmallFile(path, MAX_CONFIG_BYTES, (size) =>
    badConfig(path, `it has ${size} bytes, above the limit of ${MAX_CONFIG_BYTES}`),
  );
  const value = parseJson(path, bytes);
  if (typeof value !== 'object' || value === null) throw badConfig(path, 'it is no object');
  const shardedBackend = 'sharded_backend' in value ? value.sharded_backend : undefined;
  if (shardedBackend === undefined) return null;
  if (shardedBackend !== 'torch_dist') {
    throw new TuneyardError(
      DCP_ERRORS.DCP_UNSUPPORTED,
      `${path} names the sharded backend ${JSON.stringify(shardedBackend)}; only torch_dist is read`,
      {
        details: { path },
        hint: 'Load the checkpoint with Megatron and save it with --ckpt-format torch_dist.',
      },
    );
  }
  const version = 'sharded_backend_version' in value ? value.sharded_backend_version : 1;
  return { shardedBackend, shardedBackendVersion: typeof version === 'number' ? version : 1 };
}

function parseJson(path: string, bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8').decode(bytes));
  } catch (error) {
    throw badConfig(path, error instanceof Error ? error.message : String(error));
  }
}

function badConfig(path: string, reason: string): TuneyardError {
  return new TuneyardError(DCP_ERRORS.DCP_BAD_METADATA, `${path} cannot be used: ${reason}`, {
    details: { path },
  });
}

function notFound(directory: string, names: ReadonlySet<string>): TuneyardError {
  const iterations = [...names].filter((name) => /^(iter_\d+|release)$/.test(name)).sort();
  const newest = iterations.at(-1);
  const isTracked = names.has(TRACKER_NAME) || newest !== undefined;
  return new TuneyardError(
    DCP_ERRORS.DCP_NOT_FOUND,
    `${directory} holds no distributed checkpoint: it has no ${METADATA_NAME}`,
    {
      category: 'not_found',
      details: { directory },
      hint:
        isTracked && newest !== undefined
          ? `Name the directory of one iteration, such as ${join(directory, newest)}.`
          : 'Was the save interrupted? The metadata are written last.',
    },
  );
}

/** Lists the files of a Megatron checkpoint directory. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { TorchArchiveReader, type TorchDict, type TorchValue } from '@tuneyard/formats';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { ArgumentValue, MegatronArguments } from '../megatron/arguments.js';
import type { MegatronFile } from '../megatron/checkpoint.js';
import { parseRankDirectory } from '../megatron/rank-directories.js';
import { KEY_SEPARATOR } from '../megatron/rank-names.js';
import {
  type Iteration,
  iterationDirectory,
  parseTracker,
  TRACKER_FILE,
} from '../megatron/tracker.js';
import { torchSource } from './source-tensors.js';

const RANK_FILE = 'model_optim_rng.pt';
/** `model`, or one for each virtual stage. */
const MODEL_KEY = /^model\d*$/;

/** The files of one iteration. */
export interface MegatronFiles {
  readonly iteration: Iteration;
  readonly files: readonly (MegatronFile & { readonly path: string })[];
}

/** True when a directory holds a tracker, or the rank directories themselves. */
export async function isMegatronDirectory(directory: string): Promise<boolean> {
  const names: string[] = await readdir(directory).catch(() => []);
  return names.includes(TRACKER_FILE) || names.some((name) => parseRankDirectory(name) !== null);
}

/**
 * Lists the model tensors of every rank; optimizer and random state are left out. `directory` holds the tracker, or
 * is the directory of an iteration itself.
 *
 * Throws: `WEIGHTS_MEGATRON_CHECKPOINT` when a part of it is missing; `TORCH_…`, `WEIGHTS_TENSOR_…`.
 */
export async function openMegatronFiles(
  directory: string,
  wanted?: Iteration,
): Promise<MegatronFiles> {
  const { iteration, path } = await findIteration(directory, wanted);
  const ranks = (await readdir(path)).filter((name) => parseRankDirectory(name) !== null).sort();
  if (ranks.length === 0) throw broken(`${path} has no directory mp_rank_…`);
  const files: (MegatronFile & { readonly path: string })[] = [];
  for (const rank of ranks) {
    const file = await openRank(join(path, rank), rank);
    files.push({ ...file, path: join(path, rank, RANK_FILE) });
  }
  return { iteration, files };
}

async function findIteration(
  directory: string,
  wanted: Iteration | undefined,
): Promise<{ readonly iteration: Iteration; readonly path: string }> {
  const tracker = join(directory, TRACKER_FILE);
  const text = await readFile(tracker, 'utf8').catch(() => null);
  if (text === null && wanted === undefined) {
    // The directory of an iteration named directly.
    return { iteration: iterationOfName(directory), path: directory };
  }
  const iteration = wanted ?? parseTracker(text ?? '', tracker);
  const path = join(directory, iterationDirectory(iteration));
  if ((await stat(path).catch(() => null))?.isDirectory() === true) return { iteration, path };
  const found = (await readdir(directory)).filter((name) => /^(iter_\d+|release)$/.test(name));
  throw broken(
    `${directory} has no ${iterationDirectory(iteration)}; it has ${found.join(', ') || 'no iteration at all'}`,
    `Edit ${TRACKER_FILE}, or choose with --iteration.`,
  );
}

function iterationOfName(directory: string): Iteration {
  const number = Number(/iter_(\d+)\/*$/.exec(directory)?.[1] ?? 0);
  return number > 0 ? number : 'release';
}

async function openRank(path: string, directory: string): Promise<MegatronFile> {
  const file = join(path, RANK_FILE);
  if ((await stat(file).catch(() => null)) === null) {
    throw broken(
      `${path} has no ${RANK_FILE}`,
      'Checkpoints of other forms are read by torch_dist.',
    );
  }
  const reader = await TorchArchiveReader.open(file);
  try {
    const { root } = reader;
    const entries = isDict(root) ? root.entries : [];
    const entryOf = (key: string) => entries.find(([name]) => name === key)?.[1];
    const version = entryOf('checkpoint_version');
    return {
      directory,
      tensors: [...reader.tensors.values()]
        .filter(({ name }) => MODEL_KEY.test(name.split(KEY_SEPARATOR)[0] ?? ''))
        .map((tensor) => torchSource(tensor, file)),
      args: argumentsOf(entryOf('args')),
      checkpointVersion: Number(plainValue(version ?? 0) ?? 0),
    };
  } finally {
    await reader.close();
  }
}

function isDict(value: TorchValue | undefined): value is TorchDict {
  return typeof value === 'object' && value !== null && value.kind === 'dict';
}

/** The arguments that are plain values; enum members and element types of a training's arguments are left out. */
function argumentsOf(value: TorchValue | undefined): MegatronArguments | null {
  if (typeof value !== 'object' || value === null || value.kind !== 'namespace') return null;
  const args: { [name: string]: ArgumentValue } = {};
  for (const [name, found] of value.attributes.entries) {
    const plain = plainValue(found);
    if (typeof name === 'string' && plain !== undefined) args[name] = plain;
  }
  return args;
}

function plainValue(value: TorchValue): ArgumentValue | undefined {
  if (value === null || typeof value !== 'object') {
    return typeof value === 'bigint' ? Number(value) : value;
  }
  if (value.kind === 'float') return value.value;
  if (value.kind === 'global') return value.name;
  // Trainings keep some lists, such as noop_layers, as sets.
  const isList = value.kind === 'list' || value.kind === 'tuple' || value.kind === 'set';
  if (!isList) return undefined;
  const items = value.items.map(plainValue);
  return items.every((item) => item !== undefined) ? (items as ArgumentValue[]) : undefined;
}

function broken(message: string, hint?: string): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_MEGATRON_CHECKPOINT, message, {
    ...(hint === undefined ? {} : { hint }),
  });
}

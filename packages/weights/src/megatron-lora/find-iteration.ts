/** The directory of the iteration that counts, and the ranks in it. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { parseRankDirectory } from '../megatron/rank-directories.js';
import {
  iterationDirectory,
  parseTracker,
  TRACKER_FILE,
  trackerText,
} from '../megatron/tracker.js';

/** An iteration of a checkpoint. */
export interface IterationDirectory {
  readonly path: string;
  /** `iter_0000001` or `release`. */
  readonly name: string;
  /** Rank directories, sorted. */
  readonly ranks: readonly string[];
  /** Text of the tracker file, as it is or as it would be. */
  readonly trackerText: string;
}

/** Finds it by the tracker, or takes the directory itself. Throws: `WEIGHTS_MEGATRON_CHECKPOINT`. */
export async function findIterationDirectory(directory: string): Promise<IterationDirectory> {
  const tracker = join(directory, TRACKER_FILE);
  const text = await readFile(tracker, 'utf8').catch(() => null);
  if (text === null) return await namedDirectly(directory);
  const iteration = parseTracker(text, tracker);
  const name = iterationDirectory(iteration);
  const path = join(directory, name);
  return { path, name, ranks: await ranksOf(path), trackerText: text };
}

async function namedDirectly(directory: string): Promise<IterationDirectory> {
  const given = basename(directory);
  const number = Number(/^iter_(\d+)$/.exec(given)?.[1] ?? 0);
  const iteration = number > 0 ? number : given === 'release' ? 'release' : 1;
  return {
    path: directory,
    name: iterationDirectory(iteration),
    ranks: await ranksOf(directory),
    trackerText: trackerText(iteration),
  };
}

async function ranksOf(path: string): Promise<readonly string[]> {
  const isDirectory = (await stat(path).catch(() => null))?.isDirectory() === true;
  const names = isDirectory ? await readdir(path) : [];
  const ranks = names.filter((name) => parseRankDirectory(name) !== null).sort();
  if (ranks.length > 0) return ranks;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MEGATRON_CHECKPOINT,
    `${path} has no directory mp_rank_…`,
    { category: 'not_found', details: { path } },
  );
}

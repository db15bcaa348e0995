/** Finds a distributed checkpoint: in a directory itself, or in the iteration that Megatron's tracker names. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Iteration,
  iterationDirectory,
  parseTracker,
  TRACKER_FILE,
} from '../megatron/tracker.js';

/** Files that only a distributed checkpoint has. */
const MARK = /^(?:\.metadata|__\d+\.metadata|shard-\d+-model-\d+-of-\d+\.safetensors)$/;

/** Where a distributed checkpoint is. */
export interface FoundDistributed {
  readonly directory: string;
  readonly iteration: Iteration;
}

/** Looks into a directory and, with a tracker, into its iteration; null when there is none of this kind. */
export async function findDistributed(
  directory: string,
  wanted?: Iteration,
): Promise<FoundDistributed | null> {
  if (await isDistributed(directory)) return { directory, iteration: wanted ?? 1 };
  const tracker = join(directory, TRACKER_FILE);
  const text = await readFile(tracker, 'utf8').catch(() => null);
  if (text === null) return null;
  const iteration = wanted ?? parseTracker(text, tracker);
  const inside = join(directory, iterationDirectory(iteration));
  return (await isDistributed(inside)) ? { directory: inside, iteration } : null;
}

async function isDistributed(directory: string): Promise<boolean> {
  const names: string[] = await readdir(directory).catch(() => []);
  return names.some((name) => MARK.test(name));
}

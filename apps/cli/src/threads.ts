/**
 * How many threads to compute with where the user says nothing.
 *
 * Threads of ggml wait for each other by spinning: on cores that are busy with something else two threads can be
 * hundreds of times slower than one, and small models gain nothing from more. So only free cores are taken,
 * and only for models of some size.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { readControlGroupLimits } from './doctor/machine.js';

/** What the choice depends on. */
export interface ThreadFacts {
  readonly cores: number;
  /** Limit of a container, in cores; null without one. */
  readonly coresLimit: number | null;
  /** Processes that wanted a core over the last minute, on average. */
  readonly load: number;
  readonly weightBytes: number;
}

/** Below this a step takes less time than waking a thread is worth. */
const SMALL_MODEL_BYTES = 50e6;

/** Chooses the number of threads; at least 1. */
export function chooseThreads({ cores, coresLimit, load, weightBytes }: ThreadFacts): number {
  if (weightBytes < SMALL_MODEL_BYTES) return 1;
  const free = Math.round(cores - load);
  return Math.max(1, Math.min(free, Math.floor(coresLimit ?? cores)));
}

/** Threads for the model at a path on this machine as it is now. */
export function threadsFor(modelPath: string): number {
  return chooseThreads({
    cores: availableParallelism(),
    coresLimit: readControlGroupLimits(readTextFile).cores,
    load: loadavg()[0] ?? 0,
    weightBytes: weightBytesAt(modelPath),
  });
}

/** Reads a small text file; undefined when it is not there. */
export function readTextFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined; // Not Linux, or not this version of control groups.
  }
}

/** Size of a weight file, or of those in a directory; 0 when there are none: opening the model says so. */
function weightBytesAt(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return 0;
  if (!stats.isDirectory()) return stats.size;
  const weights = readdirSync(path).filter((name) => name.endsWith('.safetensors'));
  return weights.reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
}

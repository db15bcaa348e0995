/** How a budget of memory becomes threads and their blocks. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import type { TaskLimits } from './plan-tasks.js';

/** Resident memory of a process with all of this loaded; measured 68 MB. */
const PROCESS_BYTES_MIN = 80e6;
/** What a process holds beyond this is its own affair. */
const PROCESS_BYTES_MAX = 130e6;
/** Grows while a conversion runs: messages, buffers of the threads' pool. */
const GROWTH_BYTES = 10e6;
/** What one thread adds before it has a block; measured 13 MB. */
const THREAD_BYTES = 16e6;
/** A transpose of smaller blocks would be mostly seeking. */
const ARENA_BYTES_MIN = 4 * 1024 * 1024;
/** Beyond this a larger block gains nothing. */
const ARENA_BYTES_MAX = 64 * 1024 * 1024;
/** Stays in the second-level cache together with what is made of it. */
const BLOCK_BYTES = 1024 * 1024;
/** Without threads of its own the run is one thread anyway. */
const WORKERS_MAX = 64;

/** Threads and what each may use. */
export interface MemoryShares {
  /** 0 = the calling thread. */
  readonly workers: number;
  readonly limits: TaskLimits;
}

/**
 * Divides a budget of resident memory for the whole process; takes fewer threads when it is small.
 *
 * Throws: `WEIGHTS_CONVERT_MEMORY` when not even one thread has room.
 */
export function shareMemory(
  memoryBytes: number,
  wanted: {
    readonly workers: number;
    readonly isCompared: boolean;
    /** Of the process now, with the plan in it. */
    readonly residentBytes: number;
  },
): MemoryShares {
  const own = Math.max(wanted.residentBytes + GROWTH_BYTES, PROCESS_BYTES_MIN);
  const processBytes = Math.min(own, PROCESS_BYTES_MAX);
  const free = memoryBytes - processBytes;
  const arenaOf = (workers: number): number =>
    workers === 0 ? free : Math.floor(free / workers - THREAD_BYTES);
  let workers = Math.min(wanted.workers, WORKERS_MAX);
  while (workers > 0 && arenaOf(workers) < ARENA_BYTES_MIN) workers -= 1;
  const arenaBytes = Math.min(arenaOf(workers), ARENA_BYTES_MAX);
  if (!(arenaBytes >= ARENA_BYTES_MIN)) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_CONVERT_MEMORY,
      `A memory budget of ${memoryBytes} bytes is too small; ${Math.ceil(processBytes + ARENA_BYTES_MIN)} are needed`,
      { details: { memoryBytes }, hint: 'Allow 250 MB or more.' },
    );
  }
  const blockBytes = Math.min(BLOCK_BYTES, arenaBytes);
  return { workers, limits: { blockBytes, arenaBytes, isCompared: wanted.isCompared } };
}

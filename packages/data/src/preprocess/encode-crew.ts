/** Whoever encodes units: threads of a pool, or this thread. */

import type { EncodeSettings } from './encode-settings.js';
import { type PartSummary, writePart } from './part-file.js';
import { UnitEncoder, type UnitTask } from './unit-encoder.js';
import { WorkerPool } from './worker-pool.js';

/** A unit to encode and where its part goes. */
export interface PartTask extends UnitTask {
  readonly partPath: string;
}

/** Takes units one by one. */
export interface EncodeCrew {
  /** Resolves when the unit is handed over; `done` when its part is committed. */
  run(task: PartTask): Promise<{ readonly done: Promise<PartSummary> }>;
  close(): Promise<void>;
}

/** Opens a crew of `workers` threads; 0 = this thread. Throws: the codes of tokenizers, templates and handlers. */
export async function openEncodeCrew(
  settings: EncodeSettings,
  workers: number,
  signal?: AbortSignal,
): Promise<EncodeCrew> {
  if (workers > 0) {
    const entry = './worker-pool-entry';
    const pool = new WorkerPool<PartTask, PartSummary>({ size: workers, entry, settings });
    return {
      run: (task) => pool.run(task, task.unit.kind === 'records' ? [task.unit.bytes.buffer] : []),
      close: () => pool.close(),
    };
  }
  const encoder = await UnitEncoder.open(settings);
  return {
    run: async (task) => {
      // To the end before the next is taken: two units at once would only share the thread.
      const ended = await encoder
        .encode(task, signal)
        .then((unit) => writePart(task.partPath, unit))
        .then(
          (summary) => () => summary,
          (error: unknown) => () => {
            throw error;
          },
        );
      return { done: Promise.resolve().then(ended) };
    },
    close: () => Promise.resolve(),
  };
}

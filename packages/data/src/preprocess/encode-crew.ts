/** Whoever encodes units: threads of a pool, or this thread. */
import type { EncodeSettings } from './encode-settings.js';
import { type PartSummary, writePart } from './part-file.js';
import type { UnitEncoder, UnitTask } from './unit-encoder.js';
import { WorkerPool } from './worker-pool.js';

/** A unit to encode and where its part goes. */
export interface PartTask extends UnitTask {
  readonly partPath: string;
}

/** Takes units one by one. */
export interface EncodeCrew {
  /** Resolves when the next unit can be given; `done` when the part of this one is committed. */
  run(task: PartTask): Promise<{ readonly done: Promise<PartSummary> }>;
  close(): Promise<void>;
}

/** Starts a crew of threads; each opens tokenizer, template and handlers by itself. */
export function startThreads(settings: EncodeSettings, workers: number): EncodeCrew {
  const entry = './worker-pool-entry';
  const pool = new WorkerPool<PartTask, PartSummary>({ size: workers, entry, settings });
  return {
    run: (task) => pool.run(task, task.unit.kind === 'records' ? [task.unit.bytes.buffer] : []),
    close: () => pool.close(),
  };
}

/** A crew of this thread alone. */
export function crewOfOne(unitEncoder: UnitEncoder, signal?: AbortSignal): EncodeCrew {
  const encoder = new PartEncoder(unitEncoder);
  return {
    run: async (task) => {
      const done = encoder.encode(task, signal);
      done.catch(() => undefined);
      await encoder.free;
      return { done };
    },
    close: () => Promise.resolve(),
  };
}

/** Encodes units into part files. While a part goes to disk the next unit is encoded, but no more than that. */
export class PartEncoder {
  readonly #encoder: UnitEncoder;
  #writing: Promise<unknown> = Promise.resolve();
  #free: Promise<unknown> = Promise.resolve();

  constructor(encoder: UnitEncoder) {
    this.#encoder = encoder;
  }

  /** Settles when the next unit can be given. */
  get free(): Promise<unknown> {
    return this.#free;
  }

  /** Resolves when the part is committed. */
  async encode(task: PartTask, signal?: AbortSignal): Promise<PartSummary> {
    const encoding = this.#encoder.encode(task, signal);
    const before = this.#writing;
    // One part in memory besides the one that is encoded.
    this.#free = Promise.allSettled([encoding, before]);
    const writing = encoding.then(async (unit) => {
      await before;
      return await writePart(task.partPath, unit);
    });
    this.#writing = writing.then(
      () => undefined,
      () => undefined,
    );
    return await writing;
  }
}

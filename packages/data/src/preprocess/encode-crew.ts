/** Whoever encodes units: threads of a pool, or this thread. */
import type { EncodeSettings } from './encode-settings.js';
import type { OpenedFacts } from './opened-facts.js';
import { type PartSummary, writePart } from './part-file.js';
import { UnitEncoder, type UnitTask } from './unit-encoder.js';
import { WorkerPool } from './worker-pool.js';

/** A unit to encode and where its part goes. */
export interface PartTask extends UnitTask {
  readonly partPath: string;
}

/** Takes units one by one. */
export interface EncodeCrew {
  /** Throws: the codes of tokenizers, templates and handlers. */
  readonly opened: Promise<OpenedFacts>;
  /** Resolves when the next unit can be given; `done` when the part of this one is committed. */
  run(task: PartTask): Promise<{ readonly done: Promise<PartSummary> }>;
  close(): Promise<void>;
}

/** Opens a crew of `workers` threads; 0 = this thread. */
export function openEncodeCrew(
  settings: EncodeSettings,
  workers: number,
  signal?: AbortSignal,
): EncodeCrew {
  return workers === 0 ? crewOfOne(settings, signal) : crewOfThreads(settings, workers);
}

/** Each thread opens tokenizer, template and handlers by itself; this one never does. */
function crewOfThreads(settings: EncodeSettings, size: number): EncodeCrew {
  const entry = './worker-pool-entry';
  const pool = new WorkerPool<PartTask, PartSummary, OpenedFacts>({ size, entry, settings });
  return {
    opened: pool.opened,
    run: (task) => pool.run(task, task.unit.kind === 'records' ? [task.unit.bytes.buffer] : []),
    close: () => pool.close(),
  };
}

function crewOfOne(settings: EncodeSettings, signal: AbortSignal | undefined): EncodeCrew {
  const opening = UnitEncoder.open(settings);
  const encoding = opening.then((encoder) => new PartEncoder(encoder));
  encoding.catch(() => undefined);
  return {
    opened: opening.then(({ facts }) => facts),
    run: async (task) => {
      const encoder = await encoding;
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

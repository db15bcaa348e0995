/**
 * The first half of preprocessing: every unit of every data set becomes a part file, on as many threads as asked for.
 *
 * Parts are committed one by one, so an interrupted job goes on after the last of them. Their content does not depend
 * on which thread made them, or when.
 */
import { defined, throwIfAborted } from '@tuneyard/core';
import type { DataFile } from '../readers/data-file.js';
import { planReadUnits } from '../readers/plan-read-units.js';
import type { ReadUnit } from '../readers/read-unit.js';
import { type EncodeCrew, openEncodeCrew, type PartTask } from './encode-crew.js';
import type { EncodeSettings } from './encode-settings.js';
import { openJobDirectory, partPath } from './job-directory.js';
import type { OpenedFacts } from './opened-facts.js';
import { type PartSummary, readPartSummary } from './part-file.js';
import { UnitEncoder } from './unit-encoder.js';

/** A data set's files and how much of them is read. */
export interface EncodeInput {
  readonly files: readonly DataFile[];
  /** Rows to read at most, from the beginning; null = all. */
  readonly rowLimit: number | null;
}

/** What {@link encodeParts} does. */
export interface EncodePartsOptions {
  readonly settings: EncodeSettings;
  /** One per data set of the settings. */
  readonly inputs: readonly EncodeInput[];
  /** Kept until the job is done: parts of an interrupted run are taken up again. */
  readonly workDir: string;
  /** 0 = on this thread. */
  readonly workers: number;
  readonly unitBytes: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: EncodeProgress) => void;
}

/** How far encoding is. */
export interface EncodeProgress {
  readonly rows: number;
  /** Bytes of files that are done, out of `totalBytes`. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Parts that an earlier run had made. */
  readonly reusedParts: number;
}

/** A committed part. */
export interface Part extends PartSummary {
  readonly path: string;
}

/** The parts of each data set, in order, and what the job was found to be. */
export interface EncodedParts {
  readonly parts: readonly (readonly Part[])[];
  readonly facts: OpenedFacts;
  /** Parts that an interrupted run had committed. */
  readonly reusedParts: number;
}

/**
 * Encodes data sets.
 *
 * Throws: the codes of readers, tokenizers, templates and handlers, naming the row of the data set; `CANCELLED`.
 */
export async function encodeParts(options: EncodePartsOptions): Promise<EncodedParts> {
  const startedAt = await openJobDirectory(options.workDir, options);
  const settings = { ...options.settings, startedAt };
  const crew = openEncodeCrew(settings, options.workers, options.signal);
  try {
    const facts = await crew.opened;
    const run = new EncodeRun(options, crew);
    const parts = await run.execute();
    return { parts, facts, reusedParts: run.reusedParts };
  } finally {
    await crew.close();
  }
}

class EncodeRun {
  readonly #options: EncodePartsOptions;
  readonly #crew: EncodeCrew;
  readonly #parts: (Part | undefined)[][];
  readonly #pending = new Set<Promise<unknown>>();
  readonly #totalBytes: number;
  #failed: FailedUnit | null = null;
  #rows = 0;
  #bytes = 0;
  #reusedParts = 0;

  constructor(options: EncodePartsOptions, crew: EncodeCrew) {
    this.#options = options;
    this.#crew = crew;
    this.#parts = options.inputs.map(() => []);
    this.#totalBytes = options.inputs
      .flatMap((input) => input.files)
      .reduce((sum, file) => sum + file.bytes, 0);
  }

  get reusedParts(): number {
    return this.#reusedParts;
  }

  async execute(): Promise<Part[][]> {
    for (const dataset of this.#options.inputs.keys()) {
      if (this.#failed === null) await this.#encodeDataset(dataset);
    }
    await Promise.all(this.#pending);
    throwIfAborted(this.#options.signal);
    if (this.#failed !== null) throw await this.#explain(this.#failed);
    return this.#parts.map((parts) => parts.map((part) => defined(part, 'a part of the job')));
  }

  async #encodeDataset(dataset: number): Promise<void> {
    const input = defined(this.#options.inputs[dataset], 'a data set of the job');
    const fileBytes = new Map(input.files.map((file) => [file.path, file.bytes]));
    let rowsLeft = input.rowLimit;
    let index = 0;
    for await (const unit of readUnits(this.#options, dataset)) {
      throwIfAborted(this.#options.signal);
      if (this.#failed !== null || rowsLeft === 0) return;
      // Of a file that is streamed, all bytes count with its first unit.
      const streamed = fileBytes.get(unit.path) ?? 0;
      const bytes = unit.kind === 'lines' ? unit.end - unit.begin : streamed;
      if (unit.kind !== 'lines') fileBytes.delete(unit.path);
      const path = partPath(this.#options.workDir, dataset, index);
      const task = { unit, dataset, rowOffset: 0, rowLimit: rowsLeft, partPath: path };
      const { rows } = await this.#encodeUnit(task, index++, bytes);
      // A limit counts the rows of the whole data set: the next unit has to know how many this one had.
      if (rowsLeft !== null) rowsLeft -= await rows;
    }
  }

  /** Takes the part that is there or gives the unit out; `rows` resolves when the part is committed. */
  async #encodeUnit(
    task: PartTask,
    index: number,
    bytes: number,
  ): Promise<{ readonly rows: Promise<number> }> {
    const { dataset, partPath: path } = task;
    const commit = (summary: PartSummary): number => {
      defined(this.#parts[dataset], 'a data set of the job')[index] = { ...summary, path };
      this.#rows += summary.account.rows;
      this.#bytes += bytes;
      return summary.account.rows;
    };
    const earlier = await readPartSummary(path);
    if (earlier !== null) {
      this.#reusedParts++;
      return { rows: Promise.resolve(commit(earlier)) };
    }
    const { done } = await this.#crew.run(task);
    const rows = done
      .then((summary) => {
        const count = commit(summary);
        // Not for parts of an earlier run: they would count as this run's speed.
        this.#tell();
        return count;
      })
      .catch((error: unknown) => {
        if (this.#failed === null || isBefore({ dataset, index }, this.#failed)) {
          this.#failed = { dataset, index, error };
        }
        return 0;
      })
      .finally(() => this.#pending.delete(rows));
    this.#pending.add(rows);
    return { rows };
  }

  #tell(): void {
    this.#options.onProgress?.({
      rows: this.#rows,
      bytes: this.#bytes,
      totalBytes: this.#totalBytes,
      reusedParts: this.#reusedParts,
    });
  }

  /**
   * The error of a unit with rows counted over the whole data set: everything before the unit is encoded by now, so
   * its first row is known, and it is read once more with that.
   */
  async #explain({ dataset, index, error }: FailedUnit): Promise<unknown> {
    const before = defined(this.#parts[dataset], 'a data set of the job').slice(0, index);
    const rowOffset = before.reduce((sum, part) => sum + (part?.account.rows ?? 0), 0);
    if (rowOffset === 0) return error;
    const encoder = await UnitEncoder.open(this.#options.settings);
    let at = 0;
    for await (const unit of readUnits(this.#options, dataset)) {
      if (at++ < index) continue;
      try {
        await encoder.encode({ unit, dataset, rowOffset, rowLimit: null });
      } catch (again) {
        return again;
      }
      break;
    }
    return error;
  }
}

interface FailedUnit {
  readonly dataset: number;
  readonly index: number;
  readonly error: unknown;
}

type UnitPlace = Pick<FailedUnit, 'dataset' | 'index'>;

function isBefore(a: UnitPlace, b: UnitPlace): boolean {
  return a.dataset < b.dataset || (a.dataset === b.dataset && a.index < b.index);
}

function readUnits(options: EncodePartsOptions, dataset: number): AsyncGenerator<ReadUnit> {
  const { inputs, settings, unitBytes, signal } = options;
  const columns = settings.datasets[dataset]?.columns ?? null;
  return planReadUnits(inputs[dataset]?.files ?? [], {
    unitBytes,
    ...(columns === null ? {} : { columns }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** Runs batches of tasks on one thread, whichever thread that is: to write a conversion, or to compare it. */
import { CORE_ERRORS, TuneyardError } from '@tuneyard/core';
import { CompareSink, type Mismatch } from './compare-sink.js';
import { FileTable } from './file-table.js';
import type { MoveTask } from './move-task.js';
import { TaskRunner } from './task-runner.js';
import { WriteSink } from './write-sink.js';

/** What all threads of a run share; plain data. */
export interface RunSettings {
  readonly mode: 'write' | 'compare';
  readonly sourcePaths: readonly string[];
  readonly targetPaths: readonly string[];
  /** By target file: its format stores a CRC of each tensor. */
  readonly hasCrc: readonly boolean[];
  readonly isSparse: boolean;
  /** Four bytes of shared memory; anything but zero in them ends all threads at their next block. */
  readonly stop: SharedArrayBuffer;
}

/** Counts of one batch. */
export interface BatchResult {
  readonly readBytes: number;
  /** Bytes of tensors that are done, by target file. */
  readonly written: ReadonlyMap<number, number>;
  /** Parts of CRCs, to be combined by exclusive or, by target tensor. */
  readonly crcs: ReadonlyMap<number, number>;
  /** Finite values that became infinite, by target tensor. */
  readonly overflows: ReadonlyMap<number, number>;
  /** Where the target first differs; null when it does not. */
  readonly mismatch: Mismatch | null;
}

/** Opens files when tasks need them. End it with {@link close}. */
export class BatchRunner {
  readonly #sources: FileTable;
  readonly #targets: FileTable;
  readonly #sink: WriteSink | CompareSink;
  readonly #runner: TaskRunner;

  constructor(settings: RunSettings) {
    const { mode, sourcePaths, targetPaths, hasCrc, isSparse } = settings;
    const stop = new Int32Array(settings.stop);
    this.#sources = new FileTable(sourcePaths, 'r');
    this.#targets = new FileTable(targetPaths, mode === 'write' ? 'r+' : 'r');
    this.#sink =
      mode === 'write'
        ? new WriteSink({ files: this.#targets, hasCrc, isSparse })
        : new CompareSink(this.#targets);
    const checkStop = (): void => {
      if (Atomics.load(stop, 0) !== 0) throw stopped();
    };
    this.#runner = new TaskRunner({ sources: this.#sources, sink: this.#sink, checkStop });
  }

  /** Runs tasks in order. Throws: `WEIGHTS_CONVERT_…`; `CANCELLED` when the run was told to stop. */
  run(tasks: readonly MoveTask[]): BatchResult {
    let readBytes = 0;
    const overflows = new Map<number, number>();
    for (const task of tasks) {
      const count = this.#runner.run(task);
      readBytes += count.readBytes;
      for (const [index, more] of count.overflows) {
        overflows.set(index, (overflows.get(index) ?? 0) + more);
      }
    }
    return { readBytes, overflows, ...this.#sink.takeCounts() };
  }

  /** Closes all files. */
  close(): void {
    this.#sources.close();
    this.#targets.close();
  }
}

function stopped(): TuneyardError {
  return new TuneyardError(CORE_ERRORS.CANCELLED, 'The conversion was stopped', {
    category: 'cancelled',
  });
}

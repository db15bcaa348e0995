/**
 * Threads that run batches of tasks, each with its own memory and files. With none, batches run on the calling thread,
 * with a turn of the event loop between them.
 */
import { createRequire } from 'node:module';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { reviveError, type SerializedError, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { BatchQueue, type TaskBatch } from './batch-queue.js';
import { type BatchResult, BatchRunner, type RunSettings } from './batch-runner.js';

/** From a thread: one message per batch. */
export type BatchMessage =
  | { readonly type: 'result'; readonly result: BatchResult }
  | { readonly type: 'error'; readonly error: SerializedError };

/** The module of a thread, relative to this file: `.ts` in a source tree, `.js` when built. */
const ENTRY = './worker-pool-entry';

/**
 * Runs all batches; `onResult` is called after each, on the calling thread.
 *
 * Throws: the first error of a batch or of `onResult`, after all threads have ended; `WEIGHTS_CONVERT_WORKER_FAILED`
 * when a thread ended by itself.
 */
export async function runBatches(
  settings: RunSettings,
  options: {
    readonly workers: number;
    readonly batches: Iterator<TaskBatch>;
    readonly onResult: (result: BatchResult) => void;
  },
): Promise<void> {
  const { workers, batches, onResult } = options;
  if (workers === 0) {
    await runHere(settings, batches, onResult);
    return;
  }
  const queue = new BatchQueue(batches);
  const threads = Array.from({ length: workers }, () => new BatchThread(settings));
  const stop = new Int32Array(settings.stop);
  let failure: unknown = null;
  const drive = async (thread: BatchThread): Promise<void> => {
    try {
      for (let next = queue.take(thread); next !== null; next = queue.take(thread)) {
        onResult(await thread.run(next));
        if (Atomics.load(stop, 0) !== 0) return;
      }
    } catch (error) {
      // The others stop at their next block, and their own complaints about that count for nothing.
      failure ??= error;
      Atomics.store(stop, 0, 1);
    }
  };
  await Promise.all(threads.map(drive));
  await Promise.all(threads.map((thread) => thread.close()));
  if (failure !== null) throw failure;
}

async function runHere(
  settings: RunSettings,
  batches: Iterator<TaskBatch>,
  onResult: (result: BatchResult) => void,
): Promise<void> {
  const runner = new BatchRunner(settings);
  const stop = new Int32Array(settings.stop);
  try {
    for (let next = batches.next(); !next.done; next = batches.next()) {
      onResult(runner.run(next.value));
      await nextTurn();
      if (Atomics.load(stop, 0) !== 0) return;
    }
  } finally {
    runner.close();
  }
}

/** One thread; runs one batch at a time. */
class BatchThread {
  readonly #worker: Worker;
  #settle: {
    readonly resolve: (result: BatchResult) => void;
    readonly reject: (error: Error) => void;
  } | null = null;
  #failure: Error | null = null;
  #isClosed = false;

  constructor(settings: RunSettings) {
    this.#worker = startThread(settings);
    this.#worker.on('message', (message: BatchMessage) => {
      const settle = this.#settle;
      this.#settle = null;
      if (message.type === 'result') settle?.resolve(message.result);
      else settle?.reject(reviveError(message.error));
    });
    this.#worker.on('error', (error) => this.#fail(workerFailed(error.message, error)));
    this.#worker.on('exit', (code) => {
      if (!this.#isClosed) this.#fail(workerFailed(`a thread ended with code ${code}`));
    });
  }

  run(tasks: TaskBatch): Promise<BatchResult> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
      this.#worker.postMessage(tasks);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker.terminate();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#settle?.reject(error);
    this.#settle = null;
  }
}

function startThread(workerData: RunSettings): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL(`${ENTRY}.js`, import.meta.url), { workerData, execArgv: [] });
  }
  // In a source tree a thread has to be taught TypeScript first; flags of the process do not reach its loader.
  const found = createRequire(import.meta.url).resolve('tsx/esm/api');
  const tsx = pathToFileURL(found.replace(/cjs$/, 'mjs')).href;
  const module = new URL(`${ENTRY}.ts`, import.meta.url).href;
  const load = `import('${tsx}').then(({ register }) => { register(); return import('${module}'); })`;
  // The loader works on a thread of its own, for which Node does not wait: the timer keeps this one alive until then.
  const code = `const wait = setInterval(() => {}, 1000); ${load}.finally(() => clearInterval(wait));`;
  return new Worker(code, { eval: true, workerData, execArgv: ['--conditions=@tuneyard/source'] });
}

function workerFailed(what: string, cause?: unknown): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_WORKER_FAILED,
    `A conversion worker failed: ${what}`,
    { category: 'internal', hint: 'Use fewer workers when memory is short.', cause },
  );
}

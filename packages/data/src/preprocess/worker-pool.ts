/**
 * A pool of worker threads that each hold one expensive thing (a tokenizer with its tables) and do tasks with it.
 *
 * A task is given out only when a worker is free, so at most one task per worker is in memory whatever the producer's
 * speed. Bytes are handed over by transfer, never copied.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { reviveError, type SerializedError, TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** From the pool to a worker. */
export interface ToWorker<Task> {
  readonly id: number;
  readonly task: Task;
}

/**
 * From a worker to the pool: `opened` once it is ready to work, with what it has found out; `free` when it can take a
 * task; one result or error per task; an error without id when it cannot start.
 */
export type FromWorker<Result, Facts> =
  | { readonly type: 'opened'; readonly facts: Facts }
  | { readonly type: 'free' }
  | { readonly type: 'result'; readonly id: number; readonly result: Result }
  | { readonly type: 'error'; readonly id: number | null; readonly error: SerializedError };

/** What a pool is made of. */
export interface WorkerPoolOptions {
  readonly size: number;
  /** The worker's module, relative to this file and without extension: `.ts` in a source tree, `.js` when built. */
  readonly entry: string;
  /** Given to every worker at its start; plain data. */
  readonly settings: unknown;
}

interface PooledWorker<Result> {
  readonly worker: Worker;
  /** By the number of the task. */
  readonly tasks: Map<number, Settle<Result>>;
}

interface Settle<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

/** Runs tasks on a fixed number of threads. */
export class WorkerPool<Task, Result, Facts> {
  readonly size: number;
  /** What the first worker that is ready has found out; rejects when none can start. */
  readonly opened: Promise<Facts>;
  #open: Settle<Facts> | null = null;
  readonly #workers: PooledWorker<Result>[] = [];
  readonly #free: PooledWorker<Result>[] = [];
  readonly #waiting: {
    readonly resolve: (worker: PooledWorker<Result>) => void;
    readonly reject: (error: Error) => void;
  }[] = [];
  #failure: Error | null = null;
  #isClosed = false;
  #count = 0;

  constructor(options: WorkerPoolOptions) {
    this.size = options.size;
    this.opened = new Promise((resolve, reject) => {
      this.#open = { resolve, reject };
    });
    // Whoever runs a task first is told as well.
    this.opened.catch(() => undefined);
    for (let i = 0; i < options.size; i++) this.#start(options);
  }

  /**
   * Waits for a free worker and gives it the task; `transfer` lists the buffers that move with it. The outer promise
   * resolves when the task was handed over, its `done` when the task ended.
   *
   * Throws: what the task threw; `DATA_WORKER_FAILED` when a thread ended by itself (out of memory).
   */
  async run(
    task: Task,
    transfer: readonly ArrayBuffer[] = [],
  ): Promise<{ readonly done: Promise<Result> }> {
    const pooled = await this.#takeFree();
    const id = this.#count++;
    const done = new Promise<Result>((resolve, reject) => {
      pooled.tasks.set(id, { resolve, reject });
    });
    // A caller that stops at another task's error never looks at this one.
    done.catch(() => undefined);
    pooled.worker.postMessage({ id, task } satisfies ToWorker<Task>, [...transfer]);
    return { done };
  }

  /** Ends the threads at once; tasks that run are given up. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#workers.map(({ worker }) => worker.terminate()));
  }

  #start(options: WorkerPoolOptions): void {
    const worker = startThread(options);
    const pooled: PooledWorker<Result> = { worker, tasks: new Map() };
    this.#workers.push(pooled);
    worker.on('message', (message: FromWorker<Result, Facts>) => this.#onMessage(pooled, message));
    worker.on('error', (error) => this.#fail(pooled, workerFailed(error.message, error)));
    worker.on('exit', (code) => {
      if (!this.#isClosed) this.#fail(pooled, workerFailed(`a thread ended with code ${code}`));
    });
  }

  #onMessage(pooled: PooledWorker<Result>, message: FromWorker<Result, Facts>): void {
    if (message.type === 'opened') {
      this.#open?.resolve(message.facts);
      return;
    }
    if (message.type === 'free') {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(pooled);
      else next.resolve(pooled);
      return;
    }
    if (message.id === null) {
      if (message.type === 'error') this.#fail(pooled, reviveError(message.error));
      return;
    }
    const settle = pooled.tasks.get(message.id);
    pooled.tasks.delete(message.id);
    if (message.type === 'result') settle?.resolve(message.result);
    else settle?.reject(reviveError(message.error));
  }

  /** A worker that cannot start or has died ends the pool: the rest would only work on what is lost. */
  #fail(pooled: PooledWorker<Result>, error: Error): void {
    this.#failure ??= error;
    this.#open?.reject(error);
    for (const settle of pooled.tasks.values()) settle.reject(error);
    pooled.tasks.clear();
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  #takeFree(): Promise<PooledWorker<Result>> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
  }
}

function startThread({ entry, settings: workerData }: WorkerPoolOptions): Worker {
  if (!import.meta.url.endsWith('.ts')) {
    return new Worker(new URL(`${entry}.js`, import.meta.url), { workerData });
  }
  // In a source tree a thread has to be taught TypeScript first; flags of the process do not reach its loader.
  const found = createRequire(import.meta.url).resolve('tsx/esm/api');
  const tsx = pathToFileURL(found.replace(/cjs$/, 'mjs')).href;
  const module = new URL(`${entry}.ts`, import.meta.url).href;
  const load = `import('${tsx}').then(({ register }) => { register(); return import('${module}'); })`;
  // The loader works on a thread of its own, for which Node does not wait: the timer keeps this one alive until then.
  const code = `const wait = setInterval(() => {}, 1000); ${load}.finally(() => clearInterval(wait));`;
  const execArgv = ['--conditions=@tuneyard/source'];
  return new Worker(code, { eval: true, workerData, execArgv });
}

function workerFailed(what: string, cause?: unknown): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_WORKER_FAILED,
    `A preprocessing worker failed: ${what}`,
    {
      category: 'internal',
      hint: 'Use fewer workers when memory is short.',
      cause,
    },
  );
}

/**
 * Runs loss graphs on one backend and keeps them per batch shape.
 *
 * Several runners over the same weights work side by side, each with its own gradient accumulators, threads
 * and intermediate results: data parallelism without a barrier between the threads.
 */
import type { PackedRow } from '@tuneyard/data';
import { CpuBackend, GraphAllocator } from '@tuneyard/ggml';
import { type BatchShape, layOutBatch, planBatchShape } from './batch.js';
import { GraphCache } from './graph-cache.js';
import { LossGraph, type LossGraphOptions } from './training-graph.js';
import type { LossSum } from './training-model.js';

/** What a runner works with. */
export interface LossRunnerOptions extends Omit<LossGraphOptions, 'backward'> {
  readonly threads: number;
  readonly lossScale: number;
}

const GRAPHS_KEPT = 24;

/** Owns a backend, its graphs and their memory. */
export class LossRunner implements Disposable {
  readonly #options: LossRunnerOptions;
  readonly #backend: CpuBackend;
  readonly #allocator: GraphAllocator;
  readonly #graphs = new GraphCache<LossGraph>(GRAPHS_KEPT);

  constructor(options: LossRunnerOptions) {
    this.#options = options;
    this.#backend = new CpuBackend(options.threads);
    this.#allocator = new GraphAllocator(this.#backend);
  }

  /** Bytes of intermediate results allocated so far. */
  get bytes(): number {
    return this.#allocator.bytes;
  }

  /** Loss of the rows; with `backward`, adds its gradient to the accumulators of this runner's weights. */
  async run(rows: readonly PackedRow[], backward: boolean): Promise<LossSum> {
    const { vocabSize } = this.#options.config;
    const shape = planBatchShape(rows, vocabSize);
    const data = layOutBatch(rows, shape, vocabSize);
    const lossSum = await this.#graph(shape, backward).run(data, this.#backend, this.#allocator);
    return { lossSum, learnedTokens: data.learnedTokens };
  }

  [Symbol.dispose](): void {
    this.#graphs[Symbol.dispose]();
    this.#allocator.close();
    this.#backend.close();
  }

  #graph(shape: BatchShape, backward: boolean): LossGraph {
    const key = `${shape.rows}:${shape.tokens}:${shape.learned}:${backward}`;
    return this.#graphs.get(
      key,
      this.#allocator,
      () => new LossGraph(shape, { ...this.#options, backward }, this.#options.lossScale),
    );
  }
}

/**
 * The trainer's model: base weights, adapters or masters, loss graphs and optimizer on one CPU backend.
 *
 * The gradients are of the sum of losses over learned tokens, multiplied by the placement's loss scale
 * inside and divided by it on every way out. Graphs are kept per batch shape; their intermediate results
 * share one allocator.
 */
import { assert, defined } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { CpuBackend, readTensor, repackableTypes, writeTensor } from '@tuneyard/ggml';
import type { AdapterConfig, LoraPair, ModelSource } from '@tuneyard/weights';
import { type AdapterPlan, initialPairs, planAdapter } from './adapters.js';
import { transposed } from './kernels/transpose.js';
import type { ModelWeights } from './legend.js';
import { LossRunner } from './loss-runner.js';
import { OptimizerGraph } from './optimizer-graph.js';
import {
  adapterName,
  type PlacedModel,
  placeWeights,
  type TrainedTensor,
} from './place-weights.js';
import { type BaseType, type Placement, planPlacement } from './placement.js';
import { worthwhileThreads } from './threads.js';
import type {
  AdamWStep,
  LossSum,
  Trainable,
  TrainableState,
  TrainingModel,
} from './training-model.js';

/** How a model is opened for training. */
export interface TrainingModelOptions {
  readonly threads: number;
  readonly baseType: BaseType;
  /** Null trains every weight (full fine-tuning) with f32 masters. */
  readonly adapter: {
    readonly config: AdapterConfig;
    /** Pairs to continue from; fresh ones from the seed when null. */
    readonly pairs: readonly LoraPair[] | null;
  } | null;
  readonly seed: number;
  /** Workers that accumulate gradients of different rows side by side; default 1. */
  readonly replicas?: number | undefined;
  /** Recompute activations of each layer in the backward: less memory, about a third more work. */
  readonly recompute: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** A model under training; close it to free its memory. */
export class GraphTrainingModel implements TrainingModel, Disposable {
  readonly trainables: readonly Trainable[];
  readonly adapterPlan: AdapterPlan | null;
  readonly placement: Placement;
  readonly #backend: CpuBackend;
  readonly #placed: PlacedModel;
  readonly #optimizer: OptimizerGraph;
  /** All threads in one graph. */
  readonly #solo: LossRunner;
  /** One graph each, side by side. */
  readonly #replicas: readonly LossRunner[];

  /** Opens the model: reads and places its weights. The source may be closed afterwards. */
  static async open(
    source: ModelSource,
    options: TrainingModelOptions,
  ): Promise<GraphTrainingModel> {
    const { placement, adapter } = planTraining(source, options);
    const backend = new CpuBackend(options.threads);
    try {
      const placed = await placeWeights(source, {
        backend,
        placement,
        use: adapter === null ? 'full' : 'lora',
        adapter,
        replicas: options.replicas,
        signal: options.signal,
      });
      return new GraphTrainingModel({
        source,
        options,
        backend,
        placed,
        placement,
        plan: adapter?.plan ?? null,
      });
    } catch (error) {
      backend.close();
      throw error;
    }
  }

  private constructor(parts: {
    source: ModelSource;
    options: TrainingModelOptions;
    backend: CpuBackend;
    placed: PlacedModel;
    placement: Placement;
    plan: AdapterPlan | null;
  }) {
    this.#backend = parts.backend;
    this.#placed = parts.placed;
    this.placement = parts.placement;
    this.adapterPlan = parts.plan;
    this.#optimizer = new OptimizerGraph(parts.placed.trained, parts.backend);
    const runner = (weights: ModelWeights, threads: number): LossRunner =>
      new LossRunner({
        config: parts.source.config,
        weights,
        attentionType: parts.placement.attentionType,
        trainsWeights: parts.plan === null,
        recompute: parts.options.recompute,
        lossScale: parts.placement.lossScale,
        threads,
      });
    const { replicas } = parts.placed;
    const { threads } = parts.options;
    this.#solo = runner(parts.placed.weights, worthwhileThreads(parts.placed.bytes, threads));
    this.#replicas = replicas.map((w) =>
      runner(w, Math.max(1, Math.floor(threads / replicas.length))),
    );
    this.trainables = parts.placed.trained.map(({ name, shape, decay }) => ({
      name,
      shape,
      decay,
    }));
  }

  /** Bytes of weights, transposes, adapters, gradients and moments. */
  get weightBytes(): number {
    return this.#placed.bytes;
  }

  /** Bytes of intermediate results allocated so far. */
  get activationBytes(): number {
    return this.#replicas.reduce((sum, r) => sum + r.bytes, this.#solo.bytes);
  }

  async accumulate(rows: readonly PackedRow[]): Promise<LossSum> {
    return this.#run(rows, true);
  }

  async evaluate(rows: readonly PackedRow[]): Promise<LossSum> {
    return this.#run(rows, false);
  }

  async gradientNorm(): Promise<number> {
    return (await this.#optimizer.gradientNorm()) / this.placement.lossScale;
  }

  async update(step: AdamWStep): Promise<void> {
    await this.#optimizer.update(step, step.gradientScale / this.placement.lossScale);
  }

  zeroGradients(): Promise<void> {
    this.#optimizer.zeroGradients();
    return Promise.resolve();
  }

  readState(): Promise<readonly TrainableState[]> {
    return Promise.resolve(
      this.#placed.trained.map((t) => ({
        name: t.name,
        value: this.#read(t, 'value'),
        firstMoment: this.#read(t, 'firstMoment'),
        secondMoment: this.#read(t, 'secondMoment'),
      })),
    );
  }

  writeState(state: readonly TrainableState[]): Promise<void> {
    for (const t of this.#placed.trained) {
      const s = defined(
        state.find((x) => x.name === t.name),
        `state of ${t.name}`,
      );
      writeTensor(t.value, this.#toMemory(t, s.value));
      writeTensor(t.firstMoment, this.#toMemory(t, s.firstMoment));
      writeTensor(t.secondMoment, this.#toMemory(t, s.secondMoment));
    }
    return Promise.resolve();
  }

  /** Accumulated gradient of each trained tensor in its logical shape, loss scale removed. */
  readGradients(): ReadonlyMap<string, Float32Array> {
    const scale = 1 / this.placement.lossScale;
    return new Map(
      this.#placed.trained.map((t) => [t.name, this.#toLogical(t, gradientOf(t, scale))]),
    );
  }

  /** The adapter as PEFT stores it. Only for a model opened with an adapter. */
  readAdapter(): LoraPair[] {
    const plan = defined(this.adapterPlan, 'adapter plan');
    const value = (name: string): Float32Array =>
      this.#read(
        defined(
          this.#placed.trained.find((t) => t.name === name),
          name,
        ),
        'value',
      );
    return plan.layers.map(({ path, rank, inFeatures, outFeatures }) => ({
      module: path,
      a: value(adapterName(path, 'A')),
      b: value(adapterName(path, 'B')),
      rank,
      inFeatures,
      outFeatures,
    }));
  }

  close(): void {
    for (const runner of [this.#solo, ...this.#replicas]) runner[Symbol.dispose]();
    this.#optimizer[Symbol.dispose]();
    this.#placed[Symbol.dispose]();
    this.#backend.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Rows are dealt out to the replicas; a single row uses all threads inside one graph. */
  async #run(rows: readonly PackedRow[], backward: boolean): Promise<LossSum> {
    const shares = dealRows(rows, this.#replicas.length);
    if (shares.length < 2) return this.#solo.run(rows, backward);
    const sums = await Promise.all(
      shares.map((share, i) => defined(this.#replicas[i], 'replica').run(share, backward)),
    );
    return {
      lossSum: sums.reduce((total, s) => total + s.lossSum, 0),
      learnedTokens: sums.reduce((total, s) => total + s.learnedTokens, 0),
    };
  }

  #read(t: TrainedTensor, which: 'value' | 'firstMoment' | 'secondMoment'): Float32Array {
    return this.#toLogical(t, readTensor(t[which], new Float32Array(t.value.elements)));
  }

  #toLogical(t: TrainedTensor, raw: Float32Array): Float32Array {
    if (!t.isTransposed) return raw;
    const [rows = 1, columns = 1] = t.shape;
    return transposed(raw, columns, rows);
  }

  #toMemory(t: TrainedTensor, logical: Float32Array): Float32Array {
    const [rows = 1, columns = 1] = t.shape;
    assert(logical.length === t.value.elements, `${t.name}: ${logical.length} values`);
    return t.isTransposed ? transposed(logical, rows, columns) : logical;
  }
}

/** What a run trains and how its weights are kept; nothing is read. */
export function planTraining(
  source: Pick<ModelSource, 'config' | 'parameters'>,
  options: Pick<TrainingModelOptions, 'adapter' | 'baseType' | 'seed'>,
): {
  placement: Placement;
  adapter: { plan: AdapterPlan; pairs: readonly LoraPair[] } | null;
} {
  const { adapter, baseType, seed } = options;
  const plan = adapter === null ? null : planAdapter(source.parameters, adapter.config);
  return {
    placement: planPlacement(source.parameters, {
      use: plan === null ? 'full' : 'lora',
      baseType,
      tieWordEmbeddings: source.config.tieWordEmbeddings,
      repackable: repackableTypes(),
    }),
    adapter: plan === null ? null : { plan, pairs: adapter?.pairs ?? initialPairs(plan, seed) },
  };
}

/** Deals rows out in turn, so that replicas get rows of like length from a sorted batch. */
export function dealRows<T>(rows: readonly T[], replicas: number): T[][] {
  const shares = Array.from({ length: replicas }, (_, r) =>
    rows.filter((_row, i) => i % replicas === r),
  );
  return shares.filter((share) => share.length > 0);
}

/** Sum over replicas, scaled; in memory's own layout. */
function gradientOf(t: TrainedTensor, scale: number): Float32Array {
  const total = new Float32Array(t.value.elements);
  const part = new Float32Array(t.value.elements);
  for (const gradient of t.gradients) {
    readTensor(gradient, part);
    for (const [i, g] of part.entries()) total[i] = (total[i] ?? 0) + g * scale;
  }
  return total;
}

/**
 * The trainer's model: base weights, adapters or masters, loss graphs and optimizer on one CPU backend.
 *
 * The gradients are of the sum of losses over learned tokens, multiplied by the placement's loss scale
 * inside and divided by it on every way out. Graphs are kept per batch shape; their intermediate results
 * share one allocator.
 */
import { assert, defined } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import {
  CpuBackend,
  GraphAllocator,
  readTensor,
  repackableTypes,
  writeTensor,
} from '@tuneyard/ggml';
import type { AdapterConfig, LoraPair, ModelSource } from '@tuneyard/weights';
import { type AdapterPlan, initialPairs, planAdapter } from './adapters.js';
import { type BatchShape, layOutBatch, planBatchShape } from './batch.js';
import { transposed } from './kernels/transpose.js';
import { OptimizerGraph } from './optimizer-graph.js';
import {
  adapterName,
  type PlacedModel,
  placeWeights,
  type TrainedTensor,
} from './place-weights.js';
import { type BaseType, type Placement, planPlacement } from './placement.js';
import { LossGraph } from './training-graph.js';
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
  /** Recompute activations of each layer in the backward: less memory, about a third more work. */
  readonly recompute: boolean;
  readonly signal?: AbortSignal | undefined;
}

const GRAPHS_KEPT = 24;

/** A model under training; close it to free its memory. */
export class GraphTrainingModel implements TrainingModel, Disposable {
  readonly trainables: readonly Trainable[];
  readonly adapterPlan: AdapterPlan | null;
  readonly placement: Placement;
  readonly #source: ModelSource;
  readonly #options: TrainingModelOptions;
  readonly #backend: CpuBackend;
  readonly #placed: PlacedModel;
  readonly #optimizer: OptimizerGraph;
  readonly #allocator: GraphAllocator;
  readonly #graphs = new Map<string, LossGraph>();

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
    this.#source = parts.source;
    this.#options = parts.options;
    this.#backend = parts.backend;
    this.#placed = parts.placed;
    this.placement = parts.placement;
    this.adapterPlan = parts.plan;
    this.#optimizer = new OptimizerGraph(parts.placed.trained, parts.backend);
    this.#allocator = new GraphAllocator(parts.backend);
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
    return this.#allocator.bytes;
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
      this.#placed.trained.map((t) => [t.name, this.#read(t, 'gradient').map((g) => g * scale)]),
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
    for (const graph of this.#graphs.values()) graph.close();
    this.#graphs.clear();
    this.#optimizer[Symbol.dispose]();
    this.#allocator.close();
    this.#placed[Symbol.dispose]();
    this.#backend.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #run(rows: readonly PackedRow[], backward: boolean): Promise<LossSum> {
    const { vocabSize } = this.#source.config;
    const shape = planBatchShape(rows, vocabSize);
    const data = layOutBatch(rows, shape, vocabSize);
    const lossSum = await this.#graph(shape, backward).run(data, this.#backend, this.#allocator);
    return { lossSum, learnedTokens: data.learnedTokens };
  }

  /** Least recently used graphs are closed when too many shapes have been seen. */
  #graph(shape: BatchShape, backward: boolean): LossGraph {
    const key = `${shape.rows}:${shape.tokens}:${shape.learned}:${backward}`;
    let graph = this.#graphs.get(key);
    if (graph !== undefined && this.#allocator.isStale(graph.graph)) {
      graph.close();
      graph = undefined;
    }
    graph ??= this.#build(shape, backward);
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    const [oldest] = this.#graphs.keys();
    if (this.#graphs.size > GRAPHS_KEPT && oldest !== undefined) {
      this.#graphs.get(oldest)?.close();
      this.#graphs.delete(oldest);
    }
    return graph;
  }

  #build(shape: BatchShape, backward: boolean): LossGraph {
    return new LossGraph(
      shape,
      {
        config: this.#source.config,
        weights: this.#placed.weights,
        attentionType: this.placement.attentionType,
        trainsWeights: this.adapterPlan === null,
        backward,
        recompute: this.#options.recompute,
      },
      this.placement.lossScale,
    );
  }

  #read(
    t: TrainedTensor,
    which: 'value' | 'gradient' | 'firstMoment' | 'secondMoment',
  ): Float32Array {
    const raw = readTensor(t[which], new Float32Array(t.value.elements));
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

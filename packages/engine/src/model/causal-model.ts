/**
 * A model for reading scores: prompts decoded with a cache, or losses of whole rows; nothing is trained.
 */
import { assert, TuneyardError } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { CpuBackend, GraphAllocator, repackableTypes } from '@tuneyard/ggml';
import type { AdapterConfig, LoraPair, ModelConfig, ModelSource } from '@tuneyard/weights';
import { type AdapterLayerPlan, planAdapter } from './adapters.js';
import { layOutBatch, planBatchShape } from './batch.js';
import { DecodeGraph, type DecodeShape, type DecodeStep, KeyValueCache } from './decode-graph.js';
import { MODEL_ERRORS } from './errors.js';
import { GraphCache } from './graph-cache.js';
import { type PlacedModel, placeWeights } from './place-weights.js';
import { type BaseType, type Placement, planPlacement } from './placement.js';
import { worthwhileThreads } from './threads.js';
import { LossGraph } from './training-graph.js';
import type { LossSum } from './training-model.js';

/** An adapter in memory. */
export interface MemoryAdapter {
  readonly config: AdapterConfig;
  readonly pairs: readonly LoraPair[];
}

/** How a model is opened for reading scores. */
export interface CausalModelOptions {
  readonly adapter?: MemoryAdapter | null | undefined;
  /** Default `auto`: weights stay as they are stored. */
  readonly baseType?: BaseType | undefined;
  /** Default 1. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const CONTEXT_GRANULE = 64;
const GRAPHS_KEPT = 12;

/** Runs S sequences side by side through one model; owned by a {@link CausalModel}. */
export class Decoder implements Disposable {
  readonly #model: CausalModel;
  readonly #cache: KeyValueCache;
  readonly #graphs = new GraphCache<DecodeGraph>(GRAPHS_KEPT);

  constructor(model: CausalModel, cache: KeyValueCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /** Bytes of the key/value cache. */
  get cacheBytes(): number {
    return this.#cache.bytes;
  }

  /**
   * Feeds new tokens to every sequence and returns the scores after the last of each.
   *
   * Shapes: one step per sequence → one f32 [V] per sequence (all tokens' with `allLogits`, [V · Tq]).
   */
  async step(steps: readonly DecodeStep[], allLogits = false): Promise<Float32Array[]> {
    assert(steps.length === this.#cache.sequences, 'one step per sequence');
    const tokens = steps.reduce((max, s) => Math.max(max, s.ids.length), 1);
    const end = steps.reduce((max, s) => Math.max(max, s.position + s.ids.length), 1);
    const context = Math.min(
      this.#cache.capacity,
      Math.ceil(end / CONTEXT_GRANULE) * CONTEXT_GRANULE,
    );
    const graph = this.#graph({ sequences: steps.length, tokens, context, allLogits });
    return this.#model.runGraph(graph, steps);
  }

  [Symbol.dispose](): void {
    this.#graphs[Symbol.dispose]();
    this.#cache[Symbol.dispose]();
  }

  #graph(shape: DecodeShape): DecodeGraph {
    const key = `${shape.tokens}:${shape.context}:${shape.allLogits}`;
    return this.#graphs.get(key, this.#model.allocator, () =>
      this.#model.buildGraph(shape, this.#cache),
    );
  }
}

/** An open model; close it to free its memory. */
export class CausalModel implements Disposable {
  readonly config: ModelConfig;
  readonly placement: Placement;
  readonly #backend: CpuBackend;
  readonly #placed: PlacedModel;
  readonly #allocator: GraphAllocator;

  /**
   * Reads the weights; the source may be closed afterwards.
   *
   * Throws: `MODEL_ADAPTER_MISMATCH`, `CANCELLED`, and what reading the source throws.
   */
  static async open(source: ModelSource, options: CausalModelOptions = {}): Promise<CausalModel> {
    const adapter = options.adapter ?? null;
    const plan = adapter === null ? null : planAdapter(source.parameters, presentLayers(adapter));
    const placement = planPlacement(source.parameters, {
      use: 'inference',
      baseType: options.baseType ?? 'auto',
      tieWordEmbeddings: source.config.tieWordEmbeddings,
      repackable: repackableTypes(),
    });
    const backend = new CpuBackend(worthwhileThreads(placement.bytes, options.threads ?? 1));
    try {
      const placed = await placeWeights(source, {
        backend,
        placement,
        use: 'inference',
        adapter:
          plan === null || adapter === null
            ? null
            : { plan, pairs: checkedPairs(adapter, plan.layers) },
        signal: options.signal,
      });
      return new CausalModel({ config: source.config, placement, backend, placed });
    } catch (error) {
      backend.close();
      throw error;
    }
  }

  private constructor(parts: {
    config: ModelConfig;
    placement: Placement;
    backend: CpuBackend;
    placed: PlacedModel;
  }) {
    this.config = parts.config;
    this.placement = parts.placement;
    this.#backend = parts.backend;
    this.#placed = parts.placed;
    this.#allocator = new GraphAllocator(parts.backend);
  }

  /** Bytes of all weights. */
  get weightBytes(): number {
    return this.#placed.bytes;
  }

  /** Opens S sequences of up to `capacity` tokens each. */
  openDecoder({ sequences, capacity }: { sequences: number; capacity: number }): Decoder {
    const type = this.placement.attentionType;
    return new Decoder(
      this,
      new KeyValueCache(this.config, this.#backend, { sequences, capacity, type }),
    );
  }

  /** Scores after every token of `ids`. Shapes: ids [T] → f32 [V · T], row t after token t. */
  async logits(ids: ArrayLike<number>): Promise<Float32Array> {
    this.checkIds(ids);
    using decoder = this.openDecoder({ sequences: 1, capacity: ids.length });
    const [all] = await decoder.step([{ ids, position: 0 }], true);
    return all ?? new Float32Array(0);
  }

  /** Sum of losses over the learned tokens of some rows. */
  async evaluate(rows: readonly PackedRow[]): Promise<LossSum> {
    const { vocabSize } = this.config;
    const shape = planBatchShape(rows, vocabSize);
    const data = layOutBatch(rows, shape, vocabSize);
    using graph = new LossGraph(
      shape,
      {
        config: this.config,
        weights: this.#placed.weights,
        attentionType: this.placement.attentionType,
        trainsWeights: false,
        backward: false,
        recompute: false,
      },
      1,
    );
    const lossSum = await graph.run(data, this.#backend, this.#allocator);
    return { lossSum, learnedTokens: data.learnedTokens };
  }

  /** Throws: `MODEL_TOKEN_OUT_OF_RANGE` for an id outside the vocabulary. */
  checkIds(ids: ArrayLike<number>): void {
    const bad = Array.from(ids).find((id) => id < 0 || id >= this.config.vocabSize);
    if (bad === undefined) return;
    throw new TuneyardError(
      MODEL_ERRORS.MODEL_TOKEN_OUT_OF_RANGE,
      `Token ${bad} is outside the model's vocabulary of ${this.config.vocabSize}`,
      { details: { token: bad, vocabSize: this.config.vocabSize } },
    );
  }

  /** Builds a graph for a decoder of this model. */
  buildGraph(shape: DecodeShape, cache: KeyValueCache): DecodeGraph {
    const { config, placement } = this;
    const { weights } = this.#placed;
    return new DecodeGraph(shape, cache, {
      config,
      weights,
      attentionType: placement.attentionType,
    });
  }

  /** Where the graphs of this model have their intermediate results. */
  get allocator(): GraphAllocator {
    return this.#allocator;
  }

  /** Runs a graph of this model. */
  runGraph(graph: DecodeGraph, steps: readonly DecodeStep[]): Promise<Float32Array[]> {
    return graph.run(steps, this.#backend, this.#allocator);
  }

  close(): void {
    this.#allocator.close();
    this.#placed[Symbol.dispose]();
    this.#backend.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The layers that the adapter's files hold, rather than what its configuration's names would match. */
function presentLayers(adapter: MemoryAdapter): AdapterConfig {
  return { ...adapter.config, targetModules: adapter.pairs.map((p) => p.module) };
}

function checkedPairs(
  adapter: MemoryAdapter,
  layers: readonly AdapterLayerPlan[],
): readonly LoraPair[] {
  for (const layer of layers) {
    const pair = adapter.pairs.find((p) => p.module === layer.path);
    const isFitting =
      pair !== undefined &&
      pair.inFeatures === layer.inFeatures &&
      pair.outFeatures === layer.outFeatures &&
      pair.rank === layer.rank;
    if (isFitting) continue;
    throw new TuneyardError(
      MODEL_ERRORS.MODEL_ADAPTER_MISMATCH,
      `The adapter's ${layer.path} is [${pair?.outFeatures}, ${pair?.inFeatures}] at rank ${pair?.rank}; the model needs [${layer.outFeatures}, ${layer.inFeatures}] at rank ${layer.rank}`,
      {
        details: { module: layer.path },
        hint: 'Use the base model that the adapter was trained on.',
      },
    );
  }
  return adapter.pairs;
}

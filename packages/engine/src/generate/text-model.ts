/** A model opened to be asked: tokens in, tokens and scores out, with or without an adapter. */
import { assert, TuneyardError } from '@tuneyard/core';
import { type ChatTemplate, loadChatTemplate, loadTokenizer, type Tokenizer } from '@tuneyard/data';
import { CpuBackend, GraphAllocator, repackableTypes } from '@tuneyard/ggml';
import {
  type AdapterConfig,
  type LoraPair,
  type ModelConfig,
  type ModelSource,
  openModel,
  readPeftAdapter,
} from '@tuneyard/weights';
import { planAdapter } from '../model/adapters.js';
import {
  DecodeGraph,
  type DecodeShape,
  type DecodeStep,
  KeyValueCache,
} from '../model/decode-graph.js';
import { MODEL_ERRORS } from '../model/errors.js';
import { type PlacedModel, placeWeights } from '../model/place-weights.js';
import { type BaseType, type Placement, planPlacement } from '../model/placement.js';

/** How a model is opened. */
export interface TextModelOptions {
  /** A Hugging Face directory or a GGUF file. */
  readonly path: string;
  /** A PEFT adapter directory to put on top. */
  readonly adapterPath?: string | undefined;
  /** Default `auto`: weights stay as they are stored. */
  readonly baseType?: BaseType | undefined;
  /** Default 1. */
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** An adapter in memory. */
export interface MemoryAdapter {
  readonly config: AdapterConfig;
  readonly pairs: readonly LoraPair[];
}

const CONTEXT_GRANULE = 64;
const GRAPHS_KEPT = 12;

/** Runs S sequences side by side through one model; owned by a {@link TextModel}. */
export class Decoder implements Disposable {
  readonly #model: TextModel;
  readonly #cache: KeyValueCache;
  readonly #graphs = new Map<string, DecodeGraph>();

  constructor(model: TextModel, cache: KeyValueCache) {
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
    for (const graph of this.#graphs.values()) graph.close();
    this.#graphs.clear();
    this.#cache[Symbol.dispose]();
  }

  #graph(shape: DecodeShape): DecodeGraph {
    const key = `${shape.tokens}:${shape.context}:${shape.allLogits}`;
    const graph = this.#graphs.get(key) ?? this.#model.buildGraph(shape, this.#cache);
    this.#graphs.delete(key);
    this.#graphs.set(key, graph);
    const [oldest] = this.#graphs.keys();
    if (this.#graphs.size > GRAPHS_KEPT && oldest !== undefined) {
      this.#graphs.get(oldest)?.close();
      this.#graphs.delete(oldest);
    }
    return graph;
  }
}

/** An open model; close it to free its memory. */
export class TextModel implements Disposable {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
  /** Token ids after which generation stops: the model's and its generation config's. */
  readonly stopTokenIds: readonly number[];
  readonly placement: Placement;
  readonly #backend: CpuBackend;
  readonly #placed: PlacedModel;
  readonly #allocator: GraphAllocator;

  constructor(parts: {
    config: ModelConfig;
    tokenizer: Tokenizer;
    chatTemplate: ChatTemplate | null;
    stopTokenIds: readonly number[];
    placement: Placement;
    backend: CpuBackend;
    placed: PlacedModel;
  }) {
    this.config = parts.config;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.stopTokenIds = parts.stopTokenIds;
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

/**
 * Opens a model with its tokenizer, its chat template where it has one, and an adapter where asked.
 *
 * Throws: what reading the model, its tokenizer or the adapter throws; `MODEL_ADAPTER_MISMATCH`.
 */
export async function openTextModel(options: TextModelOptions): Promise<TextModel> {
  const source = await openModel(options.path);
  try {
    const adapter =
      options.adapterPath === undefined ? null : await readPeftAdapter(options.adapterPath);
    return await openTextModelFrom(source, { ...options, adapter });
  } finally {
    await source.close();
  }
}

/** As {@link openTextModel}, from an open source and an adapter in memory. */
export async function openTextModelFrom(
  source: ModelSource,
  options: TextModelOptions & { readonly adapter: MemoryAdapter | null },
): Promise<TextModel> {
  const tokenizer = await loadTokenizer(options.path);
  const chatTemplate = await loadChatTemplate(options.path, tokenizer);
  const { config } = source;
  const { adapter } = options;
  const plan = adapter === null ? null : planAdapter(source.parameters, adapterTargets(adapter));
  const placement = planPlacement(source.parameters, {
    use: 'inference',
    baseType: options.baseType ?? 'auto',
    tieWordEmbeddings: config.tieWordEmbeddings,
    repackable: repackableTypes(),
  });
  const backend = new CpuBackend(options.threads ?? 1);
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
    const stopTokenIds = stopTokens(source, tokenizer);
    return new TextModel({
      config,
      tokenizer,
      chatTemplate,
      stopTokenIds,
      placement,
      backend,
      placed,
    });
  } catch (error) {
    backend.close();
    throw error;
  }
}

/** Every id that ends an answer: config.json, generation_config.json and the tokenizer agree by union. */
export function stopTokens(
  source: Pick<ModelSource, 'config' | 'generationConfig'>,
  tokenizer: Tokenizer,
): number[] {
  const fromGeneration = source.generationConfig?.['eos_token_id'];
  const ids = [
    ...source.config.eosTokenIds,
    ...(Array.isArray(fromGeneration) ? fromGeneration : [fromGeneration]),
    tokenizer.eosTokenId,
  ];
  return [...new Set(ids.filter((id): id is number => typeof id === 'number'))];
}

/** The layers that the adapter's files hold, rather than what its configuration's patterns would match. */
function adapterTargets(adapter: MemoryAdapter): AdapterConfig {
  return { ...adapter.config, targetModules: adapter.pairs.map((p) => p.module) };
}

function checkedPairs(
  adapter: MemoryAdapter,
  layers: readonly { path: string; inFeatures: number; outFeatures: number; rank: number }[],
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

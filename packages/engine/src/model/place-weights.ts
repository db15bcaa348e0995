/** Reads a model into buffers as a placement says, with adapters and gradient accumulators. */
import { assert, defined, type GgmlTypeName, rowBytes, throwIfAborted } from '@tuneyard/core';
import {
  type CpuBackend,
  type Tensor,
  type TensorBuffer,
  TensorContext,
  writeTensor,
  zeroTensor,
} from '@tuneyard/ggml';
import {
  type LoraPair,
  type ModelConfig,
  type ModelSource,
  ropeFrequencies,
} from '@tuneyard/weights';
import type { AdapterLayerPlan, AdapterPlan } from './adapters.js';
import { convertMatrix, convertTransposed } from './convert-weights.js';
import { transposed } from './kernels/transpose.js';
import type {
  AdapterPair,
  DecoderLayer,
  LinearLayer,
  ModelWeights,
  NormLayer,
  Trained,
} from './legend.js';
import type { ModelUse, PlacedParameter, Placement } from './placement.js';

/** A tensor under training as the optimizer sees it. */
export interface TrainedTensor extends Trained {
  readonly name: string;
  readonly value: Tensor;
  readonly gradient: Tensor;
  readonly firstMoment: Tensor;
  readonly secondMoment: Tensor;
  /** Hugging Face or PEFT shape, slowest axis first. */
  readonly shape: readonly number[];
  /** True when memory holds the transpose of that shape (the B of an adapter). */
  readonly isTransposed: boolean;
  /** Weight decay applies: matrices yes, norms and biases no. */
  readonly decay: boolean;
}

/** Weights in memory and what owns them. */
export interface PlacedModel extends Disposable {
  readonly weights: ModelWeights;
  readonly trained: readonly TrainedTensor[];
  /** Bytes of all buffers. */
  readonly bytes: number;
}

/** What {@link placeWeights} needs. */
export interface PlaceOptions {
  readonly backend: CpuBackend;
  readonly placement: Placement;
  readonly use: ModelUse;
  readonly adapter: { readonly plan: AdapterPlan; readonly pairs: readonly LoraPair[] } | null;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Places every weight of the source.
 *
 * Cost: one pass over the weights; peak extra memory is one tensor in f32, twice while it is transposed.
 */
export async function placeWeights(
  source: ModelSource,
  options: PlaceOptions,
): Promise<PlacedModel> {
  const store = new WeightStore(source.config, options);
  try {
    store.allocate();
    for (const p of options.placement.parameters) {
      throwIfAborted(options.signal);
      await store.load(p, source);
    }
    store.loadAdapters();
    return store;
  } catch (error) {
    store[Symbol.dispose]();
    throw error;
  }
}

/**
 * The tensors of a model without any memory behind them, to measure graphs with.
 *
 * Computing such a graph is undefined; see {@link PlacedModel} for the real one.
 */
export function pretendWeights(config: ModelConfig, options: PlaceOptions): PlacedModel {
  const store = new WeightStore(config, options);
  store.pretend();
  return store;
}

class WeightStore implements PlacedModel {
  readonly #config: ModelConfig;
  readonly #options: PlaceOptions;
  readonly #plain: TensorContext;
  readonly #repacked: TensorContext;
  readonly #buffers: TensorBuffer[] = [];
  readonly #tensors = new Map<string, Tensor>();
  readonly trained: TrainedTensor[] = [];
  readonly weights: ModelWeights;

  constructor(config: ModelConfig, options: PlaceOptions) {
    this.#config = config;
    this.#options = options;
    const { placement, adapter } = options;
    const count = placement.parameters.length * 8 + (adapter?.plan.layers.length ?? 0) * 8 + 16;
    this.#plain = new TensorContext({ maxTensors: count });
    this.#repacked = new TensorContext({ maxTensors: count });
    for (const p of placement.parameters) this.#declare(p);
    this.weights = this.#assemble();
  }

  get bytes(): number {
    return this.#buffers.reduce((sum, buffer) => sum + buffer.bytes, 0);
  }

  /** Allocates the buffers and zeroes accumulators and moments. */
  allocate(): void {
    const { backend, placement } = this.#options;
    this.#buffers.push(backend.allocate(this.#plain));
    if (placement.parameters.some((p) => p.isRepacked || p.isTransposeRepacked)) {
      this.#buffers.push(backend.allocateRepacked(this.#repacked));
    }
    for (const t of this.trained) {
      for (const state of [t.gradient, t.firstMoment, t.secondMoment]) zeroTensor(state);
    }
    const { ropeFactors } = this.weights;
    if (ropeFactors !== null) writeTensor(ropeFactors, frequencyFactors(this.#config));
  }

  /** Gives every leaf a pretended address: for measuring graphs without memory. */
  pretend(): void {
    for (const tensor of this.#tensors.values()) this.#plain.pretendPlaced(tensor);
    for (const t of this.trained) {
      for (const state of [t.gradient, t.firstMoment, t.secondMoment])
        this.#plain.pretendPlaced(state);
    }
    const { ropeFactors } = this.weights;
    if (ropeFactors !== null) this.#plain.pretendPlaced(ropeFactors);
  }

  /** Reads one parameter, converts it to its placed type, and stores its transpose where planned. */
  async load(p: PlacedParameter, source: ModelSource): Promise<void> {
    const stored = defined(
      source.parameters.find((s) => s.name === p.name),
      p.name,
    );
    const bytes = await source.read(p.name);
    const [first = 1, second] = p.shape;
    // A vector is one row.
    const [rows, columns] = second === undefined ? [1, first] : [first, second];
    const matrix = { type: stored.type, bytes, rows, columns };
    writeTensor(this.#tensor(p.name), convertMatrix(matrix, p.type));
    if (p.transposedType === null) return;
    writeTensor(this.#tensor(transposeName(p.name)), convertTransposed(matrix, p.transposedType));
  }

  /** Copies the adapter's pairs into place. */
  loadAdapters(): void {
    const { adapter } = this.#options;
    if (adapter === null) return;
    for (const layer of adapter.plan.layers) {
      const pair = defined(
        adapter.pairs.find((x) => x.module === layer.path),
        layer.path,
      );
      assert(pair.rank === layer.rank, `${layer.path}: rank ${pair.rank}, planned ${layer.rank}`);
      writeTensor(this.#tensor(adapterName(layer.path, 'A')), pair.a);
      writeTensor(
        this.#tensor(adapterName(layer.path, 'B')),
        transposed(pair.b, pair.outFeatures, pair.rank),
      );
    }
  }

  [Symbol.dispose](): void {
    for (const buffer of this.#buffers) buffer.close();
    this.#plain.close();
    this.#repacked.close();
  }

  #tensor(name: string): Tensor {
    return defined(this.#tensors.get(name), `tensor ${name}`);
  }

  #declare(p: PlacedParameter): void {
    const shape = [...p.shape].reverse();
    const isTrained = this.#options.use === 'full';
    const home = p.isRepacked ? this.#repacked : this.#plain;
    const tensor = isTrained
      ? this.#plain.parameter(p.name, shape)
      : home.leaf(p.name, p.type, shape);
    this.#tensors.set(p.name, tensor);
    if (isTrained) {
      this.#train(p.name, tensor, {
        shape: p.shape,
        isTransposed: false,
        decay: p.shape.length > 1,
      });
    }
    if (p.transposedType !== null) {
      const name = transposeName(p.name);
      const place = p.isTransposeRepacked ? this.#repacked : this.#plain;
      this.#tensors.set(name, place.leaf(name, p.transposedType, p.shape));
    }
  }

  #train(
    name: string,
    value: Tensor,
    traits: Pick<TrainedTensor, 'shape' | 'isTransposed' | 'decay'>,
  ): TrainedTensor {
    const state = (suffix: string): Tensor =>
      this.#plain.leaf(`${name}.${suffix}`, 'f32', value.shape);
    const trained = {
      ...traits,
      name,
      value,
      gradient: state('gradient'),
      firstMoment: state('first'),
      secondMoment: state('second'),
    };
    this.trained.push(trained);
    return trained;
  }

  #gradient(name: string): Tensor | null {
    return this.trained.find((t) => t.name === name)?.gradient ?? null;
  }

  #assemble(): ModelWeights {
    const c = this.#config;
    const { inverseFrequencies, attentionScaling } = ropeFrequencies(c);
    const hasFactors = frequencyFactors(c).some((f) => f !== 1);
    const embedding = this.#tensor('model.embed_tokens.weight');
    const headPath = c.tieWordEmbeddings ? 'model.embed_tokens' : 'lm_head';
    return {
      embedding,
      embeddingGradient: this.#gradient('model.embed_tokens.weight'),
      layers: Array.from({ length: c.numHiddenLayers }, (_, l) => this.#layer(l)),
      finalNorm: this.#norm('model.norm.weight'),
      head: this.#linear(headPath),
      ropeFactors: hasFactors
        ? this.#plain.leaf('rope.factors', 'f32', [inverseFrequencies.length])
        : null,
      ropeAttentionScaling: attentionScaling,
    };
  }

  #layer(l: number): DecoderLayer {
    const at = `model.layers.${l}`;
    const { qkNorm } = this.#config;
    return {
      inputNorm: this.#norm(`${at}.input_layernorm.weight`),
      postAttentionNorm: this.#norm(`${at}.post_attention_layernorm.weight`),
      q: this.#linear(`${at}.self_attn.q_proj`),
      k: this.#linear(`${at}.self_attn.k_proj`),
      v: this.#linear(`${at}.self_attn.v_proj`),
      o: this.#linear(`${at}.self_attn.o_proj`),
      qNorm: qkNorm ? this.#norm(`${at}.self_attn.q_norm.weight`) : null,
      kNorm: qkNorm ? this.#norm(`${at}.self_attn.k_norm.weight`) : null,
      gate: this.#linear(`${at}.mlp.gate_proj`),
      up: this.#linear(`${at}.mlp.up_proj`),
      down: this.#linear(`${at}.mlp.down_proj`),
    };
  }

  #norm(name: string): NormLayer {
    return { weight: this.#tensor(name), gradient: this.#gradient(name) };
  }

  #linear(path: string): LinearLayer {
    const layer = this.#options.adapter?.plan.layers.find((a) => a.path === path);
    return {
      path,
      weight: this.#tensor(`${path}.weight`),
      transposed: this.#tensors.get(transposeName(`${path}.weight`)) ?? null,
      bias: this.#tensors.get(`${path}.bias`) ?? null,
      adapter: layer === undefined ? null : this.#adapter(layer),
      weightGradient: this.#gradient(`${path}.weight`),
      biasGradient: this.#gradient(`${path}.bias`),
    };
  }

  #adapter({ path, rank, inFeatures, outFeatures, scale }: AdapterLayerPlan): AdapterPair {
    const half = (which: 'A' | 'B', shape: readonly number[]): Trained => {
      const name = adapterName(path, which);
      const isTransposed = which === 'B';
      if (this.#options.use !== 'lora') {
        const value = this.#plain.leaf(name, 'f32', shape);
        this.#tensors.set(name, value);
        return { value, gradient: null };
      }
      const value = this.#plain.parameter(name, shape);
      this.#tensors.set(name, value);
      const logical = isTransposed ? [outFeatures, rank] : [rank, inFeatures];
      return this.#train(name, value, { shape: logical, isTransposed, decay: true });
    };
    return { a: half('A', [inFeatures, rank]), b: half('B', [outFeatures, rank]), scale };
  }
}

/** Name of an adapter half, as PEFT's keys end. */
export function adapterName(path: string, which: 'A' | 'B'): string {
  return `${path}.lora_${which}.weight`;
}

/** Bytes of value, gradient and both moments of everything that a run trains, in f32. */
export function trainedBytes(elements: number): number {
  return rowBytes('f32', elements) * 4;
}

function transposeName(name: string): string {
  return `${name}ᵀ`;
}

/** base^(-2i/D) divided by the model's frequency i, as ggml wants it. */
function frequencyFactors(config: ModelConfig): Float32Array {
  const { inverseFrequencies } = ropeFrequencies(config);
  const D = config.headDim;
  return Float32Array.from(inverseFrequencies, (f, i) => config.ropeTheta ** ((-2 * i) / D) / f);
}

/** The types a model is stored in, for plans and reports. */
export function storedTypes(placement: Placement): ReadonlySet<GgmlTypeName> {
  return new Set(placement.parameters.map((p) => p.type));
}

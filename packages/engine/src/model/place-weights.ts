/** Reads a model into buffers as a placement says, with adapters and gradient accumulators. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { assert, defined, rowBytes, throwIfAborted } from '@tuneyard/core';
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
export interface TrainedTensor {
  readonly name: string;
  readonly value: Tensor;
  /** One accumulator per replica. */
  readonly gradients: readonly Tensor[];
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
  /** The weights as the first replica sees them. */
  readonly weights: ModelWeights;
  /** The same tensors per replica, each with its own gradient accumulators. */
  readonly replicas: readonly ModelWeights[];
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
  /** How many workers accumulate gradients side by side; default 1. */
  readonly replicas?: number | undefined;
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
    collectGarbage();
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
  readonly #ropeFactors: Tensor | null;
  readonly trained: TrainedTensor[] = [];
  readonly #trainedByName = new Map<string, TrainedTensor>();
  readonly replicas: readonly ModelWeights[];

  constructor(config: ModelConfig, options: PlaceOptions) {
    this.#config = config;
    this.#options = options;
    const { placement, adapter } = options;
    const replicas = options.replicas ?? 1;
    const perTensor = 8 + replicas;
    const count =
      (placement.parameters.length + (adapter?.plan.layers.length ?? 0) * 2) * perTensor + 16;
    this.#plain = new TensorContext({ maxTensors: count });
    this.#repacked = new TensorContext({ maxTensors: count });
    for (const p of placement.parameters) this.#declare(p);
    for (const layer of adapter?.plan.layers ?? []) this.#declareAdapter(layer);
    const hasFactors = frequencyFactors(config).some((f) => f !== 1);
    this.#ropeFactors = hasFactors
      ? this.#plain.leaf('rope.factors', 'f32', [config.headDim / 2])
      : null;
    this.replicas = Array.from({ length: replicas }, (_, r) => this.#assemble(r));
  }

  get weights(): ModelWeights {
    return defined(this.replicas[0], 'replica');
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
      for (const state of [...t.gradients, t.firstMoment, t.secondMoment]) zeroTensor(state);
    }
    const ropeFactors = this.#ropeFactors;
    if (ropeFactors !== null) writeTensor(ropeFactors, frequencyFactors(this.#config));
  }

  /** Gives every leaf a pretended address: for measuring graphs without memory. */
  pretend(): void {
    for (const tensor of this.#tensors.values()) this.#plain.pretendPlaced(tensor);
    for (const t of this.trained) {
      for (const state of [...t.gradients, t.firstMoment, t.secondMoment])
        this.#plain.pretendPlaced(state);
    }
    const ropeFactors = this.#ropeFactors;
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
  ): void {
    const state = (suffix: string): Tensor =>
      this.#plain.leaf(`${name}.${suffix}`, 'f32', value.shape);
    const trained = {
      ...traits,
      name,
      value,
      gradients: Array.from({ length: this.#options.replicas ?? 1 }, (_, r) =>
        state(`gradient.${r}`),
      ),
      firstMoment: state('first'),
      secondMoment: state('second'),
    };
    this.trained.push(trained);
    this.#trainedByName.set(name, trained);
  }

  #gradient(name: string, replica: number): Tensor | null {
    return this.#trainedByName.get(name)?.gradients[replica] ?? null;
  }

  #assemble(replica: number): ModelWeights {
    const c = this.#config;
    const headPath = c.tieWordEmbeddings ? 'model.embed_tokens' : 'lm_head';
    return {
      embedding: this.#tensor('model.embed_tokens.weight'),
      embeddingGradient: this.#gradient('model.embed_tokens.weight', replica),
      layers: Array.from({ length: c.numHiddenLayers }, (_, l) => this.#layer(l, replica)),
      finalNorm: this.#norm('model.norm.weight', replica),
      head: this.#linear(headPath, replica),
      ropeFactors: this.#ropeFactors,
      ropeAttentionScaling: ropeFrequencies(c).attentionScaling,
    };
  }

  #layer(l: number, replica: number): DecoderLayer {
    const at = `model.layers.${l}`;
    const { qkNorm } = this.#config;
    const norm = (name: string): NormLayer => this.#norm(`${at}.${name}.weight`, replica);
    const linear = (name: string): LinearLayer => this.#linear(`${at}.${name}`, replica);
    return {
      inputNorm: norm('input_layernorm'),
      postAttentionNorm: norm('post_attention_layernorm'),
      q: linear('self_attn.q_proj'),
      k: linear('self_attn.k_proj'),
      v: linear('self_attn.v_proj'),
      o: linear('self_attn.o_proj'),
      qNorm: qkNorm ? norm('self_attn.q_norm') : null,
      kNorm: qkNorm ? norm('self_attn.k_norm') : null,
      gate: linear('mlp.gate_proj'),
      up: linear('mlp.up_proj'),
      down: linear('mlp.down_proj'),
    };
  }

  #norm(name: string, replica: number): NormLayer {
    return { weight: this.#tensor(name), gradient: this.#gradient(name, replica) };
  }

  #linear(path: string, replica: number): LinearLayer {
    const layer = this.#options.adapter?.plan.layers.find((a) => a.path === path);
    return {
      path,
      weight: this.#tensor(`${path}.weight`),
      transposed: this.#tensors.get(transposeName(`${path}.weight`)) ?? null,
      bias: this.#tensors.get(`${path}.bias`) ?? null,
      adapter: layer === undefined ? null : this.#adapter(layer, replica),
      weightGradient: this.#gradient(`${path}.weight`, replica),
      biasGradient: this.#gradient(`${path}.bias`, replica),
    };
  }

  #adapter({ path, scale }: AdapterLayerPlan, replica: number): AdapterPair {
    const half = (which: 'A' | 'B'): Trained => {
      const name = adapterName(path, which);
      return { value: this.#tensor(name), gradient: this.#gradient(name, replica) };
    };
    return { a: half('A'), b: half('B'), scale };
  }

  #declareAdapter({ path, rank, inFeatures, outFeatures }: AdapterLayerPlan): void {
    const declare = (which: 'A' | 'B', long: number, logical: readonly number[]): void => {
      const name = adapterName(path, which);
      const shape = [long, rank];
      if (this.#options.use !== 'lora') {
        this.#tensors.set(name, this.#plain.leaf(name, 'f32', shape));
        return;
      }
      const value = this.#plain.parameter(name, shape);
      this.#tensors.set(name, value);
      this.#train(name, value, { shape: logical, isTransposed: which === 'B', decay: true });
    };
    declare('A', inFeatures, [rank, inFeatures]);
    declare('B', outFeatures, [outFeatures, rank]);
  }
}

/**
 * Frees the conversion buffers of loading now: V8 sees little pressure from memory outside its heap and
 * would keep a hundred megabytes of them through the whole run. Measured by bench:train: q8_0 887 → 733 MB.
 */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('globalThis.gc') as (() => void) | undefined;
  collect?.();
}

/** Name of an adapter half, as PEFT's keys end. */
export function adapterName(path: string, which: 'A' | 'B'): string {
  return `${path}.lora_${which}.weight`;
}

/** Bytes of value, both moments and one gradient per replica of everything that a run trains, in f32. */
export function trainedBytes(elements: number, replicas: number): number {
  return rowBytes('f32', elements) * (3 + replicas);
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

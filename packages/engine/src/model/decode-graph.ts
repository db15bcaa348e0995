/**
 * Token-by-token forward with a key/value cache, for S sequences side by side.
 *
 * One graph serves one shape (S, Tq new tokens each, Tc cached positions in view). Keys and values of the
 * new tokens are written into the cache at rows s·Tmax + position; padding goes to a row of its own behind
 * all sequences. The same blocks as in training do the linear work, so a trained model continues exactly
 * as it was trained.
 */
import { defined, type GgmlTypeName } from '@tuneyard/core';
import {
  type CpuBackend,
  Graph,
  type GraphAllocator,
  readTensor,
  type Tensor,
  type TensorBuffer,
  TensorContext,
  writeTensor,
  zeroTensor,
} from '@tuneyard/ggml';
import type { ModelConfig } from '@tuneyard/weights';
import { ropeOptions } from './blocks/attention.js';
import { linearForward } from './blocks/linear.js';
import { mlpForward } from './blocks/mlp.js';
import { normForward } from './blocks/norm.js';
import type { DecoderLayer, GraphBuild, ModelWeights } from './legend.js';

/** Keys and values of S sequences of up to Tmax tokens. */
export class KeyValueCache implements Disposable {
  readonly sequences: number;
  /** Tmax. */
  readonly capacity: number;
  /** Per layer, [Hkv·D, S·Tmax + 1]; the last row takes padding. */
  readonly keys: readonly Tensor[];
  readonly values: readonly Tensor[];
  readonly #ctx: TensorContext;
  readonly #buffer: TensorBuffer;

  constructor(
    config: ModelConfig,
    backend: CpuBackend,
    { sequences, capacity, type }: { sequences: number; capacity: number; type: GgmlTypeName },
  ) {
    this.sequences = sequences;
    this.capacity = capacity;
    const L = config.numHiddenLayers;
    this.#ctx = new TensorContext({ maxTensors: 2 * L });
    const shape = [config.numKeyValueHeads * config.headDim, sequences * capacity + 1];
    const make = (what: string): Tensor[] =>
      Array.from({ length: L }, (_, l) => this.#ctx.leaf(`${what}.${l}`, type, shape));
    this.keys = make('keys');
    this.values = make('values');
    this.#buffer = backend.allocate(this.#ctx);
    // A masked position weighs zero, and zero times an uninitialised NaN would still be NaN.
    for (const t of [...this.keys, ...this.values]) zeroTensor(t);
  }

  get bytes(): number {
    return this.#buffer.bytes;
  }

  [Symbol.dispose](): void {
    this.#buffer.close();
    this.#ctx.close();
  }
}

/** What a decode graph is built for. */
export interface DecodeShape {
  /** S. */
  readonly sequences: number;
  /** Tq, new tokens per sequence. */
  readonly tokens: number;
  /** Tc, cached positions that are looked at. */
  readonly context: number;
  /** True returns scores of every new token, false of the last one of each sequence. */
  readonly allLogits: boolean;
}

/** New tokens of one sequence and where they stand. */
export interface DecodeStep {
  readonly ids: ArrayLike<number>;
  /** Position of the first of them. */
  readonly position: number;
}

interface Inputs {
  readonly ids: Tensor;
  readonly positions: Tensor;
  readonly rows: Tensor;
  readonly mask: Tensor;
  readonly pick: Tensor;
}

const NODES_PER_LAYER = 120;
const MINUS_INFINITY_F16 = 0xfc00;

/** A built decode graph; it borrows weights and cache. */
export class DecodeGraph implements Disposable {
  readonly #ctx: TensorContext;
  readonly #graph: Graph;
  readonly #inputs: Inputs;
  readonly #logits: Tensor;
  readonly #shape: DecodeShape;
  readonly #cache: KeyValueCache;

  constructor(
    shape: DecodeShape,
    cache: KeyValueCache,
    parts: { config: ModelConfig; weights: ModelWeights; attentionType: GgmlTypeName },
  ) {
    const nodes = parts.config.numHiddenLayers * NODES_PER_LAYER + 64;
    this.#ctx = new TensorContext({ maxTensors: nodes * 2, graphNodes: nodes });
    this.#graph = new Graph(this.#ctx, nodes);
    this.#shape = shape;
    this.#cache = cache;
    this.#inputs = createInputs(this.#ctx, shape);
    const build: GraphBuild = {
      ...parts,
      ctx: this.#ctx,
      graph: this.#graph,
      trainsWeights: false,
    };
    this.#logits = buildDecode(build, this.#inputs, shape, cache);
  }

  /**
   * Runs one step per sequence and returns scores.
   *
   * Shapes: as many steps as sequences → f32 [V] per sequence, or [V · Tq] with `allLogits`.
   */
  async run(
    steps: readonly DecodeStep[],
    backend: CpuBackend,
    allocator: GraphAllocator,
  ): Promise<Float32Array[]> {
    allocator.allocate(this.#graph);
    const arrays = layOutSteps(steps, this.#shape, this.#cache);
    writeTensor(this.#inputs.ids, arrays.ids);
    writeTensor(this.#inputs.positions, arrays.positions);
    writeTensor(this.#inputs.rows, arrays.rows);
    writeTensor(this.#inputs.mask, arrays.mask);
    if (!this.#shape.allLogits) writeTensor(this.#inputs.pick, arrays.pick);
    await backend.compute(this.#graph);
    const all = readTensor(this.#logits, new Float32Array(this.#logits.elements));
    const each = all.length / this.#shape.sequences;
    return steps.map((_, s) => all.subarray(s * each, (s + 1) * each));
  }

  /** The native graph, for an allocator. */
  get graph(): Graph {
    return this.#graph;
  }

  close(): void {
    this.#ctx.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function createInputs(
  ctx: TensorContext,
  { sequences: S, tokens: Tq, context: Tc }: DecodeShape,
): Inputs {
  return {
    ids: ctx.input('ids', 'i32', [S * Tq]),
    positions: ctx.input('positions', 'i32', [S * Tq]),
    rows: ctx.input('rows', 'i64', [S * Tq]),
    mask: ctx.input('mask', 'f16', [Tc, Tq, 1, S]),
    pick: ctx.input('pick', 'i32', [S]),
  };
}

function buildDecode(
  build: GraphBuild,
  inputs: Inputs,
  shape: DecodeShape,
  cache: KeyValueCache,
): Tensor {
  const { ctx, graph, weights } = build;
  let h = ctx.getRows(weights.embedding, inputs.ids);
  for (const [l, layer] of weights.layers.entries()) {
    const x = normForward(build, layer.inputNorm, h);
    const keys = defined(cache.keys[l], 'keys');
    const values = defined(cache.values[l], 'values');
    const middle = ctx.add(
      h,
      cachedAttention(build, layer, { x, inputs, shape, cache, keys, values }),
    );
    h = ctx.add(
      middle,
      mlpForward(build, layer, normForward(build, layer.postAttentionNorm, middle)).y,
    );
    graph.add(h);
  }
  const picked = shape.allLogits ? h : ctx.getRows(h, inputs.pick);
  const logits = ctx.output(
    ctx.mulMat(weights.head.weight, normForward(build, weights.finalNorm, picked)),
  );
  graph.add(logits);
  return logits;
}

/** Shapes: x [C, N] → [C, N], N = S·Tq. */
function cachedAttention(
  build: GraphBuild,
  layer: DecoderLayer,
  at: {
    x: Tensor;
    inputs: Inputs;
    shape: DecodeShape;
    cache: KeyValueCache;
    keys: Tensor;
    values: Tensor;
  },
): Tensor {
  const { ctx, config, weights, graph } = build;
  const { numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D } = config;
  const { sequences: S, tokens: Tq, context: Tc } = at.shape;
  const N = S * Tq;
  const project = (
    linear: DecoderLayer['q'],
    norm: DecoderLayer['qNorm'],
    heads: number,
  ): Tensor => {
    const y = ctx.reshape(linearForward(build, linear, at.x).y, [D, heads, N]);
    const normed = norm === null ? y : normForward(build, norm, y);
    return ctx.rope(normed, at.inputs.positions, weights.ropeFactors, ropeOptions(build));
  };
  const q = ctx.permute(ctx.reshape(project(layer.q, layer.qNorm, H), [D, H, Tq, S]), [0, 2, 1, 3]);
  const k = ctx.reshape(project(layer.k, layer.kNorm, Hkv), [D * Hkv, N]);
  const v = linearForward(build, layer.v, at.x).y;
  // The cache must be written before it is read: these nodes come first in the graph.
  graph.add(ctx.setRows(at.keys, k, at.inputs.rows));
  graph.add(ctx.setRows(at.values, v, at.inputs.rows));
  const seen = (rows: Tensor): Tensor => {
    const all = ctx.slice(rows, 1, 0, S * at.cache.capacity);
    const split = ctx.slice(ctx.reshape(all, [D * Hkv, at.cache.capacity, S]), 1, 0, Tc);
    return split;
  };
  const heads = (t: Tensor): Tensor =>
    ctx.splitHeads(t, { headDim: D, heads: Hkv, tokens: Tc, rows: S });
  const keys = ctx.permute(heads(seen(at.keys)), [0, 2, 1, 3]);
  const scores = ctx.softMax(ctx.mulMat(keys, q), at.inputs.mask, 1 / Math.sqrt(D));
  const turned = ctx.contiguous(ctx.permute(heads(seen(at.values)), [1, 2, 0, 3]));
  const out = ctx.permute(ctx.mulMat(turned, scores), [0, 2, 1, 3]);
  return linearForward(build, layer.o, ctx.reshape(ctx.contiguous(out), [D * H, N])).y;
}

function layOutSteps(
  steps: readonly DecodeStep[],
  { sequences: S, tokens: Tq, context: Tc }: DecodeShape,
  cache: KeyValueCache,
): {
  ids: Int32Array;
  positions: Int32Array;
  rows: BigInt64Array;
  mask: Uint16Array;
  pick: Int32Array;
} {
  const N = S * Tq;
  const ids = new Int32Array(N);
  const positions = new Int32Array(N);
  const rows = new BigInt64Array(N).fill(BigInt(S * cache.capacity));
  const mask = new Uint16Array(Tc * Tq * S).fill(MINUS_INFINITY_F16);
  const pick = new Int32Array(S);
  for (const [s, step] of steps.entries()) {
    pick[s] = s * Tq + Math.max(0, step.ids.length - 1);
    for (let i = 0; i < Tq; i++) {
      const n = s * Tq + i;
      const isReal = i < step.ids.length;
      const position = isReal ? step.position + i : 0;
      ids[n] = isReal ? (step.ids[i] ?? 0) : 0;
      positions[n] = position;
      if (isReal) rows[n] = BigInt(s * cache.capacity + position);
      mask.fill(0, n * Tc, n * Tc + position + 1);
    }
  }
  return { ids, positions, rows, mask, pick };
}

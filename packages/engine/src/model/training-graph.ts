/** A loss graph of one batch shape: forward, and optionally the hand-written backward of every layer. */
import { defined, type GgmlTypeName } from '@tuneyard/core';
import {
  type CpuBackend,
  Graph,
  type GraphAllocator,
  readTensor,
  type Tensor,
  TensorContext,
  writeTensor,
} from '@tuneyard/ggml';
import type { ModelConfig } from '@tuneyard/weights';
import type { BatchData, BatchShape } from './batch.js';
import type { AttentionInputs } from './blocks/attention.js';
import { type DecoderForward, decoderBackward, decoderForward } from './blocks/decoder.js';
import { embeddingBackward, type LossInputs, lossHead } from './blocks/head.js';
import type { DecoderLayer, GraphBuild, ModelWeights } from './legend.js';

/** What decides the nodes of a loss graph besides the batch shape. */
export interface LossGraphOptions {
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  readonly attentionType: GgmlTypeName;
  readonly trainsWeights: boolean;
  /** False builds the forward alone, for evaluation. */
  readonly backward: boolean;
  /** Run each layer's forward again in the backward instead of keeping its activations. */
  readonly recompute: boolean;
}

interface Inputs extends AttentionInputs, LossInputs {
  readonly ids: Tensor;
}

/** Nodes of one layer, forward and backward, stay below this for every family. */
const NODES_PER_LAYER = 420;
const NODES_PER_CHUNK = 40;

/** A built graph with its inputs; it borrows weights, backend and allocator. */
export class LossGraph implements Disposable {
  readonly #ctx: TensorContext;
  readonly #graph: Graph;
  readonly #inputs: Inputs;
  readonly #lossScale: number;
  readonly #hasBackward: boolean;

  constructor(shape: BatchShape, options: LossGraphOptions, lossScale: number) {
    const chunks = Math.ceil(shape.learned / shape.chunk);
    const nodes =
      options.config.numHiddenLayers * NODES_PER_LAYER * (1 + shape.queryBlocks / 4) +
      chunks * NODES_PER_CHUNK +
      256;
    this.#ctx = new TensorContext({ maxTensors: nodes * 2, graphNodes: nodes });
    this.#graph = new Graph(this.#ctx, nodes);
    this.#lossScale = lossScale;
    this.#hasBackward = options.backward;
    const build: GraphBuild = { ...options, ctx: this.#ctx, graph: this.#graph };
    this.#inputs = createInputs(this.#ctx, shape);
    buildLoss(build, this.#inputs, options);
  }

  /** The native graph, for an allocator. */
  get graph(): Graph {
    return this.#graph;
  }

  /** Runs the graph on a batch of its shape and returns the sum of losses over learned tokens. */
  async run(data: BatchData, backend: CpuBackend, allocator: GraphAllocator): Promise<number> {
    allocator.allocate(this.#graph);
    const inputs = this.#inputs;
    writeTensor(inputs.ids, data.tokens);
    writeTensor(inputs.positions, data.positions);
    for (const [i, mask] of data.masks.entries())
      writeTensor(defined(inputs.masks[i], 'mask'), mask);
    writeTensor(inputs.learned, data.learned);
    writeTensor(inputs.target, data.target);
    // A forward-only graph has no use for it, so it has no memory there.
    if (this.#hasBackward) writeTensor(inputs.target64, data.target64);
    writeTensor(
      inputs.weight,
      data.weight.map((w) => w * this.#lossScale),
    );
    await backend.compute(this.#graph);
    const losses = readTensor(inputs.losses, new Float32Array(inputs.losses.elements));
    return losses.reduce((sum, x) => sum + x, 0) / this.#lossScale;
  }

  close(): void {
    this.#ctx.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function createInputs(ctx: TensorContext, shape: BatchShape): Inputs {
  const { rows: B, tokens: T, learned: M, chunk, queryBlocks } = shape;
  const Tq = T / queryBlocks;
  return {
    ids: ctx.input('ids', 'i32', [B * T]),
    positions: ctx.input('positions', 'i32', [B * T]),
    masks: Array.from({ length: queryBlocks }, (_, i) =>
      ctx.input(`mask.${i}`, 'f16', [(i + 1) * Tq, Tq, 1, B]),
    ),
    tokens: T,
    rows: B,
    learned: ctx.input('learned', 'i32', [M]),
    target: ctx.input('target', 'i32', [M]),
    target64: ctx.input('target64', 'i64', [M]),
    weight: ctx.input('weight', 'f32', [1, M]),
    losses: ctx.output(ctx.input('losses', 'f32', [1, Math.ceil(M / chunk)])),
    chunk,
  };
}

function buildLoss(build: GraphBuild, inputs: Inputs, options: LossGraphOptions): void {
  const { ctx, graph, weights } = build;
  let h = ctx.getRows(weights.embedding, inputs.ids);
  const kept: DecoderForward[] = [];
  for (const layer of weights.layers) {
    const forward = decoderForward(build, layer, h, inputs);
    graph.add(forward.y);
    if (options.backward) kept.push(forward);
    h = forward.y;
  }
  const dh = lossHead(build, h, inputs, options.backward);
  if (dh === null) return;
  graph.add(dh);
  layersBackward(build, { kept, dh, inputs, recompute: options.recompute });
}

/** Walks the layers from the last to the lowest that has something to train below or in it. */
function layersBackward(
  build: GraphBuild,
  {
    kept,
    dh,
    inputs,
    recompute,
  }: { kept: DecoderForward[]; dh: Tensor; inputs: Inputs; recompute: boolean },
): void {
  const { graph, weights, trainsWeights } = build;
  const lowest = trainsWeights ? 0 : weights.layers.findIndex(hasAdapter);
  let dy = dh;
  for (let l = weights.layers.length - 1; l >= lowest && lowest >= 0; l--) {
    const layer = defined(weights.layers[l], 'layer');
    const before = defined(kept[l], 'activations');
    const forward = recompute ? decoderForward(build, layer, before.h, inputs) : before;
    const needsInput = trainsWeights || l > lowest;
    const below = decoderBackward(build, layer, { forward, dy, inputs, needsInput });
    if (below === null) return;
    graph.add(below);
    dy = below;
  }
  if (trainsWeights) embeddingBackward(build, dy, inputs.ids);
}

function hasAdapter(layer: DecoderLayer): boolean {
  const { q, k, v, o, gate, up, down } = layer;
  return [q, k, v, o, gate, up, down].some((linear) => linear.adapter !== null);
}

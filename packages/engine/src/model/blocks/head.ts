/**
 * Vocabulary head and masked cross-entropy over learned positions only, in chunks: forward and backward.
 *
 * Picking the learned positions before the projection is the label mask: nothing else reaches the loss.
 * The gradient softmax − onehot is made by subtracting 1 at the target, never from a dense one-hot, so a
 * vocabulary of 152k fits: a chunk holds V · chunk floats.
 */
import { defined } from '@tuneyard/core';
import type { Tensor } from '@tuneyard/ggml';
import type { GraphBuild } from '../legend.js';
import { accumulate, linearBackward } from './linear.js';
import { normBackward, normForward } from './norm.js';

/** Where losses are taken and what their targets are. */
export interface LossInputs {
  /** i32 [M]: index into N of the position whose next token is learned. */
  readonly learned: Tensor;
  /** i32 and i64 [M]: index of the target inside its chunk's flattened [V · chunk] scores. */
  readonly target: Tensor;
  readonly target64: Tensor;
  /** f32 [1, M]: the loss scale, 0 for padding. */
  readonly weight: Tensor;
  /** f32 [1, chunks]: receives the weighted loss of each chunk. */
  readonly losses: Tensor;
  /** Positions in a chunk. */
  readonly chunk: number;
}

// Keeps ln finite where softmax underflows; below every probability that f32 can tell from zero.
const SMALLEST_PROBABILITY = 1e-37;

/**
 * Writes the loss of each chunk into `inputs.losses` and returns dh.
 *
 * Shapes: h [C, N] → dh [C, N] (null when `backward` is false): zero rows where nothing is learned.
 */
export function lossHead(
  build: GraphBuild,
  h: Tensor,
  inputs: LossInputs,
  backward: boolean,
): Tensor | null {
  const { ctx, weights } = build;
  const picked = ctx.getRows(h, inputs.learned);
  const x = normForward(build, weights.finalNorm, picked);
  const M = picked.shape[1];
  let dx: Tensor | null = null;
  for (let first = 0, i = 0; first < M; first += inputs.chunk, i++) {
    const part = chunkLoss(build, x, inputs, {
      first,
      count: Math.min(inputs.chunk, M - first),
      index: i,
      backward,
    });
    if (part !== null) dx = dx === null ? part : ctx.concat(dx, part, 1);
  }
  if (dx === null) return null;
  const dPicked = normBackward(build, weights.finalNorm, dx, picked);
  return ctx.getRowsBack(dPicked, inputs.learned, h);
}

function chunkLoss(
  build: GraphBuild,
  x: Tensor,
  inputs: LossInputs,
  {
    first,
    count,
    index,
    backward,
  }: { first: number; count: number; index: number; backward: boolean },
): Tensor | null {
  const { ctx, graph, weights } = build;
  const V = weights.head.weight.shape[1];
  const xPart = ctx.slice(x, 1, first, count);
  const probabilities = ctx.softMax(ctx.mulMat(weights.head.weight, xPart), null, 1);
  const flat = ctx.reshape(probabilities, [1, V * count]);
  const p = ctx.getRows(flat, ctx.slice(inputs.target, 0, first, count));
  const w = ctx.slice(inputs.weight, 1, first, count);
  const loss = ctx.scale(
    ctx.sum(ctx.mul(ctx.log(ctx.scaleBias(p, 1, SMALLEST_PROBABILITY)), w)),
    -1,
  );
  graph.add(ctx.copy(loss, ctx.slice(inputs.losses, 1, index, 1)));
  if (!backward) return null;
  const minusOne = ctx.scaleBias(p, 1, -1);
  const delta = ctx.setRows(flat, minusOne, ctx.slice(inputs.target64, 0, first, count));
  const dLogits = ctx.mul(ctx.reshape(delta, [V, count]), w);
  const dx = headBackward(build, xPart, dLogits);
  graph.add(dx);
  return dx;
}

/** Shapes: x [C, n], dLogits [V, n] → dx [C, n]. */
function headBackward(build: GraphBuild, x: Tensor, dLogits: Tensor): Tensor {
  const { head } = build.weights;
  return defined(linearBackward(build, head, { dy: dLogits, x, z: null, needsInput: true }), 'dx');
}

/** Adds the embedding's gradient: rows of dh [C, N] to the rows of their tokens. */
export function embeddingBackward(build: GraphBuild, dh: Tensor, tokens: Tensor): void {
  const { ctx, weights } = build;
  if (weights.embeddingGradient === null) return;
  accumulate(build, weights.embeddingGradient, ctx.getRowsBack(dh, tokens, weights.embedding));
}

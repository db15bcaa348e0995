/** Linear layer with an optional low-rank adapter: forward, and its backward beside it. */
import { defined } from '@tuneyard/core';
import type { Tensor } from '@tuneyard/ggml';
import type { GraphBuild, LinearLayer } from '../legend.js';

/** What the forward leaves for the backward. */
export interface LinearForward {
  /** [out, N]. */
  readonly y: Tensor;
  /** A·x, [R, N]; null without an adapter. */
  readonly z: Tensor | null;
}

/**
 * y = W·x + b + scale · B·(A·x).
 *
 * Shapes: x [in, N] → y [out, N]. The thin product with B is an outer product along the long axis, three
 * times faster than a matrix product whose dot length is the rank.
 */
export function linearForward({ ctx }: GraphBuild, layer: LinearLayer, x: Tensor): LinearForward {
  let y = ctx.mulMat(layer.weight, x);
  if (layer.bias !== null) y = ctx.add(y, layer.bias);
  if (layer.adapter === null) return { y, z: null };
  const { a, b, scale } = layer.adapter;
  const z = ctx.mulMat(a.value, x);
  const low = ctx.outProd(b.value, ctx.transpose(ctx.scale(z, scale)));
  return { y: ctx.add(y, low), z };
}

/**
 * Adds the gradients of the layer's trained tensors to their accumulators and returns dx.
 *
 * Shapes: dy [out, N], x [in, N] → dx [in, N], or null when `needsInput` is false.
 */
export function linearBackward(
  build: GraphBuild,
  layer: LinearLayer,
  { dy, x, z, needsInput }: { dy: Tensor; x: Tensor; z: Tensor | null; needsInput: boolean },
): Tensor | null {
  const { ctx } = build;
  if (layer.weightGradient !== null) weightGradients(build, layer, x, dy);
  let dx = needsInput ? ctx.mulMat(transposedWeight(build, layer), dy) : null;
  if (layer.adapter !== null) {
    const { a, b, scale } = layer.adapter;
    const dz = ctx.scale(ctx.mulMat(b.value, dy), scale);
    accumulate(build, b.gradient, ctx.scale(ctx.outProd(dy, defined(z, 'A·x')), scale));
    accumulate(build, a.gradient, ctx.outProd(x, dz));
    if (dx !== null) dx = ctx.add(dx, ctx.outProd(a.value, ctx.transpose(dz)));
  }
  return dx;
}

/** Adds `gradient` to an accumulator, at this place of the graph. */
export function accumulate(build: GraphBuild, into: Tensor | null, gradient: Tensor): void {
  if (into !== null) build.graph.add(build.ctx.addInPlace(into, gradient));
}

function weightGradients(build: GraphBuild, layer: LinearLayer, x: Tensor, dy: Tensor): void {
  const { ctx } = build;
  // dW[in, out] sums over N, so both factors need N as their fastest axis.
  const dw = ctx.mulMat(ctx.contiguous(ctx.transpose(x)), ctx.contiguous(ctx.transpose(dy)));
  accumulate(build, layer.weightGradient, dw);
  if (layer.bias !== null) accumulate(build, layer.biasGradient, ctx.repeatBack(dy, layer.bias));
}

function transposedWeight({ ctx }: GraphBuild, layer: LinearLayer): Tensor {
  // A trained weight changes each step, so its transpose is made inside the step.
  return layer.transposed ?? ctx.contiguous(ctx.transpose(layer.weight));
}

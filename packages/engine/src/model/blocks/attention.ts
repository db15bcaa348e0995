/**
 * Causal grouped-query attention with rotary positions: forward, and its backward beside it.
 *
 * Queries are cut into blocks; block i sees only the keys up to its own end, so most of the masked half
 * of the score matrix is never computed. The mask of a block adds what remains: causality inside its
 * last part, and the borders between packed samples.
 */
import { assert, defined } from '@tuneyard/core';
import type { RopeOptions, Tensor } from '@tuneyard/ggml';
import type { DecoderLayer, GraphBuild } from '../legend.js';
import { linearBackward, linearForward } from './linear.js';
import { normBackward, normForward } from './norm.js';

/** Places and masks of the tokens of a micro-batch. */
export interface AttentionInputs {
  /** i32 [N]. */
  readonly positions: Tensor;
  /** One per query block, f16 [Tk, Tq, 1, B]: 0 where visible, -inf elsewhere. */
  readonly masks: readonly Tensor[];
  /** Tokens of a row, T. */
  readonly tokens: number;
  /** Rows, B. */
  readonly rows: number;
}

/** What the forward leaves for the backward. */
export interface AttentionForward {
  /** [C, N]. */
  readonly y: Tensor;
  /** Heads side by side, [H·D, N]: the input of the output projection. */
  readonly heads: Tensor;
  /** Rotated queries as a view [D, T, H, B]. */
  readonly q: Tensor;
  /** Rotated keys, contiguous [D, T, Hkv, B] in the attention type. */
  readonly k: Tensor;
  /** Values as a view [D, T, Hkv, B] f32. */
  readonly v: Tensor;
  /** Softmax of each block, [Tk, Tq, H, B]. */
  readonly probabilities: readonly Tensor[];
  readonly qProjected: Tensor;
  readonly kProjected: Tensor;
  readonly z: {
    readonly q: Tensor | null;
    readonly k: Tensor | null;
    readonly v: Tensor | null;
    readonly o: Tensor | null;
  };
}

/** Shapes: x [C, N] → y [C, N]. */
export function attentionForward(
  build: GraphBuild,
  layer: DecoderLayer,
  x: Tensor,
  inputs: AttentionInputs,
): AttentionForward {
  const { ctx, config, attentionType } = build;
  const { numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D } = config;
  const qProjection = linearForward(build, layer.q, x);
  const kProjection = linearForward(build, layer.k, x);
  const vProjection = linearForward(build, layer.v, x);
  const q = byHead(
    build,
    rotated(build, normed(build, layer.qNorm, qProjection.y, H), inputs),
    H,
    inputs,
  );
  const kView = byHead(
    build,
    rotated(build, normed(build, layer.kNorm, kProjection.y, Hkv), inputs),
    Hkv,
    inputs,
  );
  const k = compact(build, kView);
  const v = byHead(
    build,
    ctx.reshape(vProjection.y, [D, Hkv, inputs.tokens * inputs.rows]),
    Hkv,
    inputs,
  );
  const vTransposed = ctx.cast(ctx.permute(v, [1, 0, 2, 3]), attentionType);
  const blocks = queryBlocks(inputs).map(({ first, count, keys, mask }) => {
    const scores = ctx.mulMat(ctx.slice(k, 1, 0, keys), ctx.slice(q, 1, first, count));
    const p = ctx.softMax(scores, mask, 1 / Math.sqrt(D));
    return { p, out: ctx.mulMat(ctx.slice(vTransposed, 0, 0, keys), p) };
  });
  const heads = byToken(
    build,
    blocks.map((b) => b.out),
    H,
    inputs,
  );
  const o = linearForward(build, layer.o, heads);
  return {
    y: o.y,
    heads,
    q,
    k,
    v,
    probabilities: blocks.map((b) => b.p),
    qProjected: qProjection.y,
    kProjected: kProjection.y,
    z: { q: qProjection.z, k: kProjection.z, v: vProjection.z, o: o.z },
  };
}

/** Shapes: dy, x [C, N] → dx [C, N], or null when `needsInput` is false. */
export function attentionBackward(
  build: GraphBuild,
  layer: DecoderLayer,
  {
    forward,
    dy,
    x,
    inputs,
    needsInput,
  }: {
    forward: AttentionForward;
    dy: Tensor;
    x: Tensor;
    inputs: AttentionInputs;
    needsInput: boolean;
  },
): Tensor | null {
  const { ctx, config } = build;
  const { numAttentionHeads: H, numKeyValueHeads: Hkv } = config;
  const dHeads = defined(
    linearBackward(build, layer.o, { dy, x: forward.heads, z: forward.z.o, needsInput: true }),
    'gradient of the heads',
  );
  const { dQ, dK, dV } = scoresBackward(build, forward, dHeads, inputs);
  const dq = headGradient(build, byToken(build, dQ, H, inputs), {
    heads: H,
    layer: layer.qNorm,
    before: forward.qProjected,
    inputs,
  });
  const dk = headGradient(build, byToken(build, [dK], Hkv, inputs), {
    heads: Hkv,
    layer: layer.kNorm,
    before: forward.kProjected,
    inputs,
  });
  const dv = byToken(build, [dV], Hkv, inputs);
  const parts = [
    linearBackward(build, layer.q, { dy: dq, x, z: forward.z.q, needsInput }),
    linearBackward(build, layer.k, { dy: dk, x, z: forward.z.k, needsInput }),
    linearBackward(build, layer.v, { dy: dv, x, z: forward.z.v, needsInput }),
  ];
  if (!needsInput) return null;
  return parts.map((p) => defined(p, 'dx')).reduce((sum, p) => ctx.add(sum, p));
}

interface QueryBlock {
  readonly first: number;
  readonly count: number;
  readonly keys: number;
  readonly mask: Tensor;
}

function queryBlocks({ masks }: AttentionInputs): QueryBlock[] {
  let first = 0;
  return masks.map((mask) => {
    const [keys, count] = mask.shape;
    const block = { first, count, keys, mask };
    first += count;
    assert(keys === first, 'a query block sees the keys up to its own end');
    return block;
  });
}

/**
 * Gradients through P·V and the softmax, block by block.
 *
 * Shapes: dHeads [H·D, N] → dQ one [D, Tq, H, B] per block, dK and dV [D, T, Hkv, B] f32. The products of
 * short blocks are added into the leading keys of the last block's, which covers all keys.
 */
function scoresBackward(
  build: GraphBuild,
  forward: AttentionForward,
  dHeads: Tensor,
  inputs: AttentionInputs,
): { dQ: Tensor[]; dK: Tensor; dV: Tensor } {
  const { ctx, config, attentionType } = build;
  const { numAttentionHeads: H, numKeyValueHeads: Hkv, headDim: D } = config;
  const N = inputs.tokens * inputs.rows;
  const dOut = byHead(build, ctx.reshape(dHeads, [D, H, N]), H, inputs);
  const v = compact(build, forward.v);
  const kTransposed = ctx.cast(ctx.permute(forward.k, [1, 0, 2, 3]), attentionType);
  const dQ: Tensor[] = [];
  let dK: Tensor | null = null;
  let dV: Tensor | null = null;
  for (const [i, { first, count, keys }] of [...queryBlocks(inputs).entries()].reverse()) {
    const p = defined(forward.probabilities[i], 'probabilities');
    const dO = ctx.contiguous(ctx.slice(dOut, 1, first, count));
    const dP = ctx.mulMat(ctx.slice(v, 1, 0, keys), dO);
    const dS = ctx.softMaxBack(dP, p, 1 / Math.sqrt(D));
    dQ.unshift(ctx.mulMat(ctx.slice(kTransposed, 0, 0, keys), dS));
    // Merging the G query heads of a key head into the query axis sums over them for free.
    const merge = (t: Tensor, n: number): Tensor =>
      ctx.cast(
        ctx.transpose(ctx.reshape(t, [n, count * (H / Hkv), Hkv, inputs.rows])),
        attentionType,
      );
    const qBlock = ctx.contiguous(ctx.slice(forward.q, 1, first, count));
    const dVBlock = ctx.mulMat(merge(dO, D), merge(p, keys));
    const dKBlock = ctx.mulMat(merge(qBlock, D), merge(dS, keys));
    dV = addLeadingKeys(build, dV, dVBlock);
    dK = addLeadingKeys(build, dK, dKBlock);
  }
  return { dQ, dK: defined(dK, 'dK'), dV: defined(dV, 'dV') };
}

function addLeadingKeys({ ctx, graph }: GraphBuild, total: Tensor | null, block: Tensor): Tensor {
  if (total === null) return block;
  graph.add(ctx.addInPlace(ctx.slice(total, 1, 0, block.shape[1]), block));
  return total;
}

/** [D·heads, N] → [D, heads, N], normalised per head where the family does so. */
function normed(build: GraphBuild, layer: DecoderLayer['qNorm'], y: Tensor, heads: number): Tensor {
  const { ctx, config } = build;
  const shaped = ctx.reshape(y, [config.headDim, heads, y.shape[1]]);
  return layer === null ? shaped : normForward(build, layer, shaped);
}

function rotated(build: GraphBuild, y: Tensor, inputs: AttentionInputs): Tensor {
  return build.ctx.rope(y, inputs.positions, build.weights.ropeFactors, ropeOptions(build));
}

/** Back through rotation and head norm: [heads·D, N] → [heads·D, N]. */
function headGradient(
  build: GraphBuild,
  dy: Tensor,
  {
    heads,
    layer,
    before,
    inputs,
  }: { heads: number; layer: DecoderLayer['qNorm']; before: Tensor; inputs: AttentionInputs },
): Tensor {
  const { ctx, config, weights } = build;
  const shape = [config.headDim, heads, dy.shape[1]];
  let d = ctx.ropeBack(
    ctx.reshape(dy, shape),
    inputs.positions,
    weights.ropeFactors,
    ropeOptions(build),
  );
  if (layer !== null) d = normBackward(build, layer, d, ctx.reshape(before, shape));
  return ctx.reshape(d, [config.headDim * heads, dy.shape[1]]);
}

/** Rotary options of a model, for {@link AttentionInputs.positions}. */
export function ropeOptions({
  config,
  weights,
}: Pick<GraphBuild, 'config' | 'weights'>): RopeOptions {
  return {
    dimensions: config.headDim,
    base: config.ropeTheta,
    attentionFactor: weights.ropeAttentionScaling,
  };
}

/** [D, heads, N] → a view [D, T, heads, B]. */
function byHead(
  { ctx, config }: GraphBuild,
  y: Tensor,
  heads: number,
  inputs: AttentionInputs,
): Tensor {
  const shaped = ctx.reshape(y, [config.headDim, heads, inputs.tokens, inputs.rows]);
  return ctx.permute(shaped, [0, 2, 1, 3]);
}

/** Blocks [D, Tq, heads, B] in query order → contiguous [D·heads, N]. */
function byToken(
  { ctx, config }: GraphBuild,
  blocks: readonly Tensor[],
  heads: number,
  inputs: AttentionInputs,
): Tensor {
  const joined = blocks
    .map((b) => ctx.permute(b, [0, 2, 1, 3]))
    .reduce((sum, b) => ctx.concat(sum, b, 2));
  const whole = blocks.length === 1 ? ctx.contiguous(joined) : joined;
  return ctx.reshape(whole, [config.headDim * heads, inputs.tokens * inputs.rows]);
}

/** A contiguous copy in the attention type. */
function compact({ ctx, attentionType }: GraphBuild, t: Tensor): Tensor {
  return attentionType === 'f32' ? ctx.contiguous(t) : ctx.cast(t, attentionType);
}

/** One pre-norm decoder layer: forward, and its backward beside it. */
import type { Tensor } from '@tuneyard/ggml';
import type { DecoderLayer, GraphBuild } from '../legend.js';
import {
  type AttentionForward,
  type AttentionInputs,
  attentionBackward,
  attentionForward,
} from './attention.js';
import { type MlpForward, mlpBackward, mlpForward } from './mlp.js';
import { normBackward, normForward } from './norm.js';

/** What the forward leaves for the backward. */
export interface DecoderForward {
  /** Layer input, [C, N]. */
  readonly h: Tensor;
  /** After attention, [C, N]. */
  readonly middle: Tensor;
  /** Layer output, [C, N]. */
  readonly y: Tensor;
  readonly attention: AttentionForward;
  readonly mlp: MlpForward;
}

/** y = m + mlp(norm(m)), m = h + attention(norm(h)). Shapes: h [C, N] → y [C, N]. */
export function decoderForward(
  build: GraphBuild,
  layer: DecoderLayer,
  h: Tensor,
  inputs: AttentionInputs,
): DecoderForward {
  const { ctx } = build;
  const attention = attentionForward(build, layer, normForward(build, layer.inputNorm, h), inputs);
  const middle = ctx.add(h, attention.y);
  const mlp = mlpForward(build, layer, normForward(build, layer.postAttentionNorm, middle));
  return { h, middle, y: ctx.add(middle, mlp.y), attention, mlp };
}

/**
 * Shapes: dy [C, N] → dh [C, N], or null when nothing below is trained. The normalised inputs of both
 * blocks are recomputed from h and m.
 */
export function decoderBackward(
  build: GraphBuild,
  layer: DecoderLayer,
  {
    forward,
    dy,
    inputs,
    needsInput,
  }: { forward: DecoderForward; dy: Tensor; inputs: AttentionInputs; needsInput: boolean },
): Tensor | null {
  const { ctx } = build;
  const mlpInput = normForward(build, layer.postAttentionNorm, forward.middle);
  const dMlpInput = mlpBackward(build, layer, { forward: forward.mlp, dy, x: mlpInput });
  const dMiddle = ctx.add(
    dy,
    normBackward(build, layer.postAttentionNorm, dMlpInput, forward.middle),
  );
  const attentionInput = normForward(build, layer.inputNorm, forward.h);
  const dAttentionInput = attentionBackward(build, layer, {
    forward: forward.attention,
    dy: dMiddle,
    x: attentionInput,
    inputs,
    needsInput,
  });
  if (dAttentionInput === null) return null;
  return ctx.add(dMiddle, normBackward(build, layer.inputNorm, dAttentionInput, forward.h));
}

/** Gated feed-forward block (SwiGLU; Shazeer, 2020): forward and backward. */
import { defined } from '@tuneyard/core';
import type { Tensor } from '@tuneyard/ggml';
import type { DecoderLayer, GraphBuild } from '../legend.js';
import { linearBackward, linearForward } from './linear.js';

/** What the forward leaves for the backward. */
export interface MlpForward {
  /** [C, N]. */
  readonly y: Tensor;
  /** [F, N]. */
  readonly gate: Tensor;
  /** [F, N]. */
  readonly up: Tensor;
  readonly zGate: Tensor | null;
  readonly zUp: Tensor | null;
  readonly zDown: Tensor | null;
}

/** y = Wd·(silu(Wg·x) ⊙ Wu·x). Shapes: x [C, N] → y [C, N]. */
export function mlpForward(build: GraphBuild, layer: DecoderLayer, x: Tensor): MlpForward {
  const gate = linearForward(build, layer.gate, x);
  const up = linearForward(build, layer.up, x);
  const down = linearForward(build, layer.down, build.ctx.swiglu(gate.y, up.y));
  return { y: down.y, gate: gate.y, up: up.y, zGate: gate.z, zUp: up.z, zDown: down.z };
}

/** Shapes: dy, x [C, N] → dx [C, N]. The product silu(gate)·up is recomputed. */
export function mlpBackward(
  build: GraphBuild,
  layer: DecoderLayer,
  { forward, dy, x }: { forward: MlpForward; dy: Tensor; x: Tensor },
): Tensor {
  const { ctx } = build;
  const { gate, up } = forward;
  const inner = defined(
    linearBackward(build, layer.down, {
      dy,
      x: ctx.swiglu(gate, up),
      z: forward.zDown,
      needsInput: true,
    }),
    'gradient of the feed-forward product',
  );
  const dGate = ctx.siluBack(ctx.mul(inner, up), gate);
  const dUp = ctx.mul(inner, ctx.silu(gate));
  const fromGate = linearBackward(build, layer.gate, {
    dy: dGate,
    x,
    z: forward.zGate,
    needsInput: true,
  });
  const fromUp = linearBackward(build, layer.up, { dy: dUp, x, z: forward.zUp, needsInput: true });
  return ctx.add(defined(fromGate, 'dx'), defined(fromUp, 'dx'));
}

/** RMS normalisation with a scale vector: forward and backward. */
import type { Tensor } from '@tuneyard/ggml';
import type { GraphBuild, NormLayer } from '../legend.js';
import { accumulate } from './linear.js';

/** y = x / rms(x) · g along the first axis. Shapes: x [n, …] → [n, …]. */
export function normForward({ ctx, config }: GraphBuild, layer: NormLayer, x: Tensor): Tensor {
  return ctx.mul(ctx.rmsNorm(x, config.rmsNormEps), layer.weight);
}

/**
 * dx of {@link normForward}; x / rms(x) is recomputed, which costs less than keeping it.
 *
 * Shapes: dy, x [n, …] → dx [n, …].
 */
export function normBackward(build: GraphBuild, layer: NormLayer, dy: Tensor, x: Tensor): Tensor {
  const { ctx, config } = build;
  if (layer.gradient !== null) {
    const unit = ctx.rmsNorm(x, config.rmsNormEps);
    accumulate(build, layer.gradient, ctx.repeatBack(ctx.mul(dy, unit), layer.weight));
  }
  return ctx.rmsNormBack(ctx.mul(dy, layer.weight), x, config.rmsNormEps);
}

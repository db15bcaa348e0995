/** The product by which the machine's speed is measured: the up projection of the benched model. */

/** Elements per axis, and how many products make one step. */
export const GEMM_SHAPE = { inputs: 768, outputs: 2048, columns: 512, repeats: 24 } as const;

/** Floating point operations of one step. */
export const GEMM_STEP_FLOPS =
  2 * GEMM_SHAPE.inputs * GEMM_SHAPE.outputs * GEMM_SHAPE.columns * GEMM_SHAPE.repeats;

/** Weight types that are measured. */
export const GEMM_TYPES = ['f32', 'bf16', 'q8_0', 'q4_K'] as const;
/** One of {@link GEMM_TYPES}. */
export type GemmType = (typeof GEMM_TYPES)[number];

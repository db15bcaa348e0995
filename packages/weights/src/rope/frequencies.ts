/**
 * Rotary frequencies of a model, as Hugging Face transformers computes them.
 *
 * Legend: D head dim. transformers works in f32; here everything is f64, which the f32 values approximate
 * to about 1e-7 relative. Not here: dynamic scaling and longrope, whose frequencies depend on the length.
 * Source: transformers `modeling_rope_utils.py`; YaRN: arXiv 2309.00071 section 3.
 */
import type { ModelConfig, RopeScaling } from '../config/model-config.js';

/** Frequencies and the factor on cos and sin. */
export interface RopeFrequencies {
  /** Radians per position for each of the D/2 pairs. */
  readonly inverseFrequencies: Float64Array;
  /** Multiplies cos and sin (YaRN); 1 elsewhere. */
  readonly attentionScaling: number;
}

/** The fields that frequencies depend on. */
export type RopeConfig = Pick<ModelConfig, 'headDim' | 'ropeTheta' | 'ropeScaling'>;

type Llama3 = Extract<RopeScaling, { type: 'llama3' }>;
type Yarn = Extract<RopeScaling, { type: 'yarn' }>;

/**
 * Computes the inverse frequencies of every rotary pair.
 *
 * Shapes: → [D/2]; pair i rotates by position × inverseFrequencies[i]. Pure.
 */
export function ropeFrequencies(config: RopeConfig): RopeFrequencies {
  const base = baseFrequencies(config);
  const scaling = config.ropeScaling;
  if (scaling === null) return { inverseFrequencies: base, attentionScaling: 1 };
  switch (scaling.type) {
    case 'linear':
      return { inverseFrequencies: base.map((f) => f / scaling.factor), attentionScaling: 1 };
    case 'llama3':
      return {
        inverseFrequencies: base.map((f) => f / llama3Divisor(f, scaling)),
        attentionScaling: 1,
      };
    case 'factors':
      return {
        inverseFrequencies: base.map((f, i) => f / (scaling.factors[i] ?? 1)),
        attentionScaling: 1,
      };
    case 'yarn':
      return {
        inverseFrequencies: yarnFrequencies(base, config, scaling),
        attentionScaling: yarnAttentionFactor(scaling),
      };
  }
}

/**
 * Computes the divisors of the unscaled frequencies for llama3 scaling; GGUF stores them as
 * `rope_freqs.weight`.
 */
export function llama3Factors(config: RopeConfig, scaling: Llama3): Float64Array {
  return baseFrequencies(config).map((f) => llama3Divisor(f, scaling));
}

/**
 * Finds the llama3 scaling that produced a GGUF file's divisors, or null when none does.
 *
 * Every published Llama 3.x uses low 1, high 4 and an original context of 8192, and the last divisor is
 * the factor itself; only that shape is tried. Checked against the f32 rounding of the stored divisors.
 */
export function recoverLlama3Scaling(
  config: RopeConfig,
  factors: readonly number[],
): Llama3 | null {
  const factor = factors.at(-1);
  if (factor === undefined || factors.length !== config.headDim / 2) return null;
  const candidate: Llama3 = {
    type: 'llama3',
    factor,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  };
  const expected = llama3Factors(config, candidate);
  const matches = factors.every((f, i) => Math.abs(f / (expected[i] ?? 0) - 1) < 1e-4);
  return matches ? candidate : null;
}

/** The factor on cos and sin that YaRN's formula gives when the configuration states none. */
export function yarnDefaultAttentionFactor(scaling: Yarn): number {
  const { factor, mscale, mscaleAllDim } = scaling;
  if (mscale !== null && mscaleAllDim !== null) {
    return yarnMscale(factor, mscale) / yarnMscale(factor, mscaleAllDim);
  }
  return yarnMscale(factor, 1);
}

function yarnAttentionFactor(scaling: Yarn): number {
  return scaling.attentionFactor ?? yarnDefaultAttentionFactor(scaling);
}

function yarnMscale(scale: number, weight: number): number {
  return scale <= 1 ? 1 : 0.1 * weight * Math.log(scale) + 1;
}

function baseFrequencies(config: RopeConfig): Float64Array {
  return Float64Array.from(
    { length: config.headDim / 2 },
    (_, i) => config.ropeTheta ** ((-2 * i) / config.headDim),
  );
}

function llama3Divisor(frequency: number, scaling: Llama3): number {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositionEmbeddings } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < originalMaxPositionEmbeddings / highFreqFactor) return 1;
  if (wavelength > originalMaxPositionEmbeddings / lowFreqFactor) return factor;
  const smooth =
    (originalMaxPositionEmbeddings / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
  return 1 / ((1 - smooth) / factor + smooth);
}

function yarnFrequencies(base: Float64Array, config: RopeConfig, scaling: Yarn): Float64Array {
  const { low, high } = yarnCorrectionRange(config, scaling);
  const width = high === low ? 0.001 : high - low;
  return base.map((frequency, i) => {
    const interpolated = Math.min(1, Math.max(0, (i - low) / width));
    return frequency * (interpolated / scaling.factor + (1 - interpolated));
  });
}

/** The pairs between which extrapolation fades into interpolation. */
function yarnCorrectionRange(config: RopeConfig, scaling: Yarn): { low: number; high: number } {
  const pairOfRotations = (rotations: number): number =>
    (config.headDim * Math.log(scaling.originalMaxPositionEmbeddings / (rotations * 2 * Math.PI))) /
    (2 * Math.log(config.ropeTheta));
  const low = pairOfRotations(scaling.betaFast);
  const high = pairOfRotations(scaling.betaSlow);
  return {
    low: Math.max(scaling.truncate ? Math.floor(low) : low, 0),
    // The bound is D - 1, not D/2 - 1, in every implementation; it only matters for tiny bases.
    high: Math.min(scaling.truncate ? Math.ceil(high) : high, config.headDim - 1),
  };
}

/**
 * The rotary fields of `config.json`, old style (`rope_theta`, `rope_scaling`) and new style
 * (`rope_parameters` with everything inside).
 *
 * Source: transformers `modeling_rope_utils.py` (4.57 and 5.x field names).
 */
import type { FieldReader } from './fields.js';
import type { RopeScaling } from './model-config.js';

/** Rotary types that `ropeFrequencies` computes. */
export const KNOWN_ROPE_TYPES: readonly string[] = ['default', 'linear', 'llama3', 'yarn'];

/** Base and scaling of the rotary embedding. */
export interface RopeFields {
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
}

/** What parsing needs to know of the rest of the configuration. */
export interface RopeContext {
  readonly defaultTheta: number;
  readonly maxPositionEmbeddings: number;
}

/**
 * Reads the rotary fields; `rope_parameters` wins over the old fields.
 *
 * Throws: `WEIGHTS_UNSUPPORTED_FEATURE` for other rotary types, partial rotation and parameters by layer
 * type; `WEIGHTS_CONFIG_FIELD` for bad numbers.
 */
export function parseRope(config: FieldReader, context: RopeContext): RopeFields {
  const parameters = config.object('rope_parameters');
  if (parameters?.has('full_attention') || parameters?.has('sliding_attention')) {
    throw config.unsupported('rope_parameters', 'differs by layer type, which is not computed');
  }
  const scaling = parameters ?? config.object('rope_scaling');
  for (const reader of [config, ...(scaling === null ? [] : [scaling])]) {
    if (reader.positiveOr('partial_rotary_factor', 1) !== 1) {
      throw reader.unsupported('partial_rotary_factor', 'is not 1; only full rotation is computed');
    }
  }
  const oldTheta = config.positiveOr('rope_theta', context.defaultTheta);
  return {
    ropeTheta: scaling?.positiveOr('rope_theta', oldTheta) ?? oldTheta,
    ropeScaling: scaling === null ? null : parseScaling(scaling, context),
  };
}

function parseScaling(scaling: FieldReader, context: RopeContext): RopeScaling | null {
  const key = scaling.has('rope_type') ? 'rope_type' : 'type';
  const type = scaling.text(key) ?? 'default';
  switch (type) {
    case 'default':
      return null;
    case 'linear':
      return { type, factor: scaling.positive('factor') };
    case 'llama3':
      return parseLlama3(scaling, context);
    case 'yarn':
      return parseYarn(scaling, context);
    default:
      throw scaling.unsupported(
        key,
        `is '${type}'; known rotary types: ${KNOWN_ROPE_TYPES.join(', ')}`,
      );
  }
}

function parseLlama3(scaling: FieldReader, context: RopeContext): RopeScaling {
  const lowFreqFactor = scaling.positive('low_freq_factor');
  const highFreqFactor = scaling.positive('high_freq_factor');
  if (highFreqFactor <= lowFreqFactor) {
    throw scaling.invalid('high_freq_factor', `above low_freq_factor (${lowFreqFactor})`);
  }
  return {
    type: 'llama3',
    factor: scaling.positive('factor'),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositionEmbeddings: scaling.sizeOr(
      'original_max_position_embeddings',
      context.maxPositionEmbeddings,
    ),
  };
}

function parseYarn(scaling: FieldReader, context: RopeContext): RopeScaling {
  const original = scaling.sizeOr(
    'original_max_position_embeddings',
    context.maxPositionEmbeddings,
  );
  return {
    type: 'yarn',
    // transformers 5 keeps a stated factor and falls back to the ratio of contexts; some 4.x releases
    // let the ratio win, which made the documented Qwen settings a no-op.
    factor: scaling.positiveOr('factor', context.maxPositionEmbeddings / original),
    originalMaxPositionEmbeddings: original,
    attentionFactor: scaling.positiveOr('attention_factor', null),
    betaFast: scaling.positiveOr('beta_fast', 32),
    betaSlow: scaling.positiveOr('beta_slow', 1),
    mscale: scaling.positiveOr('mscale', null),
    mscaleAllDim: scaling.positiveOr('mscale_all_dim', null),
    truncate: scaling.flag('truncate', true),
  };
}

/** Writes a scaling as `rope_scaling` holds it; null for none. `factors` has no such form. */
export function ropeScalingToHf(
  scaling: Exclude<RopeScaling, { type: 'factors' }>,
): Record<string, unknown> {
  switch (scaling.type) {
    case 'linear':
      return { rope_type: 'linear', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
      };
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        ...(scaling.attentionFactor === null ? {} : { attention_factor: scaling.attentionFactor }),
        ...(scaling.mscale === null ? {} : { mscale: scaling.mscale }),
        ...(scaling.mscaleAllDim === null ? {} : { mscale_all_dim: scaling.mscaleAllDim }),
        ...(scaling.truncate ? {} : { truncate: false }),
      };
  }
}

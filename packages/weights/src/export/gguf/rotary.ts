/**
 * Rotary embedding between `config.json` and GGUF, for every family: base, rotated part of a head, and the scalings
 * that llama.cpp knows (linear, yarn, divisors per frequency, two sets of divisors by context length).
 *
 * Source: llama.cpp `conversion/base.py`, `conversion/llama.py` and `conversion/phi.py` (`generate_extra_tensors`);
 * transformers `modeling_rope_utils.py`.
 */
import type { FieldReader } from '../../config/fields.js';
import type { LogicalModel } from '../../convert/logical-model.js';
import type { FamilyTable } from '../../families/family-table.js';
import { f32, type MetadataField, text, u32 } from './values.js';

/** What the configuration says of rotation. */
export interface RotaryFacts {
  readonly theta: number;
  /** Base of windowed layers where it is another (Gemma 3). */
  readonly slidingTheta: number | null;
  /** Elements of a head that are rotated. */
  readonly dims: number;
  readonly scaling: GgufRopeScaling | null;
}

/** Scalings that a GGUF file can state. */
export type GgufRopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly original: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Factor on cos and sin relative to YaRN's own formula. */
      readonly relativeAttention: number;
      /** DeepSeek: weight of the scale in the softmax. */
      readonly mscaleAllDim: number | null;
    }
  | { readonly type: 'divisors'; readonly divisors: readonly number[] }
  | {
      readonly type: 'longrope';
      readonly original: number;
      readonly attentionFactor: number;
      readonly long: readonly number[];
      readonly short: readonly number[];
    };

/** Reads the rotary fields. Throws: `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_UNSUPPORTED_FEATURE`. */
export function readRotary(
  fields: FieldReader,
  table: FamilyTable,
  model: LogicalModel,
): RotaryFacts {
  const grouped = fields.object('rope_parameters');
  const parameters =
    grouped?.object('full_attention') ?? grouped ?? fields.object('rope_scaling') ?? null;
  const { keys, absent } = table.numbers.ropeTheta;
  const key = keys.find((candidate) => fields.has(candidate));
  const old = key === undefined ? absent : fields.positive(key);
  const ratio = fields.positiveOr('rope_ratio', 1);
  const theta = parameters?.positiveOr('rope_theta', old) ?? old;
  const dims = rotatedDims({ fields, parameters, table, model });
  const scaling =
    parameters === null ? null : readScaling(parameters, { fields, table, theta, dims });
  return { theta: theta * ratio, slidingTheta: slidingTheta(fields, grouped), dims, scaling };
}

function slidingTheta(fields: FieldReader, grouped: FieldReader | null): number | null {
  const nested = grouped?.object('sliding_attention')?.positiveOr('rope_theta', null) ?? null;
  return nested ?? fields.positiveOr('rope_local_base_freq', null);
}

function rotatedDims(input: {
  readonly fields: FieldReader;
  readonly parameters: FieldReader | null;
  readonly table: FamilyTable;
  readonly model: LogicalModel;
}): number {
  const { fields, parameters, table, model } = input;
  const { latent, headDim } = model.sizes;
  if (latent !== undefined) return latent.rotaryHeadDim;
  const rule = table.computes.rotaryShare;
  const absent = typeof rule === 'number' ? rule : rule.absent;
  const own = typeof rule === 'number' ? absent : fields.positiveOr(rule.key, absent);
  const share = parameters?.positiveOr('partial_rotary_factor', own) ?? own;
  return Math.floor(headDim * share);
}

interface ScalingInput {
  readonly fields: FieldReader;
  readonly table: FamilyTable;
  readonly theta: number;
  readonly dims: number;
}

function readScaling(parameters: FieldReader, input: ScalingInput): GgufRopeScaling | null {
  const key = parameters.has('rope_type') ? 'rope_type' : 'type';
  const type = (parameters.text(key) ?? 'default').toLowerCase();
  switch (type) {
    case 'default':
    case 'none':
      return null;
    case 'linear':
      return { type, factor: parameters.positive('factor') };
    case 'yarn':
      return readYarn(parameters, input);
    case 'llama3':
      return { type: 'divisors', divisors: llama3Divisors(parameters, input) };
    case 'longrope':
    case 'su':
      return readLongrope(parameters, input);
    default:
      throw parameters.unsupported(
        key,
        `is '${type}'; GGUF states: default, linear, yarn, llama3, longrope`,
      );
  }
}

function contextOf({ fields, table }: ScalingInput): number {
  const { keys, absent } = table.numbers.maxPositions;
  const key = keys.find((candidate) => fields.has(candidate));
  return key === undefined ? absent : fields.size(key);
}

function readYarn(parameters: FieldReader, input: ScalingInput): GgufRopeScaling {
  if (!parameters.flag('truncate', true)) {
    throw parameters.unsupported('truncate', 'is false, for which GGUF has no key');
  }
  const context = contextOf(input);
  const original = parameters.sizeOr('original_max_position_embeddings', context);
  const factor = parameters.positiveOr('factor', context / original);
  const mscale = parameters.positiveOr('mscale', null);
  const mscaleAllDim = parameters.positiveOr('mscale_all_dim', null);
  const isLatent = input.table.latent !== null;
  const formula = magnitude(factor, 1);
  const own =
    mscale !== null && mscaleAllDim !== null
      ? magnitude(factor, mscale) / magnitude(factor, mscaleAllDim)
      : formula;
  const stated = parameters.positiveOr('attention_factor', own);
  return {
    type: 'yarn',
    factor,
    original,
    betaFast: parameters.positiveOr('beta_fast', 32),
    betaSlow: parameters.positiveOr('beta_slow', 1),
    // With latent attention llama.cpp works the factor out from the logarithm's weight alone.
    relativeAttention: isLatent ? 1 : stated / formula,
    mscaleAllDim: isLatent ? mscaleAllDim : null,
  };
}

function magnitude(scale: number, weight: number): number {
  return scale <= 1 ? 1 : 0.1 * weight * Math.log(scale) + 1;
}

function llama3Divisors(parameters: FieldReader, { theta, dims }: ScalingInput): number[] {
  const factor = parameters.positive('factor');
  const low = parameters.positive('low_freq_factor');
  const high = parameters.positive('high_freq_factor');
  if (high <= low) throw parameters.invalid('high_freq_factor', `above low_freq_factor (${low})`);
  const original = parameters.sizeOr('original_max_position_embeddings', 8192);
  return Array.from({ length: dims / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / dims);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
}

function readLongrope(parameters: FieldReader, input: ScalingInput): GgufRopeScaling {
  const context = contextOf(input);
  const { fields, dims } = input;
  const original =
    parameters.sizeOr('original_max_position_embeddings', null) ??
    fields.sizeOr('original_max_position_embeddings', context);
  const scale = context / original;
  const formula = scale > 1 ? Math.sqrt(1 + Math.log(scale) / Math.log(original)) : 1;
  return {
    type: 'longrope',
    original,
    attentionFactor: parameters.positiveOr('attention_factor', formula),
    long: divisorList(parameters, 'long_factor', dims / 2),
    short: divisorList(parameters, 'short_factor', dims / 2),
  };
}

function divisorList(parameters: FieldReader, key: string, length: number): readonly number[] {
  const value = parameters.raw[key];
  const isSound =
    Array.isArray(value) &&
    value.length === length &&
    value.every((item) => typeof item === 'number' && Number.isFinite(item) && item > 0);
  if (!isSound) throw parameters.invalid(key, `a list of ${length} numbers above 0`);
  return value as number[];
}

/** The fields of a file; divisors go into tensors (see {@link rotaryTensors}). */
export function rotaryFields(
  rotary: RotaryFacts,
  context: { readonly architecture: string; readonly contextLength: number },
): MetadataField[] {
  const { scaling, theta, dims } = rotary;
  const phi3Original = scaling?.type === 'longrope' ? scaling.original : context.contextLength;
  return [
    ['rope.dimension_count', u32(dims)],
    ['rope.freq_base', f32(theta)],
    ...(context.architecture === 'phi3'
      ? ([['rope.scaling.original_context_length', u32(phi3Original)]] as const)
      : []),
    ...scalingFields(scaling),
  ];
}

function scalingFields(scaling: GgufRopeScaling | null): MetadataField[] {
  switch (scaling?.type) {
    case 'linear':
      return [
        ['rope.scaling.type', text('linear')],
        ['rope.scaling.factor', f32(scaling.factor)],
      ];
    case 'yarn':
      return [
        ['rope.scaling.type', text('yarn')],
        ['rope.scaling.factor', f32(scaling.factor)],
        ['rope.scaling.original_context_length', u32(scaling.original)],
        ['rope.scaling.yarn_beta_fast', f32(scaling.betaFast)],
        ['rope.scaling.yarn_beta_slow', f32(scaling.betaSlow)],
        ...(scaling.relativeAttention === 1
          ? []
          : ([['rope.scaling.attn_factor', f32(scaling.relativeAttention)]] as const)),
        ...(scaling.mscaleAllDim === null
          ? []
          : ([['rope.scaling.yarn_log_multiplier', f32(0.1 * scaling.mscaleAllDim)]] as const)),
      ];
    case 'longrope':
      return [['rope.scaling.attn_factor', f32(scaling.attentionFactor)]];
    default:
      return [];
  }
}

/** Tensors of divisors, by name. */
export function rotaryTensors(
  scaling: GgufRopeScaling | null,
): readonly { readonly name: string; readonly values: Float32Array }[] {
  if (scaling?.type === 'divisors') {
    return [{ name: 'rope_freqs.weight', values: Float32Array.from(scaling.divisors) }];
  }
  if (scaling?.type !== 'longrope') return [];
  return [
    { name: 'rope_factors_long.weight', values: Float32Array.from(scaling.long) },
    { name: 'rope_factors_short.weight', values: Float32Array.from(scaling.short) },
  ];
}

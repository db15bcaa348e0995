/**
 * Plans a GGUF file: which tensor under which name, in which type and row order.
 *
 * Source: llama.cpp `convert_hf_to_gguf.py` (names, norms and biases in f32, row order) and
 * `llama-quant.cpp` (fallback when a row does not divide into blocks).
 */
import { GGML_TYPES, type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import type { ModelConfig } from '../config/model-config.js';
import { type MappedParameter, mappedParameters } from '../config/parameter-table.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { familyOf } from '../families/known-families.js';

/** Types that a GGUF export may ask for, with the file type code that llama.cpp gives them. */
export const GGUF_EXPORT_TYPES = {
  f32: 0,
  f16: 1,
  q4_0: 2,
  q4_1: 3,
  q8_0: 7,
  q5_0: 8,
  q5_1: 9,
  q2_K: 10,
  q3_K: 11,
  q4_K: 14,
  q5_K: 16,
  q6_K: 18,
  bf16: 32,
} as const satisfies { readonly [T in GgmlTypeName]?: number };

/** A type that a GGUF export may ask for. */
export type GgufExportType = keyof typeof GGUF_EXPORT_TYPES;

/** One tensor of the planned file. */
export interface PlannedTensor {
  readonly parameter: MappedParameter;
  readonly type: GgmlTypeName;
}

/** A matrix that could not have the asked type. */
export interface TypeFallback {
  /** GGUF tensor name. */
  readonly tensor: string;
  readonly rowElements: number;
  readonly asked: GgmlTypeName;
  readonly used: GgmlTypeName;
}

/** The tensors of the planned file and what differs from what was asked. */
export interface GgufPlan {
  readonly tensors: readonly PlannedTensor[];
  readonly fallbacks: readonly TypeFallback[];
}

/** Decides the type of every tensor. Throws: `WEIGHTS_EXPORT_UNSUPPORTED`. */
export function planGguf(config: ModelConfig, type: GgufExportType): GgufPlan {
  refuseInexpressible(config);
  const fallbacks: TypeFallback[] = [];
  const tensors = mappedParameters(config).map((parameter): PlannedTensor => {
    if (parameter.shape.length === 1) return { parameter, type: 'f32' };
    const rowElements = parameter.shape.at(-1) ?? 1;
    const used = typeForRow(type, rowElements);
    if (used !== type) {
      fallbacks.push({ tensor: parameter.ggufName, rowElements, asked: type, used });
    }
    return { parameter, type: used };
  });
  return { tensors, fallbacks };
}

/**
 * The asked type if rows divide into its blocks, else q8_0, else f16. llama.cpp walks through more steps
 * (q4_K → q5_0); q8_0 is the one that loses nothing against the asked type and that every back end multiplies.
 */
function typeForRow(type: GgufExportType, rowElements: number): GgmlTypeName {
  if (rowElements % GGML_TYPES[type].blockElements === 0) return type;
  return rowElements % GGML_TYPES.q8_0.blockElements === 0 ? 'q8_0' : 'f16';
}

function refuseInexpressible(config: ModelConfig): void {
  const family = familyOf(config.family);
  const hasOptionalBias =
    config.attentionOutputBias ||
    config.mlpBias ||
    (config.attentionQkvBias && family.biases.qkv !== 'always');
  if (hasOptionalBias && !family.ggufOptionalBiases) {
    throw inexpressible(config, 'has biases that llama.cpp does not add for this architecture');
  }
  const scaling = config.ropeScaling;
  const hasFactors = scaling?.type === 'llama3' || scaling?.type === 'factors';
  if (hasFactors && family.ggufArchitecture !== 'llama') {
    throw inexpressible(config, 'uses llama3 rope scaling, which GGUF keeps for llama only');
  }
  if (scaling?.type === 'yarn' && !scaling.truncate) {
    throw inexpressible(config, 'uses YaRN without truncation, for which GGUF has no key');
  }
}

function inexpressible(config: ModelConfig, what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_EXPORT_UNSUPPORTED,
    `The ${config.architecture} model ${what}`,
    { details: { architecture: config.architecture } },
  );
}

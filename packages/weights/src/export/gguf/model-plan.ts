/**
 * Plans the GGUF file of a model that is open for training: which tensor under which name, in which type and row order.
 *
 * Source: llama.cpp `convert_hf_to_gguf.py` (names, row order).
 */
import { type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import type { ModelConfig } from '../../config/model-config.js';
import { type MappedParameter, mappedParameters } from '../../config/parameter-table.js';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { familyOf } from '../../families/known-families.js';
import {
  chooseType,
  type GgufExportType,
  requireExportType,
  type TypeFallback,
} from './element-types.js';

/** One tensor of the planned file. */
export interface PlannedTensor {
  readonly parameter: MappedParameter;
  readonly type: GgmlTypeName;
}

/** The tensors of the planned file and what differs from what was asked. */
export interface GgufPlan {
  readonly tensors: readonly PlannedTensor[];
  readonly fallbacks: readonly TypeFallback[];
}

/** Decides the type of every tensor. Throws: `WEIGHTS_EXPORT_UNSUPPORTED`. */
export function planGguf(config: ModelConfig, type: GgufExportType): GgufPlan {
  requireExportType(type);
  refuseInexpressible(config);
  const fallbacks: TypeFallback[] = [];
  const tensors = mappedParameters(config).map((parameter): PlannedTensor => {
    const { ggufName: name, shape } = parameter;
    const { used, fallback } = chooseType(type, { name, shape });
    if (fallback !== null) fallbacks.push(fallback);
    return { parameter, type: used };
  });
  return { tensors, fallbacks };
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

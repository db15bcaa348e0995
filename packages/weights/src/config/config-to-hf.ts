/** {@link ModelConfig} → the object of a `config.json` that transformers, and `parseModelConfig`, read. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { familyOf } from '../families/known-families.js';
import { recoverLlama3Scaling } from '../rope/frequencies.js';
import type { ModelConfig, RopeScaling } from './model-config.js';
import { ropeScalingToHf } from './rope-scaling.js';

const TORCH_NAMES: { readonly [D in ModelConfig['torchDtype']]: string } = {
  f32: 'float32',
  f16: 'float16',
  bf16: 'bfloat16',
};

/**
 * Writes a configuration with its element type; every other key is carried from `raw` untouched.
 *
 * Throws: `WEIGHTS_EXPORT_UNSUPPORTED` for what only GGUF can state: rotary factors that match no llama3
 * scaling, biases on only some attention projections.
 */
export function modelConfigToHf(config: ModelConfig): Record<string, unknown> {
  if (config.ropeScaling?.type === 'factors' && expressible(config) === null) {
    throw inexpressible('rotary factors (rope_freqs.weight) that match no llama3 scaling');
  }
  const hasOneFlag = familyOf(config.family).biases.output === 'config';
  if (hasOneFlag && config.attentionQkvBias !== config.attentionOutputBias) {
    throw inexpressible('biases on only some attention projections');
  }
  const key = config.raw['dtype'] === undefined ? 'torch_dtype' : 'dtype';
  return { ...config.raw, [key]: TORCH_NAMES[config.torchDtype] };
}

/** Makes a `config.json` object from nothing but the parsed fields. */
export function synthesizeHfConfig(config: Omit<ModelConfig, 'raw'>): Record<string, unknown> {
  const family = familyOf(config.family);
  const scaling = expressible(config);
  const eos = config.eosTokenIds;
  return {
    architectures: [config.architecture],
    ...(family.biases.qkv === 'config' ? { attention_bias: config.attentionQkvBias } : {}),
    bos_token_id: config.bosTokenId,
    eos_token_id: eos.length > 1 ? [...eos] : (eos[0] ?? null),
    head_dim: config.headDim,
    hidden_act: 'silu',
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    max_position_embeddings: config.maxPositionEmbeddings,
    ...(family.biases.mlp === 'config' ? { mlp_bias: config.mlpBias } : {}),
    model_type: family.modelType,
    num_attention_heads: config.numAttentionHeads,
    num_hidden_layers: config.numHiddenLayers,
    num_key_value_heads: config.numKeyValueHeads,
    pad_token_id: config.padTokenId,
    rms_norm_eps: config.rmsNormEps,
    rope_scaling: scaling === null ? null : ropeScalingToHf(scaling),
    rope_theta: config.ropeTheta,
    ...windowFields(config),
    tie_word_embeddings: config.tieWordEmbeddings,
    torch_dtype: TORCH_NAMES[config.torchDtype],
    vocab_size: config.vocabSize,
  };
}

function inexpressible(what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_EXPORT_UNSUPPORTED,
    `The model has ${what}, which config.json cannot state`,
    { hint: 'Export to GGUF instead, which keeps them as they are.' },
  );
}

function windowFields(config: Omit<ModelConfig, 'raw'>): Record<string, unknown> {
  switch (familyOf(config.family).slidingWindow) {
    case 'never':
      return {};
    case 'always':
      return { sliding_window: config.slidingWindow };
    case 'switched':
      return config.slidingWindow === null
        ? { use_sliding_window: false }
        : {
            max_window_layers: 0,
            sliding_window: config.slidingWindow,
            use_sliding_window: true,
          };
  }
}

function expressible(
  config: Omit<ModelConfig, 'raw'>,
): Exclude<RopeScaling, { type: 'factors' }> | null {
  const scaling = config.ropeScaling;
  if (scaling === null) return null;
  return scaling.type === 'factors' ? recoverLlama3Scaling(config, scaling.factors) : scaling;
}

import { ATTENTION, GATED_MLP, LAYER_NORMS } from './decoder-modules.js';
import type { Family } from './family.js';

/**
 * Mistral: Llama without biases, with an optional sliding window.
 *
 * Source: transformers `configuration_mistral.py` and `modeling_mistral.py`.
 */
export const MISTRAL: Family = {
  name: 'mistral',
  architecture: 'MistralForCausalLM',
  modelType: 'mistral',
  ggufArchitecture: 'llama',
  ggufInterleavesRotary: true,
  ggufOptionalBiases: true,
  qkNorm: false,
  slidingWindow: 'always',
  biases: { qkv: 'never', output: 'never', mlp: 'never' },
  defaults: {
    numKeyValueHeads: 8,
    headDim: null,
    maxPositionEmbeddings: 131_072,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    slidingWindow: 4096,
    bosTokenId: 1,
    eosTokenId: 2,
  },
  layer: [...ATTENTION, ...GATED_MLP, ...LAYER_NORMS],
};

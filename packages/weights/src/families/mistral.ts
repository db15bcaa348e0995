import { ATTENTION, GATED_MLP, LAYER_NORMS } from './decoder-modules.js';
import type { Family } from './family.js';
import type { FamilyTable } from './family-table.js';
import { LLAMA_NUMBERS, LLAMA_SIZES, LLAMA_TYPE } from './table-parts.js';

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

/** Files of Mistral. Source: transformers `modeling_mistral.py`. */
export const MISTRAL_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'mistral',
  architectures: ['MistralForCausalLM'],
  modelTypes: ['mistral'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_key_value_heads'], absent: 8 } },
  numbers: {
    ...LLAMA_NUMBERS,
    maxPositions: { keys: ['max_position_embeddings'], absent: 131_072 },
  },
  gguf: { architecture: 'llama', permutesRotary: true },
};

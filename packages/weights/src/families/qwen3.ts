import { ATTENTION, GATED_MLP, HEAD_NORMS, LAYER_NORMS } from './decoder-modules.js';
import type { Family } from './family.js';
import type { FamilyTable } from './family-table.js';
import { LLAMA_NUMBERS, LLAMA_SIZES, LLAMA_TYPE } from './table-parts.js';

/**
 * Qwen 3 (dense): norms over query and key heads, an own head dim.
 *
 * Source: transformers `configuration_qwen3.py` and `modeling_qwen3.py`.
 */
export const QWEN3: Family = {
  name: 'qwen3',
  architecture: 'Qwen3ForCausalLM',
  modelType: 'qwen3',
  ggufArchitecture: 'qwen3',
  ggufInterleavesRotary: false,
  ggufOptionalBiases: false,
  qkNorm: true,
  slidingWindow: 'switched',
  biases: { qkv: 'config', output: 'config', mlp: 'never' },
  defaults: {
    numKeyValueHeads: 32,
    headDim: 128,
    maxPositionEmbeddings: 32_768,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    slidingWindow: 4096,
    bosTokenId: null,
    eosTokenId: null,
  },
  layer: [...ATTENTION, ...HEAD_NORMS, ...GATED_MLP, ...LAYER_NORMS],
};

/** Files of Qwen 3 (dense). Source: transformers `modeling_qwen3.py`. */
export const QWEN3_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],
  modelTypes: ['qwen3'],
  sizes: {
    ...LLAMA_SIZES,
    groups: { keys: ['num_key_value_heads'], absent: 32 },
    headDim: { keys: ['head_dim'], absent: 128 },
  },
  numbers: {
    ...LLAMA_NUMBERS,
    maxPositions: { keys: ['max_position_embeddings'], absent: 32_768 },
  },
  biases: {
    qkv: { keys: ['attention_bias'], absent: false },
    output: { keys: ['attention_bias'], absent: false },
    mlp: false,
  },
  qkNorm: true,
  gguf: { architecture: 'qwen3', permutesRotary: false },
};

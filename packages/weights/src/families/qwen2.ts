import { ATTENTION, GATED_MLP, LAYER_NORMS } from './decoder-modules.js';
import type { Family } from './family.js';
import type { FamilyTable } from './family-table.js';
import { LLAMA_NUMBERS, LLAMA_SIZES, LLAMA_TYPE } from './table-parts.js';

/**
 * Qwen 1.5, 2 and 2.5: Llama with biases on q, k and v.
 *
 * Source: transformers `configuration_qwen2.py` and `modeling_qwen2.py`.
 */
export const QWEN2: Family = {
  name: 'qwen2',
  architecture: 'Qwen2ForCausalLM',
  modelType: 'qwen2',
  ggufArchitecture: 'qwen2',
  ggufInterleavesRotary: false,
  ggufOptionalBiases: false,
  qkNorm: false,
  slidingWindow: 'switched',
  biases: { qkv: 'always', output: 'never', mlp: 'never' },
  defaults: {
    numKeyValueHeads: 32,
    headDim: null,
    maxPositionEmbeddings: 32_768,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    slidingWindow: 4096,
    bosTokenId: null,
    eosTokenId: null,
  },
  layer: [...ATTENTION, ...GATED_MLP, ...LAYER_NORMS],
};

/** Files of Qwen 1.5, 2 and 2.5. Source: transformers `modeling_qwen2.py`. */
export const QWEN2_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  modelTypes: ['qwen2'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_key_value_heads'], absent: 32 } },
  numbers: {
    ...LLAMA_NUMBERS,
    maxPositions: { keys: ['max_position_embeddings'], absent: 32_768 },
  },
  biases: { qkv: true, output: false, mlp: false },
  gguf: { architecture: 'qwen2', permutesRotary: false },
};

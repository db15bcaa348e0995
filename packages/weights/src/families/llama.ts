import { ATTENTION, GATED_MLP, LAYER_NORMS } from './decoder-modules.js';
import type { Family } from './family.js';
import type { FamilyTable } from './family-table.js';
import { LLAMA_ATTENTION, LLAMA_MLP, LLAMA_TYPE, llamaModel } from './table-parts.js';

/**
 * Llama 2 and 3.x and models of the same shape, such as SmolLM2.
 *
 * Source: transformers `configuration_llama.py` and `modeling_llama.py`.
 */
export const LLAMA: Family = {
  name: 'llama',
  architecture: 'LlamaForCausalLM',
  modelType: 'llama',
  ggufArchitecture: 'llama',
  ggufInterleavesRotary: true,
  ggufOptionalBiases: true,
  qkNorm: false,
  slidingWindow: 'never',
  biases: { qkv: 'config', output: 'config', mlp: 'config' },
  defaults: {
    numKeyValueHeads: null,
    headDim: null,
    maxPositionEmbeddings: 2048,
    rmsNormEps: 1e-6,
    ropeTheta: 10_000,
    slidingWindow: null,
    bosTokenId: 1,
    eosTokenId: 2,
  },
  layer: [...ATTENTION, ...GATED_MLP, ...LAYER_NORMS],
};

/**
 * Files of Llama 1, 2, 3.x, Yi and whatever else calls itself a Llama.
 *
 * Source: transformers `modeling_llama.py`; llama.cpp `convert_hf_to_gguf.py` (LlamaModel).
 */
export const LLAMA_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'llama',
  architectures: ['LlamaForCausalLM', 'LLaMAForCausalLM'],
  modelTypes: ['llama'],
  biases: {
    qkv: { keys: ['attention_bias'], absent: false },
    output: { keys: ['attention_bias'], absent: false },
    mlp: { keys: ['mlp_bias'], absent: false },
  },
  gguf: { architecture: 'llama', permutesRotary: true },
};

const LAYER = 'model.layers.{layer}.';

/**
 * Files of Yi's first release, before it took the names of Llama: the norms are called ln1 and ln2.
 *
 * Source: `modeling_yi.py` of 01-ai/Yi-34B, November 2023.
 */
export const YI_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'yi',
  architectures: ['YiForCausalLM'],
  modelTypes: ['Yi'],
  stored: llamaModel(LLAMA_ATTENTION, LLAMA_MLP, [
    { name: `${LAYER}ln1.{part}`, roles: ['input_norm'] },
    { name: `${LAYER}ln2.{part}`, roles: ['mlp_norm'] },
  ]),
  gguf: { architecture: 'llama', permutesRotary: true },
};

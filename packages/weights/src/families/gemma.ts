import type { FamilyTable } from './family-table.js';
import { LLAMA_ATTENTION, LLAMA_MLP, LLAMA_SIZES, LLAMA_TYPE, llamaModel } from './table-parts.js';

const LAYER = 'model.layers.{layer}.';
const ATTENTION_BIAS = { keys: ['attention_bias'], absent: false } as const;

/** Gemma: Llama with a gated GELU, norms that multiply by 1 + weight, and tied embeddings. Source: `modeling_gemma.py`. */
export const GEMMA_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'gemma',
  architectures: ['GemmaForCausalLM'],
  modelTypes: ['gemma'],
  sizes: {
    ...LLAMA_SIZES,
    groups: { keys: ['num_key_value_heads'], absent: 16 },
    headDim: { keys: ['head_dim'], absent: 256 },
  },
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-6 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 8192 },
  },
  biases: { qkv: ATTENTION_BIAS, output: ATTENTION_BIAS, mlp: false },
  tied: { keys: ['tie_word_embeddings'], absent: true },
  computes: { activation: 'gelu_tanh', normPlusOne: true, rotary: 'half', rotaryShare: 1 },
  gguf: { architecture: 'gemma', permutesRotary: false, normOffset: 1 },
};

/** Gemma 2: norms also after attention and MLP, under names that mean something else in Llama. */
export const GEMMA2_TABLE: FamilyTable = {
  ...GEMMA_TABLE,
  name: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],
  modelTypes: ['gemma2'],
  sizes: { ...GEMMA_TABLE.sizes, groups: { keys: ['num_key_value_heads'], absent: 4 } },
  norms: 'sandwich',
  stored: llamaModel(LLAMA_ATTENTION, LLAMA_MLP, [
    { name: `${LAYER}input_layernorm.{part}`, roles: ['input_norm'] },
    { name: `${LAYER}post_attention_layernorm.{part}`, roles: ['post_attention_norm'] },
    { name: `${LAYER}pre_feedforward_layernorm.{part}`, roles: ['mlp_norm'] },
    { name: `${LAYER}post_feedforward_layernorm.{part}`, roles: ['post_mlp_norm'] },
  ]),
  gguf: { architecture: 'gemma2', permutesRotary: false, normOffset: 1 },
};

/** Gemma 3, text only: Gemma 2 with norms over query and key heads. */
export const GEMMA3_TABLE: FamilyTable = {
  ...GEMMA2_TABLE,
  name: 'gemma3',
  architectures: ['Gemma3ForCausalLM'],
  modelTypes: ['gemma3_text'],
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-6 },
    ropeTheta: { keys: ['rope_theta'], absent: 1_000_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 131_072 },
  },
  qkNorm: true,
  gguf: { architecture: 'gemma3', permutesRotary: false, normOffset: 1 },
};

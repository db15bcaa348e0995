import type { FamilyTable } from './family-table.js';
import {
  FUSED_EXPERTS,
  GATE_UP_MLP,
  LLAMA_ATTENTION,
  LLAMA_MLP,
  LLAMA_NORMS,
  LLAMA_SIZES,
  LLAMA_TYPE,
  llamaModel,
  ROUTER_BIAS,
  SPLIT_EXPERTS,
  sharedExpert,
} from './table-parts.js';

const LAYER = 'model.layers.{layer}.';

/**
 * GLM-4 in the form that transformers itself reads (`glm-4-9b-chat-hf`).
 *
 * Source: transformers `modeling_glm.py`.
 */
export const GLM_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'glm',
  architectures: ['GlmForCausalLM'],
  modelTypes: ['glm'],
  sizes: {
    ...LLAMA_SIZES,
    groups: { keys: ['num_key_value_heads'], absent: 2 },
    headDim: { keys: ['head_dim'], absent: 128 },
  },
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1.5625e-7 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 131_072 },
  },
  biases: { qkv: { keys: ['attention_bias'], absent: true }, output: false, mlp: false },
  stored: llamaModel(LLAMA_ATTENTION, GATE_UP_MLP, LLAMA_NORMS),
  computes: {
    activation: 'silu',
    normPlusOne: false,
    rotary: 'neighbours',
    rotaryShare: { key: 'partial_rotary_factor', absent: 0.5 },
  },
  gguf: {
    architecture: 'chatglm',
    permutesRotary: false,
    packed: [{ name: 'ffn_up', roles: ['gate', 'up'] }],
  },
};

/** GLM-4-0414: norms also after attention and MLP. Source: transformers `modeling_glm4.py`. */
export const GLM4_TABLE: FamilyTable = {
  ...GLM_TABLE,
  name: 'glm4',
  architectures: ['Glm4ForCausalLM'],
  modelTypes: ['glm4'],
  norms: 'sandwich',
  stored: llamaModel(LLAMA_ATTENTION, GATE_UP_MLP, LLAMA_NORMS, [
    { name: `${LAYER}post_self_attn_layernorm.{part}`, roles: ['post_attention_norm'] },
    { name: `${LAYER}post_mlp_layernorm.{part}`, roles: ['post_mlp_norm'] },
  ]),
  gguf: {
    architecture: 'glm4',
    permutesRotary: false,
    packed: [{ name: 'ffn_up', roles: ['gate', 'up'] }],
  },
};

/** GLM-4.5: experts chosen as in DeepSeek-V3, after dense first layers. Source: `modeling_glm4_moe.py`. */
export const GLM_MOE_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'glm4-moe',
  architectures: ['Glm4MoeForCausalLM'],
  modelTypes: ['glm4_moe'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_key_value_heads'], absent: 8 } },
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-5 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 131_072 },
  },
  experts: {
    count: { keys: ['n_routed_experts'], absent: 128 },
    ffn: { keys: ['moe_intermediate_size'], absent: 1408 },
    perToken: { keys: ['num_experts_per_tok'], absent: 8 },
    shared: { countKey: 'n_shared_experts', absent: 1 },
    sharedRouter: false,
    routerBias: true,
    dense: {
      firstKey: 'first_k_dense_replace',
      firstAbsent: 1,
      stepKey: null,
      stepFrom: 0,
      listKey: null,
    },
  },
  biases: { qkv: { keys: ['attention_bias'], absent: false }, output: false, mlp: false },
  qkNorm: { keys: ['use_qk_norm'], absent: false },
  stored: llamaModel(
    LLAMA_ATTENTION,
    LLAMA_MLP,
    SPLIT_EXPERTS,
    [ROUTER_BIAS],
    sharedExpert('shared_experts'),
    LLAMA_NORMS,
  ),
  fused: llamaModel(
    LLAMA_ATTENTION,
    LLAMA_MLP,
    FUSED_EXPERTS,
    [ROUTER_BIAS],
    sharedExpert('shared_experts'),
    LLAMA_NORMS,
  ),
  extraLayersKey: 'num_nextn_predict_layers',
  computes: {
    activation: 'silu',
    normPlusOne: false,
    rotary: 'half',
    rotaryShare: { key: 'partial_rotary_factor', absent: 0.5 },
  },
  gguf: {
    architecture: 'glm4moe',
    permutesRotary: false,
    names: { mlp_norm: 'post_attention_norm' },
  },
};

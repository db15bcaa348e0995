import type { FamilyTable } from './family-table.js';
import {
  FUSED_EXPERTS,
  LLAMA_MLP,
  LLAMA_NORMS,
  LLAMA_SIZES,
  LLAMA_TYPE,
  llamaModel,
  ROUTER_BIAS,
  SPLIT_EXPERTS,
  sharedExpert,
} from './table-parts.js';

const LAYER = 'model.layers.{layer}.self_attn.';

const LATENT_ATTENTION = [
  { name: `${LAYER}q_proj.{part}`, roles: ['q'] },
  { name: `${LAYER}q_a_proj.{part}`, roles: ['q_a'] },
  { name: `${LAYER}q_a_layernorm.{part}`, roles: ['q_a_norm'] },
  { name: `${LAYER}q_b_proj.{part}`, roles: ['q_b'] },
  { name: `${LAYER}kv_a_proj_with_mqa.{part}`, roles: ['kv_a'] },
  { name: `${LAYER}kv_a_layernorm.{part}`, roles: ['kv_a_norm'] },
  { name: `${LAYER}kv_b_proj.{part}`, roles: ['kv_b'] },
  { name: `${LAYER}o_proj.{part}`, roles: ['o'] },
] as const;

const ATTENTION_BIAS = { keys: ['attention_bias'], absent: false } as const;
const SHARED = sharedExpert('shared_experts');

/**
 * DeepSeek-V2 and V2-Lite: latent attention, dense first layers, routed and shared experts.
 *
 * Source: transformers `modeling_deepseek_v2.py`; `modeling_deepseek.py` of deepseek-ai/DeepSeek-V2-Lite.
 */
export const DEEPSEEK2_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'deepseek2',
  architectures: ['DeepseekV2ForCausalLM'],
  modelTypes: ['deepseek_v2'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_attention_heads'] } },
  latent: {
    queryRank: { key: 'q_lora_rank', absent: 1536 },
    keyValueRank: { keys: ['kv_lora_rank'], absent: 512 },
    plainHeadDim: { keys: ['qk_nope_head_dim'], absent: 128 },
    rotaryHeadDim: { keys: ['qk_rope_head_dim'], absent: 64 },
    valueHeadDim: { keys: ['v_head_dim'], absent: 128 },
  },
  experts: {
    count: { keys: ['n_routed_experts'], absent: 64 },
    ffn: { keys: ['moe_intermediate_size'], absent: 1407 },
    perToken: { keys: ['num_experts_per_tok'] },
    shared: { countKey: 'n_shared_experts', absent: 2 },
    sharedRouter: false,
    routerBias: false,
    dense: {
      firstKey: 'first_k_dense_replace',
      firstAbsent: 0,
      stepKey: 'moe_layer_freq',
      stepFrom: 0,
      listKey: null,
    },
  },
  biases: { qkv: ATTENTION_BIAS, output: ATTENTION_BIAS, mlp: false },
  stored: llamaModel(LATENT_ATTENTION, LLAMA_MLP, SPLIT_EXPERTS, SHARED, LLAMA_NORMS),
  fused: llamaModel(LATENT_ATTENTION, LLAMA_MLP, FUSED_EXPERTS, SHARED, LLAMA_NORMS),
  computes: { activation: 'silu', normPlusOne: false, rotary: 'neighbours', rotaryShare: 1 },
  gguf: { architecture: 'deepseek2', permutesRotary: false },
};

/**
 * DeepSeek-V3, R1 and models of the same shape: a bias steers the router; layers that predict further tokens follow
 * the last layer and are left out.
 *
 * Source: transformers `modeling_deepseek_v3.py`.
 */
export const DEEPSEEK3_TABLE: FamilyTable = {
  ...DEEPSEEK2_TABLE,
  name: 'deepseek3',
  architectures: ['DeepseekV3ForCausalLM'],
  modelTypes: ['deepseek_v3'],
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-6 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 4096 },
  },
  experts: {
    count: { keys: ['n_routed_experts'], absent: 256 },
    ffn: { keys: ['moe_intermediate_size'], absent: 2048 },
    perToken: { keys: ['num_experts_per_tok'], absent: 8 },
    shared: { countKey: 'n_shared_experts', absent: 1 },
    sharedRouter: false,
    routerBias: true,
    dense: {
      firstKey: 'first_k_dense_replace',
      firstAbsent: 3,
      stepKey: 'moe_layer_freq',
      stepFrom: 0,
      listKey: null,
    },
  },
  stored: llamaModel(
    LATENT_ATTENTION,
    LLAMA_MLP,
    SPLIT_EXPERTS,
    [ROUTER_BIAS],
    SHARED,
    LLAMA_NORMS,
  ),
  fused: llamaModel(LATENT_ATTENTION, LLAMA_MLP, FUSED_EXPERTS, [ROUTER_BIAS], SHARED, LLAMA_NORMS),
  extraLayersKey: 'num_nextn_predict_layers',
};

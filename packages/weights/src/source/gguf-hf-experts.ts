/** GGUF metadata → keys of `config.json` for mixtures of experts. */
import type { GgufModelFacts, RawConfig } from './gguf-hf-fields.js';

/** What a family with experts states beside the common keys. */
export function expertFamilies(facts: GgufModelFacts): RawConfig {
  switch (facts.architecture) {
    case 'llama':
      return mixtral(facts);
    case 'qwen2moe':
    case 'qwen3moe':
      return qwenMoe(facts);
    case 'glm4moe':
      return glm4Moe(facts);
    default:
      return deepseek(facts);
  }
}

function mixtral({ fields, key, headDim }: GgufModelFacts): RawConfig {
  return {
    architectures: ['MixtralForCausalLM'],
    model_type: 'mixtral',
    head_dim: headDim,
    num_local_experts: fields.size(key('expert_count')),
    num_experts_per_tok: fields.size(key('expert_used_count')),
    sliding_window: fields.sizeOr(key('attention.sliding_window'), null),
  };
}

function qwenMoe({ fields, key, headDim, architecture }: GgufModelFacts): RawConfig {
  const isQwen3 = architecture === 'qwen3moe';
  const ffn = fields.size(key('feed_forward_length'));
  const used = fields.size(key('expert_used_count'));
  const shared = fields.sizeOr(key('expert_shared_feed_forward_length'), ffn);
  return {
    architectures: [isQwen3 ? 'Qwen3MoeForCausalLM' : 'Qwen2MoeForCausalLM'],
    model_type: isQwen3 ? 'qwen3_moe' : 'qwen2_moe',
    num_experts: fields.size(key('expert_count')),
    num_experts_per_tok: used,
    moe_intermediate_size: fields.sizeOr(key('expert_feed_forward_length'), Math.floor(ffn / used)),
    decoder_sparse_step: 1,
    mlp_only_layers: [],
    // Built into llama.cpp's graphs.
    norm_topk_prob: isQwen3,
    ...(isQwen3 ? { head_dim: headDim } : { shared_expert_intermediate_size: shared }),
  };
}

/** What DeepSeek and GLM-4.5 say alike. */
function routedConfig(facts: GgufModelFacts): RawConfig {
  const { fields, key } = facts;
  return {
    n_routed_experts: fields.size(key('expert_count')),
    n_shared_experts: fields.size(key('expert_shared_count')),
    num_experts_per_tok: fields.size(key('expert_used_count')),
    moe_intermediate_size: fields.size(key('expert_feed_forward_length')),
    first_k_dense_replace: leading(fields.raw[key('leading_dense_block_count')]),
    n_group: fields.sizeOr(key('expert_group_count'), 1),
    topk_group: fields.sizeOr(key('expert_group_used_count'), 1),
    norm_topk_prob: fields.flag(key('expert_weights_norm'), false),
    routed_scaling_factor: facts.number('expert_weights_scale', 1),
  };
}

function glm4Moe(facts: GgufModelFacts): RawConfig {
  return {
    architectures: ['Glm4MoeForCausalLM'],
    model_type: 'glm4_moe',
    head_dim: facts.headDim,
    attention_bias: facts.has('blk.0.attn_q.bias'),
    use_qk_norm: facts.has('blk.0.attn_q_norm.weight'),
    partial_rotary_factor: facts.rotatedDims / facts.headDim,
    num_nextn_predict_layers: 0,
    ...routedConfig(facts),
  };
}

/** Sigmoid gating, or a bias on the router, is what version 3 has and version 2 has not. */
function deepseek(facts: GgufModelFacts): RawConfig {
  const { fields, key, heads } = facts;
  const layers = fields.size(key('block_count'));
  const isSigmoid = fields.raw[key('expert_gating_func')] === 2;
  const isV3 = isSigmoid || facts.has(`blk.${layers - 1}.exp_probs_b.bias`);
  const groups = fields.sizeOr(key('expert_group_count'), 1);
  return {
    architectures: [isV3 ? 'DeepseekV3ForCausalLM' : 'DeepseekV2ForCausalLM'],
    model_type: isV3 ? 'deepseek_v3' : 'deepseek_v2',
    num_key_value_heads: heads,
    attention_bias: false,
    ...latentConfig(facts),
    ...routedConfig(facts),
    moe_layer_freq: 1,
    topk_method: isV3 ? 'noaux_tc' : groups === 1 ? 'greedy' : 'group_limited_greedy',
    scoring_func: isSigmoid ? 'sigmoid' : 'softmax',
    ...yarnConfig(facts),
  };
}

/** Files from before llama.cpp computed in the latent space state the plain lengths. */
function latentConfig({ fields, key, rotatedDims }: GgufModelFacts): RawConfig {
  const keyLength =
    fields.sizeOr(key('attention.key_length_mla'), null) ??
    fields.size(key('attention.key_length'));
  return {
    q_lora_rank: fields.sizeOr(key('attention.q_lora_rank'), null),
    kv_lora_rank: fields.size(key('attention.kv_lora_rank')),
    qk_nope_head_dim: keyLength - rotatedDims,
    qk_rope_head_dim: rotatedDims,
    v_head_dim:
      fields.sizeOr(key('attention.value_length_mla'), null) ??
      fields.size(key('attention.value_length')),
  };
}

/** The file states one weight for both of DeepSeek's magnitudes, which are equal in all that were published. */
function yarnConfig({ fields, key, scaling, number }: GgufModelFacts): RawConfig {
  if (scaling?.type !== 'yarn') return {};
  const multiplier = key('rope.scaling.yarn_log_multiplier');
  const magnitude = fields.has(multiplier)
    ? Number((number('rope.scaling.yarn_log_multiplier', null) * 10).toPrecision(6))
    : null;
  return {
    rope_scaling: {
      type: 'yarn',
      factor: scaling.factor,
      original_max_position_embeddings: scaling.originalMaxPositionEmbeddings,
      beta_fast: scaling.betaFast,
      beta_slow: scaling.betaSlow,
      ...(magnitude === null ? {} : { mscale: magnitude, mscale_all_dim: magnitude }),
    },
  };
}

function leading(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

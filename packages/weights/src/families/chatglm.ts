import type { FamilyTable } from './family-table.js';
import { LLAMA_TYPE } from './table-parts.js';

const LAYER = 'transformer.encoder.layers.{layer}.';

/**
 * ChatGLM 2 and 3 and GLM-4 as first published: q, k and v one below the other in one tensor, gate and up in
 * another; neighbours of the first half of each head are rotated.
 *
 * Source: `modeling_chatglm.py` of THUDM/chatglm3-6b and THUDM/glm-4-9b.
 */
export const CHATGLM_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'chatglm',
  architectures: ['ChatGLMModel', 'ChatGLMForConditionalGeneration'],
  modelTypes: ['chatglm'],
  sizes: {
    layers: { keys: ['num_layers', 'num_hidden_layers'] },
    hidden: { keys: ['hidden_size'] },
    ffn: { keys: ['ffn_hidden_size'] },
    heads: { keys: ['num_attention_heads'] },
    groups: {
      keys: ['multi_query_group_num'],
      absent: 'heads',
      when: { keys: ['multi_query_attention'], absent: false },
    },
    headDim: { keys: ['kv_channels'], absent: 'hidden/heads' },
    vocab: { keys: ['padded_vocab_size', 'vocab_size'] },
  },
  numbers: {
    normEps: { keys: ['layernorm_epsilon'], absent: 1e-5 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000, timesKey: 'rope_ratio' },
    maxPositions: { keys: ['seq_length'], absent: 2048 },
  },
  biases: {
    qkv: { keys: ['add_qkv_bias', 'add_bias_linear'], absent: false },
    output: { keys: ['add_bias_linear'], absent: false },
    mlp: { keys: ['add_bias_linear'], absent: false },
  },
  tied: false,
  requires: [
    { key: 'rmsnorm', value: true, absent: true },
    { key: 'post_layer_norm', value: true, absent: true },
  ],
  stored: [
    { name: 'transformer.embedding.word_embeddings.{part}', roles: ['embedding'] },
    { name: `${LAYER}input_layernorm.{part}`, roles: ['input_norm'] },
    { name: `${LAYER}self_attention.query_key_value.{part}`, roles: ['q', 'k', 'v'] },
    { name: `${LAYER}self_attention.dense.{part}`, roles: ['o'] },
    { name: `${LAYER}post_attention_layernorm.{part}`, roles: ['mlp_norm'] },
    { name: `${LAYER}mlp.dense_h_to_4h.{part}`, roles: ['gate', 'up'] },
    { name: `${LAYER}mlp.dense_4h_to_h.{part}`, roles: ['down'] },
    { name: 'transformer.encoder.final_layernorm.{part}', roles: ['final_norm'] },
    { name: 'transformer.output_layer.{part}', roles: ['head'] },
  ],
  computes: { activation: 'silu', normPlusOne: false, rotary: 'neighbours', rotaryShare: 0.5 },
  gguf: {
    architecture: 'chatglm',
    permutesRotary: false,
    packed: [
      { name: 'attn_qkv', roles: ['q', 'k', 'v'] },
      { name: 'ffn_up', roles: ['gate', 'up'] },
    ],
  },
};

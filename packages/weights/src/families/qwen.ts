import type { FamilyTable } from './family-table.js';
import { LLAMA_SIZES, LLAMA_TYPE } from './table-parts.js';

const LAYER = 'transformer.h.{layer}.';

/**
 * Qwen 1: one tensor for q, k and v, always with a bias; `intermediate_size` counts both halves of the MLP.
 *
 * The first release spelled several keys in the way of GPT-2 (`n_embd`). The MLP is `c_proj(w1(x) · silu(w2(x)))`: w2 is the gate. Source: `modeling_qwen.py` of Qwen/Qwen-7B.
 */
export const QWEN_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'qwen',
  architectures: ['QWenLMHeadModel'],
  modelTypes: ['qwen'],
  sizes: {
    ...LLAMA_SIZES,
    layers: { keys: ['num_hidden_layers', 'n_layer'] },
    hidden: { keys: ['hidden_size', 'n_embd'] },
    ffn: { keys: ['intermediate_size', 'ffn_hidden_size'], times: 2 },
    heads: { keys: ['num_attention_heads', 'n_head'] },
    groups: { keys: ['num_attention_heads'], absent: 'heads' },
    headDim: { keys: ['kv_channels'], absent: 'hidden/heads' },
  },
  numbers: {
    normEps: { keys: ['layer_norm_epsilon'], absent: 1e-6 },
    ropeTheta: { keys: ['rotary_emb_base'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings', 'n_positions', 'seq_length'], absent: 8192 },
  },
  biases: {
    qkv: true,
    output: { keys: ['no_bias'], absent: true, negated: true },
    mlp: { keys: ['no_bias'], absent: true, negated: true },
  },
  stored: [
    { name: 'transformer.wte.{part}', roles: ['embedding'] },
    { name: `${LAYER}ln_1.{part}`, roles: ['input_norm'] },
    { name: `${LAYER}attn.c_attn.{part}`, roles: ['q', 'k', 'v'] },
    { name: `${LAYER}attn.c_proj.{part}`, roles: ['o'] },
    { name: `${LAYER}ln_2.{part}`, roles: ['mlp_norm'] },
    { name: `${LAYER}mlp.w1.{part}`, roles: ['up'] },
    { name: `${LAYER}mlp.w2.{part}`, roles: ['gate'] },
    { name: `${LAYER}mlp.c_proj.{part}`, roles: ['down'] },
    { name: 'transformer.ln_f.{part}', roles: ['final_norm'] },
    { name: 'lm_head.{part}', roles: ['head'] },
  ],
  gguf: {
    architecture: 'qwen',
    permutesRotary: false,
    packed: [{ name: 'attn_qkv', roles: ['q', 'k', 'v'] }],
  },
};

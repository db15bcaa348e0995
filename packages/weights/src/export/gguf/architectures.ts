/**
 * What llama.cpp's files say of each architecture beside what the family tables hold (`GgufRules`): the names of
 * tensors by role, which biases llama.cpp's graph adds, and which metadata keys it reads.
 *
 * Source: llama.cpp `conversion/*.py`, `gguf-py/gguf/constants.py` and `src/models/*.cpp`.
 */
import type { TensorRole } from '../../convert/logical-model.js';

/** Names of tensors below `blk.<layer>.`, or outside of layers; experts are stacked in one tensor. */
export const GGUF_ROLE_NAMES: { readonly [R in TensorRole]: string } = {
  embedding: 'token_embd',
  head: 'output',
  final_norm: 'output_norm',
  input_norm: 'attn_norm',
  q: 'attn_q',
  k: 'attn_k',
  v: 'attn_v',
  o: 'attn_output',
  q_norm: 'attn_q_norm',
  k_norm: 'attn_k_norm',
  mlp_norm: 'ffn_norm',
  post_attention_norm: 'post_attention_norm',
  post_mlp_norm: 'post_ffw_norm',
  gate: 'ffn_gate',
  up: 'ffn_up',
  down: 'ffn_down',
  router: 'ffn_gate_inp',
  router_bias: 'exp_probs_b',
  expert_gate: 'ffn_gate_exps',
  expert_up: 'ffn_up_exps',
  expert_down: 'ffn_down_exps',
  shared_gate: 'ffn_gate_shexp',
  shared_up: 'ffn_up_shexp',
  shared_down: 'ffn_down_shexp',
  shared_router: 'ffn_gate_inp_shexp',
  q_a: 'attn_q_a',
  q_a_norm: 'attn_q_a_norm',
  q_b: 'attn_q_b',
  kv_a: 'attn_kv_a_mqa',
  kv_a_norm: 'attn_kv_a_norm',
  kv_b: 'attn_kv_b',
};

/** Facts of one `general.architecture`. */
export interface GgufArchitecture {
  /** Roles whose biases llama.cpp adds; a model with others would be computed wrongly. */
  readonly biases: readonly TensorRole[];
  /** Scaling of rotary frequencies by the llama3 rule, which GGUF states as a tensor of divisors. */
  readonly takesFrequencyDivisors?: true;
  /** Divisors for short and long contexts in two tensors (longrope). */
  readonly takesLongrope?: true;
  /** Numbers of layers for which the graph knows how positions enter; others are computed without. */
  readonly layers?: readonly number[];
  /** Chosen experts' weights: must sum to one, must not, or as stated in the file. */
  readonly expertWeights?: 'normalized' | 'plain' | 'stated';
  /** Layers without experts, at the start, may be stated. */
  readonly takesLeadingDense?: true;
  /** Every this many layers one looks at everything, the others through a window. */
  readonly windowPeriod?: number;
}

const QKV: readonly TensorRole[] = ['q', 'k', 'v'];

/** The architectures that are written and read. */
export const GGUF_ARCHITECTURES: Readonly<Record<string, GgufArchitecture>> = {
  llama: {
    biases: [...QKV, 'o', 'gate', 'up', 'down'],
    takesFrequencyDivisors: true,
    expertWeights: 'normalized',
  },
  internlm2: { biases: QKV },
  baichuan: { biases: [], layers: [32, 40] },
  qwen: { biases: QKV },
  qwen2: { biases: QKV },
  qwen3: { biases: [] },
  qwen2moe: { biases: QKV, expertWeights: 'plain' },
  qwen3moe: { biases: [], expertWeights: 'normalized' },
  chatglm: { biases: QKV },
  glm4: { biases: QKV },
  glm4moe: { biases: QKV, expertWeights: 'stated', takesLeadingDense: true },
  phi3: { biases: [], takesLongrope: true },
  gemma: { biases: [] },
  gemma2: { biases: [], windowPeriod: 2 },
  gemma3: { biases: [], windowPeriod: 6 },
  deepseek2: { biases: [], expertWeights: 'stated', takesLeadingDense: true },
};

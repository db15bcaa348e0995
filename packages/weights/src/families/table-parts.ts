/** Parts that several family tables share: the keys, names and facts of the Llama type. */
import type {
  ComputeFacts,
  ExpertRules,
  NumberRules,
  SizeRules,
  StoredRule,
} from './family-table.js';

/** Keys that Llama and most families since use. */
export const LLAMA_SIZES: SizeRules = {
  layers: { keys: ['num_hidden_layers'] },
  hidden: { keys: ['hidden_size'] },
  ffn: { keys: ['intermediate_size'] },
  heads: { keys: ['num_attention_heads'] },
  groups: { keys: ['num_key_value_heads'], absent: 'heads' },
  headDim: { keys: ['head_dim'], absent: 'hidden/heads' },
  vocab: { keys: ['vocab_size'] },
};

/** Numbers under the keys of Llama. */
export const LLAMA_NUMBERS: NumberRules = {
  normEps: { keys: ['rms_norm_eps'], absent: 1e-6 },
  ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
  maxPositions: { keys: ['max_position_embeddings'], absent: 2048 },
};

/** Gated SiLU, plain norms, rotation of whole heads by halves. */
export const LLAMA_COMPUTES: ComputeFacts = {
  activation: 'silu',
  normPlusOne: false,
  rotary: 'half',
  rotaryShare: 1,
};

const LAYER = 'model.layers.{layer}.';

/** Rules of a layer's attention in the Llama style. */
export const LLAMA_ATTENTION: readonly StoredRule[] = [
  { name: `${LAYER}self_attn.q_proj.{part}`, roles: ['q'] },
  { name: `${LAYER}self_attn.k_proj.{part}`, roles: ['k'] },
  { name: `${LAYER}self_attn.v_proj.{part}`, roles: ['v'] },
  { name: `${LAYER}self_attn.o_proj.{part}`, roles: ['o'] },
  { name: `${LAYER}self_attn.q_norm.{part}`, roles: ['q_norm'] },
  { name: `${LAYER}self_attn.k_norm.{part}`, roles: ['k_norm'] },
];

/** Rules of a dense gated MLP. */
export const LLAMA_MLP: readonly StoredRule[] = [
  { name: `${LAYER}mlp.gate_proj.{part}`, roles: ['gate'] },
  { name: `${LAYER}mlp.up_proj.{part}`, roles: ['up'] },
  { name: `${LAYER}mlp.down_proj.{part}`, roles: ['down'] },
];

/** A dense MLP whose gate and up lie in one tensor. */
export const GATE_UP_MLP: readonly StoredRule[] = [
  { name: `${LAYER}mlp.gate_up_proj.{part}`, roles: ['gate', 'up'] },
  { name: `${LAYER}mlp.down_proj.{part}`, roles: ['down'] },
];

/** Norms before attention and MLP. */
export const LLAMA_NORMS: readonly StoredRule[] = [
  { name: `${LAYER}input_layernorm.{part}`, roles: ['input_norm'] },
  { name: `${LAYER}post_attention_layernorm.{part}`, roles: ['mlp_norm'] },
];

/** Router and experts as two-dimensional tensors, in the Qwen style. */
export const SPLIT_EXPERTS: readonly StoredRule[] = [
  { name: `${LAYER}mlp.gate.{part}`, roles: ['router'] },
  { name: `${LAYER}mlp.experts.{expert}.gate_proj.{part}`, roles: ['expert_gate'] },
  { name: `${LAYER}mlp.experts.{expert}.up_proj.{part}`, roles: ['expert_up'] },
  { name: `${LAYER}mlp.experts.{expert}.down_proj.{part}`, roles: ['expert_down'] },
];

/** Router and experts as transformers 5 keeps them. */
export const FUSED_EXPERTS: readonly StoredRule[] = [
  { name: `${LAYER}mlp.gate.{part}`, roles: ['router'] },
  {
    name: `${LAYER}mlp.experts.gate_up_proj`,
    roles: ['expert_gate', 'expert_up'],
    pack: 'experts',
  },
  { name: `${LAYER}mlp.experts.down_proj`, roles: ['expert_down'], pack: 'experts' },
];

/** Rules of a shared expert under a module name. */
export function sharedExpert(module: string): readonly StoredRule[] {
  return [
    { name: `${LAYER}mlp.${module}.gate_proj.{part}`, roles: ['shared_gate'] },
    { name: `${LAYER}mlp.${module}.up_proj.{part}`, roles: ['shared_up'] },
    { name: `${LAYER}mlp.${module}.down_proj.{part}`, roles: ['shared_down'] },
  ];
}

/** The bias by which DeepSeek's router chooses experts. */
export const ROUTER_BIAS: StoredRule = {
  name: `${LAYER}mlp.gate.e_score_correction_bias`,
  roles: ['router_bias'],
};

/** Puts embedding, final norm and head of the Llama style around the rules of a layer. */
export function llamaModel(...layer: readonly (readonly StoredRule[])[]): readonly StoredRule[] {
  return [
    { name: 'model.embed_tokens.{part}', roles: ['embedding'] },
    ...layer.flat(),
    { name: 'model.norm.{part}', roles: ['final_norm'] },
    { name: 'lm_head.{part}', roles: ['head'] },
  ];
}

/** Files of a dense Llama. */
export const LLAMA_STORED: readonly StoredRule[] = llamaModel(
  LLAMA_ATTENTION,
  LLAMA_MLP,
  LLAMA_NORMS,
);

/** Every layer has experts. */
export const NO_DENSE_LAYERS: ExpertRules['dense'] = {
  firstKey: null,
  firstAbsent: 0,
  stepKey: null,
  stepFrom: 0,
  listKey: null,
};

/** Rotary frequencies that older files store. */
export const STORED_FREQUENCIES: readonly RegExp[] = [/(^|\.)rotary_(pos_)?emb\.inv_freq$/];

/** What an untied, bias-free decoder of the Llama type has in common. */
export const LLAMA_TYPE = {
  sizes: LLAMA_SIZES,
  numbers: LLAMA_NUMBERS,
  latent: null,
  experts: null,
  biases: { qkv: false, output: false, mlp: false },
  qkNorm: false,
  norms: 'pre',
  tied: { keys: ['tie_word_embeddings'], absent: false },
  requires: [],
  stored: LLAMA_STORED,
  ignorable: STORED_FREQUENCIES,
  computes: LLAMA_COMPUTES,
} as const;

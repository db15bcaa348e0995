/**
 * Name and shape of a logical tensor by its role: the Llama style, extended by what other families have.
 *
 * Shapes are [out, in] for matrices and [n] for vectors.
 */
import type { LogicalSizes, LogicalTensor, TensorRole } from './logical-model.js';

interface RoleForm {
  /** Path below `model.layers.<layer>.`, or the whole path outside of layers; `*` stands for the expert. */
  readonly path: string;
  readonly shape: (sizes: LogicalSizes) => readonly number[];
}

const queryRows = (s: LogicalSizes): number => s.heads * s.headDim;
const keyRows = (s: LogicalSizes): number => s.groups * s.headDim;
const valueCols = (s: LogicalSizes): number => s.heads * (s.latent?.valueHeadDim ?? s.headDim);
const queryRank = (s: LogicalSizes): number => s.latent?.queryRank ?? 0;
const keyValueRank = (s: LogicalSizes): number => s.latent?.keyValueRank ?? 0;
const keyValueRows = (s: LogicalSizes): number =>
  s.latent === undefined ? 0 : s.heads * (s.latent.plainHeadDim + s.latent.valueHeadDim);

const FORMS: { readonly [R in TensorRole]: RoleForm } = {
  embedding: { path: 'model.embed_tokens', shape: (s) => [s.vocab, s.hidden] },
  head: { path: 'lm_head', shape: (s) => [s.vocab, s.hidden] },
  final_norm: { path: 'model.norm', shape: (s) => [s.hidden] },
  input_norm: { path: 'input_layernorm', shape: (s) => [s.hidden] },
  q: { path: 'self_attn.q_proj', shape: (s) => [queryRows(s), s.hidden] },
  k: { path: 'self_attn.k_proj', shape: (s) => [keyRows(s), s.hidden] },
  v: { path: 'self_attn.v_proj', shape: (s) => [keyRows(s), s.hidden] },
  o: { path: 'self_attn.o_proj', shape: (s) => [s.hidden, valueCols(s)] },
  q_norm: { path: 'self_attn.q_norm', shape: (s) => [s.headDim] },
  k_norm: { path: 'self_attn.k_norm', shape: (s) => [s.headDim] },
  mlp_norm: { path: 'post_attention_layernorm', shape: (s) => [s.hidden] },
  post_attention_norm: { path: 'post_self_attn_layernorm', shape: (s) => [s.hidden] },
  post_mlp_norm: { path: 'post_mlp_layernorm', shape: (s) => [s.hidden] },
  gate: { path: 'mlp.gate_proj', shape: (s) => [s.ffn, s.hidden] },
  up: { path: 'mlp.up_proj', shape: (s) => [s.ffn, s.hidden] },
  down: { path: 'mlp.down_proj', shape: (s) => [s.hidden, s.ffn] },
  router: { path: 'mlp.gate', shape: (s) => [s.experts, s.hidden] },
  router_bias: { path: 'mlp.gate.e_score_correction_bias', shape: (s) => [s.experts] },
  expert_gate: { path: 'mlp.experts.*.gate_proj', shape: (s) => [s.expertFfn, s.hidden] },
  expert_up: { path: 'mlp.experts.*.up_proj', shape: (s) => [s.expertFfn, s.hidden] },
  expert_down: { path: 'mlp.experts.*.down_proj', shape: (s) => [s.hidden, s.expertFfn] },
  shared_gate: { path: 'mlp.shared_expert.gate_proj', shape: (s) => [s.sharedFfn, s.hidden] },
  shared_up: { path: 'mlp.shared_expert.up_proj', shape: (s) => [s.sharedFfn, s.hidden] },
  shared_down: { path: 'mlp.shared_expert.down_proj', shape: (s) => [s.hidden, s.sharedFfn] },
  shared_router: { path: 'mlp.shared_expert_gate', shape: (s) => [1, s.hidden] },
  q_a: { path: 'self_attn.q_a_proj', shape: (s) => [queryRank(s), s.hidden] },
  q_a_norm: { path: 'self_attn.q_a_layernorm', shape: (s) => [queryRank(s)] },
  q_b: { path: 'self_attn.q_b_proj', shape: (s) => [queryRows(s), queryRank(s)] },
  kv_a: {
    path: 'self_attn.kv_a_proj_with_mqa',
    shape: (s) => [keyValueRank(s) + (s.latent?.rotaryHeadDim ?? 0), s.hidden],
  },
  kv_a_norm: { path: 'self_attn.kv_a_layernorm', shape: (s) => [keyValueRank(s)] },
  kv_b: { path: 'self_attn.kv_b_proj', shape: (s) => [keyValueRows(s), keyValueRank(s)] },
};

/** Where a logical tensor is. */
export interface TensorPlace {
  readonly part: LogicalTensor['part'];
  readonly layer: number | null;
  readonly expert: number | null;
}

/** Makes one logical tensor. A bias is as long as its weight has rows. */
export function logicalTensor(
  role: TensorRole,
  sizes: LogicalSizes,
  place: TensorPlace,
): LogicalTensor {
  const form = FORMS[role];
  const path = form.path.replace('*', String(place.expert));
  const below = place.layer === null ? path : `model.layers.${place.layer}.${path}`;
  const shape = form.shape(sizes);
  // The router's bias is a parameter of its own, not the bias of a linear layer.
  const isWhole = role === 'router_bias';
  return {
    id: isWhole ? below : `${below}.${place.part}`,
    role,
    part: place.part,
    layer: place.layer,
    expert: place.expert,
    shape: place.part === 'bias' && !isWhole ? shape.slice(0, 1) : shape,
  };
}

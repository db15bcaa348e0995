/**
 * What Megatron files call the parameters and how tensor-parallel ranks share them: one row per stored tensor, by role.
 * Pure tables. Sources: Megatron-LM core_v0.12.1, MindSpeed-LLM (`tasks/checkpoint/model_builder.py`), ModelLink,
 * AscendSpeed.
 *
 * Places in names: `{n}` local layer, `{e}` expert of the rank, `{part}` weight or bias. `/` parts nested dictionaries.
 */
import type { LatentSizes, TensorRole } from '../convert/logical-model.js';
import type { MegatronSettings, MegatronSpec } from './settings.js';

/**
 * How a rank's tensor is made of its members (the tensors of `roles`, in that order):
 *
 * * `whole`: members one under the other, the same on every rank;
 * * `vocabulary`: a run of rows of the padded vocabulary;
 * * `rows`: a run of rows;
 * * `columns`: a run of columns (vectors: whole);
 * * `halves`: the rank's run of rows of each member, one under the other;
 * * `head_rows`: of each head of the rank, the rows that `headRows` says;
 * * `groups`: query heads, key and value of one group after the other;
 * * `grouped_in`, `grouped_out`: all experts of the rank, turned, one under the other in memory.
 */
export type Cut =
  | 'whole'
  | 'vocabulary'
  | 'rows'
  | 'columns'
  | 'halves'
  | 'head_rows'
  | 'groups'
  | 'grouped_in'
  | 'grouped_out';

/** Where in the pipeline a tensor is: with the first chunk, the last, or its layer. */
export type RulePlace = 'first' | 'layer' | 'last';

/** A run of the rows that a projection has for each head. */
export interface HeadRows {
  readonly begin: number;
  readonly count: number;
  /** Rows of a head, all together. */
  readonly of: number;
}

/** One stored tensor. */
export interface LayoutRule {
  readonly name: string;
  readonly place: RulePlace;
  readonly roles: readonly TensorRole[];
  readonly cut: Cut;
  /** Only in layers that have (or lack) a tensor of this role. */
  readonly with?: TensorRole;
  readonly without?: readonly TensorRole[];
  readonly headRows?: (latent: LatentSizes) => HeadRows;
}

const layer = (
  name: string,
  roles: readonly TensorRole[],
  cut: Cut,
  condition: Pick<LayoutRule, 'with' | 'without'> = {},
): LayoutRule => ({ name: `decoder.layers.{n}.${name}`, place: 'layer', roles, cut, ...condition });

const CORE_ENDS: readonly LayoutRule[] = [
  {
    name: 'embedding.word_embeddings.weight',
    place: 'first',
    roles: ['embedding'],
    cut: 'vocabulary',
  },
  { name: 'decoder.final_layernorm.{part}', place: 'last', roles: ['final_norm'], cut: 'whole' },
  { name: 'output_layer.weight', place: 'last', roles: ['head'], cut: 'vocabulary' },
];

const CORE_ATTENTION: readonly LayoutRule[] = [
  layer('self_attention.linear_qkv.{part}', ['q', 'k', 'v'], 'groups'),
  // Latent attention, as MindSpeed-LLM stores it: the two down projections in one tensor that no rank divides.
  layer('self_attention.linear_qkv.{part}', ['q_a', 'kv_a'], 'whole'),
  layer('self_attention.linear_qkv.weight', ['q', 'kv_a'], 'whole'),
  layer('self_attention.linear_proj.{part}', ['o'], 'columns'),
  layer('self_attention.q_layernorm.{part}', ['q_norm'], 'whole'),
  layer('self_attention.k_layernorm.{part}', ['k_norm'], 'whole'),
  layer('self_attention.q_layernorm.{part}', ['q_a_norm'], 'whole'),
  layer('self_attention.kv_layernorm.{part}', ['kv_a_norm'], 'whole'),
  layer('post_attn_norm.{part}', ['post_attention_norm'], 'whole'),
  layer('post_mlp_layernorm.{part}', ['post_mlp_norm'], 'whole'),
];

const LATENT_UP: readonly LayoutRule[] = [
  layer('self_attention.linear_q_up_proj.weight', ['q_b'], 'rows'),
  layer('self_attention.linear_kv_up_proj.weight', ['kv_b'], 'rows'),
];

const headRows = (name: string, role: TensorRole, rows: LayoutRule['headRows']): LayoutRule => ({
  ...layer(`self_attention.${name}.weight`, [role], 'head_rows'),
  ...(rows === undefined ? {} : { headRows: rows }),
});

/** With `--mla-mm-split`: the plain and the rotated part of queries, the keys and the values, each on its own. */
const LATENT_UP_SPLIT: readonly LayoutRule[] = [
  headRows('linear_qk_nope', 'q_b', ({ plainHeadDim: plain, rotaryHeadDim: rotary }) => ({
    begin: 0,
    count: plain,
    of: plain + rotary,
  })),
  headRows('linear_qk_rope', 'q_b', ({ plainHeadDim: plain, rotaryHeadDim: rotary }) => ({
    begin: plain,
    count: rotary,
    of: plain + rotary,
  })),
  headRows('linear_kv_nope', 'kv_b', ({ plainHeadDim: plain, valueHeadDim: value }) => ({
    begin: 0,
    count: plain,
    of: plain + value,
  })),
  headRows('linear_v', 'kv_b', ({ plainHeadDim: plain, valueHeadDim: value }) => ({
    begin: plain,
    count: value,
    of: plain + value,
  })),
];

const CORE_MLP: readonly LayoutRule[] = [
  layer('mlp.linear_fc1.{part}', ['gate', 'up'], 'halves'),
  layer('mlp.linear_fc2.{part}', ['down'], 'columns'),
  layer('mlp.router.weight', ['router'], 'whole'),
  layer('mlp.router.expert_bias', ['router_bias'], 'whole'),
  layer('mlp.shared_experts.linear_fc1.{part}', ['shared_gate', 'shared_up'], 'halves'),
  layer('mlp.shared_experts.linear_fc2.{part}', ['shared_down'], 'columns'),
  layer('mlp.shared_experts.gate_weight', ['shared_router'], 'whole'),
];

const LOCAL_NORMS: readonly LayoutRule[] = [
  layer('input_layernorm.{part}', ['input_norm'], 'whole'),
  layer('pre_mlp_layernorm.{part}', ['mlp_norm'], 'whole'),
];

/** Transformer Engine fuses a norm into the linear layer that follows; experts and doubled norms keep it apart. */
const ENGINE_NORMS: readonly LayoutRule[] = [
  layer('self_attention.linear_qkv.layer_norm_{part}', ['input_norm'], 'whole'),
  layer('mlp.linear_fc1.layer_norm_{part}', ['mlp_norm'], 'whole', {
    without: ['router', 'post_mlp_norm'],
  }),
  layer('pre_mlp_layernorm.{part}', ['mlp_norm'], 'whole', { with: 'router' }),
  layer('pre_mlp_layernorm.{part}', ['mlp_norm'], 'whole', {
    with: 'post_mlp_norm',
    without: ['router'],
  }),
];

const LISTED_EXPERTS: readonly LayoutRule[] = [
  layer('mlp.experts.local_experts.{e}.linear_fc1.{part}', ['expert_gate', 'expert_up'], 'halves'),
  layer('mlp.experts.local_experts.{e}.linear_fc2.{part}', ['expert_down'], 'columns'),
];

const GROUPED_EXPERTS: readonly LayoutRule[] = [
  layer('mlp.experts.weight1', ['expert_gate', 'expert_up'], 'grouped_in'),
  layer('mlp.experts.weight2', ['expert_down'], 'grouped_out'),
];

const NUMBERED_EXPERTS: readonly LayoutRule[] = [
  layer('mlp.experts.linear_fc1.{part}{e}', ['expert_gate', 'expert_up'], 'halves'),
  layer('mlp.experts.linear_fc2.{part}{e}', ['expert_down'], 'columns'),
];

const oldLayer = (name: string, roles: readonly TensorRole[], cut: Cut): LayoutRule => ({
  name: `language_model/encoder/layers.{n}.${name}`,
  place: 'layer',
  roles,
  cut,
});

const OLD_ENDS: readonly LayoutRule[] = [
  {
    name: 'language_model/embedding/word_embeddings/weight',
    place: 'first',
    roles: ['embedding'],
    cut: 'vocabulary',
  },
  {
    name: 'language_model/output_layer/weight',
    place: 'last',
    roles: ['head'],
    cut: 'vocabulary',
  },
];

const OLD_ATTENTION: readonly LayoutRule[] = [
  oldLayer('self_attention.query_key_value.{part}', ['q', 'k', 'v'], 'groups'),
  oldLayer('self_attention.dense.{part}', ['o'], 'columns'),
  oldLayer('mlp.dense_4h_to_h.{part}', ['down'], 'columns'),
];

const LEGACY: readonly LayoutRule[] = [
  ...OLD_ENDS,
  ...OLD_ATTENTION,
  oldLayer('input_norm.{part}', ['input_norm'], 'whole'),
  oldLayer('post_attention_norm.{part}', ['mlp_norm'], 'whole'),
  oldLayer('mlp.dense_h_to_4h.{part}', ['gate', 'up'], 'halves'),
  {
    name: 'language_model/encoder/final_norm.{part}',
    place: 'last',
    roles: ['final_norm'],
    cut: 'whole',
  },
];

const ASCENDSPEED: readonly LayoutRule[] = [
  ...OLD_ENDS,
  ...OLD_ATTENTION,
  oldLayer('input_layernorm.{part}', ['input_norm'], 'whole'),
  oldLayer('post_attention_layernorm.{part}', ['mlp_norm'], 'whole'),
  {
    name: 'language_model/encoder/final_layernorm.{part}',
    place: 'last',
    roles: ['final_norm'],
    cut: 'whole',
  },
];

const ASCENDSPEED_MERGED: readonly LayoutRule[] = [
  oldLayer('mlp.proj.{part}', ['gate', 'up'], 'halves'),
];

const ASCENDSPEED_SEPARATE: readonly LayoutRule[] = [
  oldLayer('mlp.gate_proj.{part}', ['gate'], 'rows'),
  oldLayer('mlp.dense_h_to_4h.{part}', ['up'], 'rows'),
];

/** Where the last stage keeps its copy of tied embeddings. */
export const TIED_HEAD_NAMES: { readonly [S in MegatronSpec]: string } = {
  local: 'output_layer.weight',
  transformer_engine: 'output_layer.weight',
  legacy: 'word_embeddings_for_head/weight',
  ascendspeed: 'word_embeddings_for_head/weight',
};

/** The table of a layout. */
export function layoutRules(settings: MegatronSettings): readonly LayoutRule[] {
  switch (settings.spec) {
    case 'legacy':
      return LEGACY;
    case 'ascendspeed':
      return [
        ...ASCENDSPEED,
        ...(settings.separateGate ? ASCENDSPEED_SEPARATE : ASCENDSPEED_MERGED),
      ];
    case 'local':
      return [
        ...CORE_ENDS,
        ...LOCAL_NORMS,
        ...CORE_ATTENTION,
        ...(settings.splitLatent ? LATENT_UP_SPLIT : LATENT_UP),
        ...CORE_MLP,
        ...(settings.groupedGemm ? GROUPED_EXPERTS : LISTED_EXPERTS),
      ];
    case 'transformer_engine':
      return [
        ...CORE_ENDS,
        ...ENGINE_NORMS,
        ...CORE_ATTENTION,
        ...(settings.splitLatent ? LATENT_UP_SPLIT : LATENT_UP),
        ...CORE_MLP,
        ...(settings.groupedGemm ? NUMBERED_EXPERTS : LISTED_EXPERTS),
      ];
  }
}

/**
 * What a distributed checkpoint of Megatron calls its tensors, and the parameters that they are.
 *
 * Megatron has two ways, and checkpoints of both are about:
 *
 * * homogeneous layers (the default up to core 0.16): one key for all layers, without a number
 *   (`decoder.layers.mlp.linear_fc2.weight`), the tensors stacked along a new first axis. Experts are stacked likewise
 *   along the next axis, under `mlp.experts.experts.`;
 * * layers one by one (`singleton_local_shards`, uneven mixtures of experts, later versions): a number in the key, for
 *   experts one as well, and the halves of a gated `linear_fc1` apart as `weight_w` and `weight_v`.
 *
 * Norms have the names of Transformer Engine whatever built the model, since Megatron maps them when it saves.
 * Source: megatron/core/transformer/{transformer_block,mlp}.py, moe/experts.py, models/gpt/gpt_layer_specs.py of
 * megatron-core 0.16.1. Checked against: packages/formats/test/fixtures/torch-dcp/megatron-*.
 */

/** How the tensor of a key is made of parameters. */
export interface MegatronKey {
  /** Name of the parameter with `{layer}` and `{expert}` where an axis is stacked, else their numbers. */
  readonly name: string;
  /** Stacked axes, outermost first. */
  readonly stacked: readonly ('layer' | 'expert')[];
  /** Rows of these keys follow each other in one parameter, in this order. */
  readonly part: number;
}

/** Keys that hold parts of one parameter, as what the parameter is called and which part they are. */
const PARTS: readonly (readonly [ending: RegExp, name: string, part: number])[] = [
  [/\.linear_fc1\.(weight|bias)_w$/, '.linear_fc1.$1', 0],
  [/\.linear_fc1\.(weight|bias)_v$/, '.linear_fc1.$1', 1],
  // Latent attention: one tensor in MindSpeed-LLM, two in Megatron itself.
  [/\.self_attention\.linear_q(?:_down)?_proj\.weight$/, '.self_attention.linear_qkv.weight', 0],
  [/\.self_attention\.linear_kv_down_proj\.weight$/, '.self_attention.linear_qkv.weight', 1],
];

/** Names of one parameter in the local and the Transformer Engine specification. */
const SYNONYMS: readonly (readonly [form: RegExp, name: string])[] = [
  [/\.self_attention\.linear_qkv\.layer_norm_(weight|bias)$/, '.input_layernorm.$1'],
  [/\.mlp\.linear_fc1\.layer_norm_(weight|bias)$/, '.pre_mlp_layernorm.$1'],
  [
    /\.self_attention\.linear_q_up_proj\.layer_norm_(weight|bias)$/,
    '.self_attention.q_layernorm.$1',
  ],
  [
    /\.self_attention\.linear_kv_up_proj\.layer_norm_(weight|bias)$/,
    '.self_attention.kv_layernorm.$1',
  ],
  [
    /\.mlp\.experts\.linear_(fc[12])\.(weight|bias)(\d+)$/,
    '.mlp.experts.local_experts.$3.linear_$1.$2',
  ],
];

/** Entries that are no parameters: state of the optimizer, of scaling, of rotary tables. */
const NO_PARAMETER =
  /^(optimizer|chained_\d+|rng_state|rerun_state_machine)[./]|_extra_state|\.rotary_(pos_)?emb\./;

/** True for keys that belong to no parameter of the model. */
export function isMegatronState(key: string): boolean {
  return NO_PARAMETER.test(key);
}

/** True when the keys are those of a Megatron model, under whatever prefix. */
export function looksLikeMegatron(keys: Iterable<string>): boolean {
  for (const key of keys) {
    if (/(^|\.)embedding\.word_embeddings\.weight$|(^|\.)decoder\.layers\./.test(key)) return true;
  }
  return false;
}

/** Takes a key apart. Frameworks around Megatron put `module.` or `model.` in front; that is left out. */
export function parseMegatronKey(key: string): MegatronKey {
  let name = key.replace(/^(?:module\.|model\.)+/, '');
  const stacked: ('layer' | 'expert')[] = [];
  if (/^decoder\.layers\.(?!\d+\.)/.test(name)) {
    stacked.push('layer');
    name = name.replace('decoder.layers.', 'decoder.layers.{layer}.');
  }
  if (/\.mlp\.experts\.experts\.(?!\d+\.)/.test(name)) {
    stacked.push('expert');
    name = name.replace('.mlp.experts.experts.', '.mlp.experts.experts.{expert}.');
  }
  name = name.replace('.mlp.experts.experts.', '.mlp.experts.local_experts.');
  for (const [ending, whole, part] of PARTS) {
    if (ending.test(name)) return { name: name.replace(ending, whole), stacked, part };
  }
  return { name: canonicalMegatronName(name), stacked, part: 0 };
}

/** One name for a parameter, whichever specification named it. */
export function canonicalMegatronName(name: string): string {
  for (const [form, canonical] of SYNONYMS) {
    if (form.test(name)) return name.replace(form, canonical);
  }
  return name;
}

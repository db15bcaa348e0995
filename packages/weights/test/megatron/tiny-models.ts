/** Logical models of a few dozen rows, made here by role so that layouts are tested apart from families. */
import type { LogicalModel, LogicalTensor, TensorRole } from '../../src/convert/logical-model.js';

export interface TinyOptions {
  readonly layers?: number;
  readonly hidden?: number;
  readonly heads?: number;
  readonly groups?: number;
  readonly headDim?: number;
  readonly ffn?: number;
  readonly vocab?: number;
  readonly tied?: boolean;
  readonly qkvBias?: boolean;
  readonly qkNorm?: boolean;
  readonly doubledNorms?: boolean;
  /** Dense layers come first. */
  readonly experts?: number;
  readonly denseLayers?: number;
  readonly shared?: boolean;
  readonly latent?: 'with_q' | 'without_q';
}

/** A model of every part that the options name. */
export function tinyModel(options: TinyOptions = {}): LogicalModel {
  const { layers = 4, hidden = 8, heads = 8, groups = 8, headDim = 2 } = options;
  const { ffn = 16, vocab = 32, tied = false, experts = 0, denseLayers = 0 } = options;
  const tensors: LogicalTensor[] = [];
  const add = (
    id: string,
    role: TensorRole,
    layer: number | null,
    shape: readonly number[],
    part: LogicalTensor['part'] = 'weight',
    expert: number | null = null,
  ): void => {
    tensors.push({ id: `${id}.${part}`, role, part, layer, expert, shape });
  };
  add('model.embed_tokens', 'embedding', null, [vocab, hidden]);
  for (let layer = 0; layer < layers; layer++) {
    const at = `model.layers.${layer}.`;
    add(`${at}input_layernorm`, 'input_norm', layer, [hidden]);
    const [queries, keys] = [heads * headDim, groups * headDim];
    if (options.latent === undefined) {
      for (const [name, rows] of [
        ['q', queries],
        ['k', keys],
        ['v', keys],
      ] as const) {
        add(`${at}self_attn.${name}_proj`, name, layer, [rows, hidden]);
        if (options.qkvBias) add(`${at}self_attn.${name}_proj`, name, layer, [rows], 'bias');
        if (options.qkNorm && name !== 'v') {
          add(`${at}self_attn.${name}_norm`, `${name}_norm`, layer, [headDim]);
        }
      }
    } else {
      if (options.latent === 'with_q') {
        add(`${at}self_attn.q_a_proj`, 'q_a', layer, [6, hidden]);
        add(`${at}self_attn.q_a_layernorm`, 'q_a_norm', layer, [6]);
        add(`${at}self_attn.q_b_proj`, 'q_b', layer, [heads * 3, 6]);
      } else {
        add(`${at}self_attn.q_proj`, 'q', layer, [heads * 3, hidden]);
      }
      add(`${at}self_attn.kv_a_proj_with_mqa`, 'kv_a', layer, [5, hidden]);
      add(`${at}self_attn.kv_a_layernorm`, 'kv_a_norm', layer, [4]);
      add(`${at}self_attn.kv_b_proj`, 'kv_b', layer, [heads * 4, 4]);
    }
    add(`${at}self_attn.o_proj`, 'o', layer, [hidden, queries]);
    if (options.doubledNorms) add(`${at}post_attention`, 'post_attention_norm', layer, [hidden]);
    add(`${at}post_attention_layernorm`, 'mlp_norm', layer, [hidden]);
    if (experts === 0 || layer < denseLayers) {
      add(`${at}mlp.gate_proj`, 'gate', layer, [ffn, hidden]);
      add(`${at}mlp.up_proj`, 'up', layer, [ffn, hidden]);
      add(`${at}mlp.down_proj`, 'down', layer, [hidden, ffn]);
    } else {
      add(`${at}mlp.gate`, 'router', layer, [experts, hidden]);
      add(`${at}mlp.gate.e_score_correction`, 'router_bias', layer, [experts], 'bias');
      for (let expert = 0; expert < experts; expert++) {
        const name = `${at}mlp.experts.${expert}.`;
        add(`${name}gate_proj`, 'expert_gate', layer, [ffn, hidden], 'weight', expert);
        add(`${name}up_proj`, 'expert_up', layer, [ffn, hidden], 'weight', expert);
        add(`${name}down_proj`, 'expert_down', layer, [hidden, ffn], 'weight', expert);
      }
      if (options.shared) {
        add(`${at}mlp.shared_expert.gate_proj`, 'shared_gate', layer, [2 * ffn, hidden]);
        add(`${at}mlp.shared_expert.up_proj`, 'shared_up', layer, [2 * ffn, hidden]);
        add(`${at}mlp.shared_expert.down_proj`, 'shared_down', layer, [hidden, 2 * ffn]);
        add(`${at}mlp.shared_expert_gate`, 'shared_router', layer, [1, hidden]);
      }
    }
    if (options.doubledNorms) add(`${at}post_mlp`, 'post_mlp_norm', layer, [hidden]);
  }
  add('model.norm', 'final_norm', null, [hidden]);
  if (!tied) add('lm_head', 'head', null, [vocab, hidden]);
  const sizes = {
    layers,
    hidden,
    ffn,
    heads,
    groups,
    headDim,
    vocab,
    experts,
    expertFfn: ffn,
    sharedFfn: options.shared ? 2 * ffn : 0,
    tiedEmbeddings: tied,
  };
  return { family: 'tiny', sizes, tensors };
}

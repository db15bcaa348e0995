import type { FamilyTable } from './family-table.js';
import {
  FUSED_EXPERTS,
  LLAMA_ATTENTION,
  LLAMA_NORMS,
  LLAMA_SIZES,
  LLAMA_TYPE,
  llamaModel,
  NO_DENSE_LAYERS,
} from './table-parts.js';

const MOE = 'model.layers.{layer}.block_sparse_moe.';

/** Mixtral: Mistral whose every MLP is a mixture. Source: transformers `modeling_mixtral.py` of 4.x and 5.x. */
export const MIXTRAL_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'mixtral',
  architectures: ['MixtralForCausalLM'],
  modelTypes: ['mixtral'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_key_value_heads'], absent: 8 } },
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-5 },
    ropeTheta: { keys: ['rope_theta'], absent: 1_000_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 131_072 },
  },
  experts: {
    count: { keys: ['num_local_experts'], absent: 8 },
    ffn: { keys: ['intermediate_size'] },
    perToken: { keys: ['num_experts_per_tok'], absent: 2 },
    shared: null,
    sharedRouter: false,
    routerBias: false,
    dense: NO_DENSE_LAYERS,
  },
  stored: llamaModel(
    LLAMA_ATTENTION,
    [
      { name: `${MOE}gate.{part}`, roles: ['router'] },
      { name: `${MOE}experts.{expert}.w1.{part}`, roles: ['expert_gate'] },
      { name: `${MOE}experts.{expert}.w2.{part}`, roles: ['expert_down'] },
      { name: `${MOE}experts.{expert}.w3.{part}`, roles: ['expert_up'] },
    ],
    LLAMA_NORMS,
  ),
  fused: llamaModel(LLAMA_ATTENTION, FUSED_EXPERTS, LLAMA_NORMS),
  gguf: { architecture: 'llama', permutesRotary: true },
};

import type { FamilyTable } from './family-table.js';
import {
  FUSED_EXPERTS,
  LLAMA_ATTENTION,
  LLAMA_MLP,
  LLAMA_NORMS,
  LLAMA_NUMBERS,
  LLAMA_SIZES,
  LLAMA_TYPE,
  llamaModel,
  SPLIT_EXPERTS,
  sharedExpert,
} from './table-parts.js';

const SHARED = [
  ...sharedExpert('shared_expert'),
  {
    name: 'model.layers.{layer}.mlp.shared_expert_gate.{part}',
    roles: ['shared_router'],
  },
] as const;

const NUMBERS = {
  ...LLAMA_NUMBERS,
  maxPositions: { keys: ['max_position_embeddings'], absent: 32_768 },
};

const DENSE = {
  firstKey: null,
  firstAbsent: 0,
  stepKey: 'decoder_sparse_step',
  stepFrom: 1,
  listKey: 'mlp_only_layers',
} as const;

/** Qwen 1.5 and 2 with experts and a gated shared expert. Source: transformers `modeling_qwen2_moe.py`. */
export const QWEN2_MOE_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'qwen2-moe',
  architectures: ['Qwen2MoeForCausalLM'],
  modelTypes: ['qwen2_moe'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_key_value_heads'], absent: 16 } },
  numbers: NUMBERS,
  experts: {
    count: { keys: ['num_experts'], absent: 60 },
    ffn: { keys: ['moe_intermediate_size'], absent: 1408 },
    perToken: { keys: ['num_experts_per_tok'], absent: 4 },
    shared: { ffn: { keys: ['shared_expert_intermediate_size'], absent: 5632 } },
    sharedRouter: true,
    routerBias: false,
    dense: DENSE,
  },
  biases: { qkv: { keys: ['qkv_bias'], absent: true }, output: false, mlp: false },
  stored: llamaModel(LLAMA_ATTENTION, LLAMA_MLP, SPLIT_EXPERTS, SHARED, LLAMA_NORMS),
  fused: llamaModel(LLAMA_ATTENTION, LLAMA_MLP, FUSED_EXPERTS, SHARED, LLAMA_NORMS),
  gguf: { architecture: 'qwen2moe', permutesRotary: false },
};

/** Qwen 3 with experts, none shared. Source: transformers `modeling_qwen3_moe.py`. */
export const QWEN3_MOE_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'qwen3-moe',
  architectures: ['Qwen3MoeForCausalLM'],
  modelTypes: ['qwen3_moe'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_key_value_heads'], absent: 4 } },
  numbers: NUMBERS,
  experts: {
    count: { keys: ['num_experts', 'num_local_experts'], absent: 128 },
    ffn: { keys: ['moe_intermediate_size'], absent: 768 },
    perToken: { keys: ['num_experts_per_tok'], absent: 8 },
    shared: null,
    sharedRouter: false,
    routerBias: false,
    dense: DENSE,
  },
  biases: {
    qkv: { keys: ['attention_bias'], absent: false },
    output: { keys: ['attention_bias'], absent: false },
    mlp: false,
  },
  qkNorm: true,
  stored: llamaModel(LLAMA_ATTENTION, LLAMA_MLP, SPLIT_EXPERTS, LLAMA_NORMS),
  fused: llamaModel(LLAMA_ATTENTION, LLAMA_MLP, FUSED_EXPERTS, LLAMA_NORMS),
  gguf: { architecture: 'qwen3moe', permutesRotary: false },
};

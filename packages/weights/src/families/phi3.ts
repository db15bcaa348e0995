import type { FamilyTable } from './family-table.js';
import { GATE_UP_MLP, LLAMA_NORMS, LLAMA_TYPE, llamaModel } from './table-parts.js';

const LAYER = 'model.layers.{layer}.self_attn.';

/** Phi 3, 3.5 and 4: q, k and v in one tensor, gate and up in another. Source: transformers `modeling_phi3.py`. */
export const PHI3_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'phi3',
  architectures: ['Phi3ForCausalLM'],
  modelTypes: ['phi3'],
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-5 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings'], absent: 4096 },
  },
  stored: llamaModel(
    [
      { name: `${LAYER}o_proj.{part}`, roles: ['o'] },
      { name: `${LAYER}qkv_proj.{part}`, roles: ['q', 'k', 'v'] },
    ],
    GATE_UP_MLP,
    LLAMA_NORMS,
  ),
  computes: {
    activation: 'silu',
    normPlusOne: false,
    rotary: 'half',
    rotaryShare: { key: 'partial_rotary_factor', absent: 1 },
  },
  gguf: {
    architecture: 'phi3',
    permutesRotary: false,
    packed: [
      { name: 'attn_qkv', roles: ['q', 'k', 'v'] },
      { name: 'ffn_up', roles: ['gate', 'up'] },
    ],
  },
};

import type { FamilyTable } from './family-table.js';
import { LLAMA_MLP, LLAMA_NORMS, LLAMA_SIZES, LLAMA_TYPE, llamaModel } from './table-parts.js';

const LAYER = 'model.layers.{layer}.self_attn.';

/**
 * Baichuan 1 and 2: Llama with q, k and v in one tensor, no groups of heads. The 13B models use ALiBi instead of
 * rotation, and Baichuan 2 (vocabulary of 125 696) scales the rows of its head to length one when it computes; neither
 * changes a tensor of the files.
 *
 * Source: `modeling_baichuan.py` of baichuan-inc/Baichuan2-7B-Base and 13B-Base.
 */
export const BAICHUAN_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'baichuan',
  architectures: ['BaichuanForCausalLM', 'BaiChuanForCausalLM'],
  modelTypes: ['baichuan'],
  sizes: { ...LLAMA_SIZES, groups: { keys: ['num_attention_heads'], absent: 'heads' } },
  numbers: {
    normEps: { keys: ['rms_norm_eps'], absent: 1e-6 },
    ropeTheta: { keys: ['rope_theta'], absent: 10_000 },
    maxPositions: { keys: ['max_position_embeddings', 'model_max_length'], absent: 4096 },
  },
  stored: llamaModel(
    [
      { name: `${LAYER}W_pack.{part}`, roles: ['q', 'k', 'v'] },
      { name: `${LAYER}o_proj.{part}`, roles: ['o'] },
    ],
    LLAMA_MLP,
    LLAMA_NORMS,
  ),
  gguf: { architecture: 'baichuan', permutesRotary: true },
};

import type { FamilyTable } from './family-table.js';
import { LLAMA_NUMBERS, LLAMA_TYPE } from './table-parts.js';

const LAYER = 'model.layers.{layer}.';

/**
 * InternLM2 and 2.5: Llama with own names; q, k and v lie in one tensor, group by group of heads.
 *
 * Source: `modeling_internlm2.py` of internlm/internlm2-7b (`b q (h gs d)`, gs = queries of a group + 2).
 */
export const INTERNLM2_TABLE: FamilyTable = {
  ...LLAMA_TYPE,
  name: 'internlm2',
  architectures: ['InternLM2ForCausalLM'],
  modelTypes: ['internlm2'],
  numbers: { ...LLAMA_NUMBERS, normEps: { keys: ['rms_norm_eps'], absent: 1e-6 } },
  biases: {
    qkv: { keys: ['bias'], absent: true },
    output: { keys: ['bias'], absent: true },
    mlp: false,
  },
  stored: [
    { name: 'model.tok_embeddings.{part}', roles: ['embedding'] },
    { name: `${LAYER}attention.wqkv.{part}`, roles: ['q', 'k', 'v'], pack: 'groups' },
    { name: `${LAYER}attention.wo.{part}`, roles: ['o'] },
    { name: `${LAYER}feed_forward.w1.{part}`, roles: ['gate'] },
    { name: `${LAYER}feed_forward.w3.{part}`, roles: ['up'] },
    { name: `${LAYER}feed_forward.w2.{part}`, roles: ['down'] },
    { name: `${LAYER}attention_norm.{part}`, roles: ['input_norm'] },
    { name: `${LAYER}ffn_norm.{part}`, roles: ['mlp_norm'] },
    { name: 'model.norm.{part}', roles: ['final_norm'] },
    { name: 'output.{part}', roles: ['head'] },
  ],
  gguf: { architecture: 'internlm2', permutesRotary: true },
};

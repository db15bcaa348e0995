/**
 * The metadata of a model as llama.cpp reads it, from `config.json` and the logical model.
 *
 * Source: llama.cpp `conversion/base.py` (`set_gguf_parameters`) and the files of the families beside it.
 */
import type { FieldReader } from '../../config/fields.js';
import { expertFields } from './expert-fields.js';
import { type RotaryFacts, readRotary, rotaryFields } from './rotary.js';
import { f32, type HparamInput, type MetadataField, u32 } from './values.js';

/** The fields below `<architecture>.`, without that prefix. Throws: `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_EXPORT_UNSUPPORTED`. */
export function ggufHparams(input: HparamInput): readonly MetadataField[] {
  const { fields, model, table, architecture } = input;
  const { sizes } = model;
  const rotary = readRotary(fields, table, model);
  const context = firstSize(fields, table.numbers.maxPositions);
  return [
    ['block_count', u32(sizes.layers)],
    ['context_length', u32(context)],
    ['embedding_length', u32(sizes.hidden)],
    // Qwen 1 counts both halves of its MLP.
    ['feed_forward_length', u32(architecture === 'qwen' ? 2 * sizes.ffn : sizes.ffn)],
    ['attention.head_count', u32(sizes.heads)],
    ...headFields(input),
    ...rotaryFields(rotary, { architecture, contextLength: context }),
    ['attention.layer_norm_rms_epsilon', f32(firstNumber(fields, table.numbers.normEps))],
    ...windowFields(input, rotary),
    ...softcapFields(fields, architecture),
    ...expertFields(input),
    ['vocab_size', u32(sizes.vocab)],
  ];
}

function headFields({ model }: HparamInput): MetadataField[] {
  const { sizes } = model;
  if (sizes.latent === undefined) {
    return [
      ['attention.head_count_kv', u32(sizes.groups)],
      ['attention.key_length', u32(sizes.headDim)],
      ['attention.value_length', u32(sizes.headDim)],
    ];
  }
  const { queryRank, keyValueRank, rotaryHeadDim, valueHeadDim } = sizes.latent;
  // llama.cpp computes in the latent space, where all heads share one key and value.
  return [
    ['attention.head_count_kv', u32(1)],
    ...(queryRank === null ? [] : ([['attention.q_lora_rank', u32(queryRank)]] as const)),
    ['attention.kv_lora_rank', u32(keyValueRank)],
    ['attention.key_length', u32(keyValueRank + rotaryHeadDim)],
    ['attention.value_length', u32(keyValueRank)],
    ['attention.key_length_mla', u32(sizes.headDim)],
    ['attention.value_length_mla', u32(valueHeadDim)],
  ];
}

/** llama.cpp heeds the window for Gemma alone; it is kept for those who read it elsewhere. */
function windowFields({ fields, architecture }: HparamInput, rotary: RotaryFacts): MetadataField[] {
  const isSwitchedOff = fields.raw['use_sliding_window'] === false;
  const isSwitch = architecture.startsWith('qwen') && fields.raw['use_sliding_window'] !== true;
  const stated = isSwitchedOff || isSwitch ? null : fields.sizeOr('sliding_window', null);
  if (architecture === 'phi3') return [['attention.sliding_window', u32(stated ?? 0)]];
  const windowed: MetadataField[] =
    stated === null ? [] : [['attention.sliding_window', u32(stated)]];
  if (rotary.slidingTheta === null) return windowed;
  return [...windowed, ['rope.freq_base_swa', f32(rotary.slidingTheta)]];
}

function softcapFields(fields: FieldReader, architecture: string): MetadataField[] {
  if (architecture !== 'gemma2') return [];
  const soft = (key: string, gguf: string): MetadataField[] => {
    const value = fields.positiveOr(key, null);
    if (value === null) throw fields.invalid(key, 'a number: llama.cpp always caps in Gemma 2');
    return [[gguf, f32(value)]];
  };
  return [
    ...soft('attn_logit_softcapping', 'attn_logit_softcapping'),
    ...soft('final_logit_softcapping', 'final_logit_softcapping'),
  ];
}

type NumberRule = { readonly keys: readonly string[]; readonly absent: number };

function firstSize(fields: FieldReader, { keys, absent }: NumberRule): number {
  const key = keys.find((candidate) => fields.has(candidate));
  return key === undefined ? absent : fields.size(key);
}

function firstNumber(fields: FieldReader, { keys, absent }: NumberRule): number {
  const key = keys.find((candidate) => fields.has(candidate));
  return key === undefined ? absent : fields.positive(key);
}

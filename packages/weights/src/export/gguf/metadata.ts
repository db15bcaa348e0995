/**
 * The metadata of an exported GGUF file, with the keys and value types of llama.cpp's converter.
 *
 * Source: llama.cpp `gguf-py/gguf/constants.py`, `conversion/base.py` (`set_gguf_parameters`),
 * `conversion/llama.py`; ggml `docs/gguf.md`.
 */
import { TuneyardError } from '@tuneyard/core';
import type { GgufValue } from '@tuneyard/formats';
import type { ModelConfig, RopeScaling } from '../../config/model-config.js';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { familyOf } from '../../families/known-families.js';
import { ropeFrequencies, yarnDefaultAttentionFactor } from '../../rope/frequencies.js';
import { GGUF_EXPORT_TYPES, type GgufExportType } from './element-types.js';
import { f32, text, u32 } from './values.js';

/** Metadata under `tokenizer.`: `tokenizer.ggml.model`, tokens, merges, special ids, chat template. */
export type GgufTokenizerFields = ReadonlyMap<string, GgufValue>;

/** Version of the block layouts of quantized types (`GGML_QNT_VERSION`). */
const QUANTIZATION_VERSION = 2;

/**
 * Builds the metadata.
 *
 * Throws: `WEIGHTS_TOKENIZER_MISMATCH` when the token list is not as long as the embedding, or a key lies
 * outside `tokenizer.`.
 */
export function ggufMetadata(
  config: ModelConfig,
  options: {
    readonly name: string;
    readonly type: GgufExportType;
    readonly tokenizer: GgufTokenizerFields;
  },
): Map<string, GgufValue> {
  const arch = familyOf(config.family).ggufArchitecture;
  checkTokenizer(config.vocabSize, options.tokenizer);
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', text(arch)],
    ['general.type', text('model')],
    ['general.name', text(options.name)],
  ]);
  for (const [key, value] of architectureFields(config)) metadata.set(`${arch}.${key}`, value);
  metadata.set('general.file_type', u32(GGUF_EXPORT_TYPES[options.type]));
  for (const [key, value] of options.tokenizer) metadata.set(key, value);
  metadata.set('general.quantization_version', u32(QUANTIZATION_VERSION));
  return metadata;
}

function architectureFields(config: ModelConfig): (readonly [string, GgufValue])[] {
  return [
    ['block_count', u32(config.numHiddenLayers)],
    ['context_length', u32(config.maxPositionEmbeddings)],
    ['embedding_length', u32(config.hiddenSize)],
    ['feed_forward_length', u32(config.intermediateSize)],
    ['attention.head_count', u32(config.numAttentionHeads)],
    ['attention.head_count_kv', u32(config.numKeyValueHeads)],
    ...ropeScalingFields(config.ropeScaling),
    ['rope.freq_base', f32(config.ropeTheta)],
    ['attention.layer_norm_rms_epsilon', f32(config.rmsNormEps)],
    ['attention.key_length', u32(config.headDim)],
    ['attention.value_length', u32(config.headDim)],
    // llama.cpp ignores the window for these architectures; it is kept for those who read it.
    ...(config.slidingWindow === null
      ? []
      : [['attention.sliding_window', u32(config.slidingWindow)] as const]),
    ['vocab_size', u32(config.vocabSize)],
    ['rope.dimension_count', u32(config.headDim)],
  ];
}

function ropeScalingFields(scaling: RopeScaling | null): (readonly [string, GgufValue])[] {
  if (scaling?.type === 'linear') {
    return [
      ['rope.scaling.type', text('linear')],
      ['rope.scaling.factor', f32(scaling.factor)],
    ];
  }
  if (scaling?.type !== 'yarn') return [];
  const relative = yarnRelativeAttention(scaling);
  return [
    ['rope.scaling.type', text('yarn')],
    ['rope.scaling.factor', f32(scaling.factor)],
    ['rope.scaling.original_context_length', u32(scaling.originalMaxPositionEmbeddings)],
    ['rope.scaling.yarn_beta_fast', f32(scaling.betaFast)],
    ['rope.scaling.yarn_beta_slow', f32(scaling.betaSlow)],
    ...(relative === 1 ? [] : [['rope.scaling.attn_factor', f32(relative)] as const]),
  ];
}

/** llama.cpp multiplies the formula's factor by `attn_factor`, so only the ratio is stored. */
function yarnRelativeAttention(scaling: Extract<RopeScaling, { type: 'yarn' }>): number {
  const config = { headDim: 2, ropeTheta: 10_000, ropeScaling: scaling };
  const formula = { ...scaling, mscale: null, mscaleAllDim: null };
  return ropeFrequencies(config).attentionScaling / yarnDefaultAttentionFactor(formula);
}

/** Checks tokenizer metadata against the rows of the embedding. Throws: `WEIGHTS_TOKENIZER_MISMATCH`. */
export function checkTokenizer(vocabSize: number, tokenizer: GgufTokenizerFields): void {
  const foreign = [...tokenizer.keys()].find((key) => !key.startsWith('tokenizer.'));
  if (foreign !== undefined) {
    throw mismatch(`The tokenizer metadata has a key outside tokenizer.: ${foreign}`);
  }
  const tokens = tokenizer.get('tokenizer.ggml.tokens');
  if (tokens === undefined) return;
  const count = tokens.type === 'array' ? tokens.value.length : 0;
  if (count === vocabSize) return;
  throw mismatch(
    `tokenizer.ggml.tokens has ${count} entries; the embedding has ${vocabSize} rows`,
    'Fill the list up with unused tokens ([PAD<id>]) until the numbers agree.',
  );
}

function mismatch(message: string, hint?: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TOKENIZER_MISMATCH,
    message,
    hint === undefined ? {} : { hint },
  );
}

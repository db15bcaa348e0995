/**
 * GGUF metadata → the object of a `config.json`, for every family that is converted.
 *
 * The spelling is transformers 4's (`rope_theta`, `rope_scaling`, `torch_dtype`), which version 5 reads too. What a
 * file does not state and llama.cpp has built in (window patterns, query scaling) is stated in words of the family.
 * Source: llama.cpp `src/llama-arch.cpp` (keys) and `src/models/*.cpp` (what is built in); transformers
 * `configuration_*.py`.
 */
import { TuneyardError } from '@tuneyard/core';
import type { GgufReader } from '@tuneyard/formats';
import { modelConfigToHf } from '../config/config-to-hf.js';
import { FieldReader } from '../config/fields.js';
import { ropeScalingToHf } from '../config/rope-scaling.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { GGUF_ARCHITECTURES } from '../export/gguf/architectures.js';
import {
  embeddingOf,
  type GgufFacts,
  ggufModelConfig,
  parseScaling,
  parseTokenIds,
  plainMetadata,
  shortestOfF32,
  torchDtypeOf,
} from './gguf-config.js';
import { expertFamilies } from './gguf-hf-experts.js';
import { chatGlm, type GgufModelFacts, type RawConfig } from './gguf-hf-fields.js';

/** Values of divisors that the file holds as tensors. */
export interface GgufDivisors {
  readonly frequencies: readonly number[] | null;
  readonly long: readonly number[] | null;
  readonly short: readonly number[] | null;
}

/** What the configuration is made from. */
export interface GgufHfInput {
  readonly path: string;
  readonly metadata: GgufReader['metadata'];
  readonly tensors: GgufReader['tensors'];
  readonly divisors: GgufDivisors;
}

/** Architectures that training opens too; their configuration is made there. */
const TRAINED: readonly string[] = ['llama', 'qwen2', 'qwen3'];

const TORCH_NAMES = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;

/**
 * Makes the configuration.
 *
 * Throws: `WEIGHTS_UNKNOWN_ARCHITECTURE`, `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_UNSUPPORTED_FEATURE`,
 * `WEIGHTS_EXPORT_UNSUPPORTED`, `WEIGHTS_MISSING_TENSOR` when there is no embedding.
 */
export function ggufHfConfig(input: GgufHfInput): RawConfig {
  const fields = new FieldReader(plainMetadata(input.metadata), input.path);
  const architecture = fields.text('general.architecture') ?? '(none)';
  if (GGUF_ARCHITECTURES[architecture] === undefined) throw unknown(input.path, architecture);
  refuseSplit(fields);
  const hasExperts = (fields.raw[`${architecture}.expert_count`] ?? 0) !== 0;
  if (TRAINED.includes(architecture) && !hasExperts) {
    return modelConfigToHf(ggufModelConfig({ ...input, ropeFactors: input.divisors.frequencies }));
  }
  const facts = readFacts(fields, architecture, input);
  const family = FAMILIES[architecture];
  const own = family?.(facts) ?? expertFamilies(facts);
  return { ...commonConfig(facts), ...own };
}

function readFacts(fields: FieldReader, architecture: string, input: GgufHfInput): GgufModelFacts {
  const key = (name: string): string => `${architecture}.${name}`;
  const facts: GgufFacts = { ...input, ropeFactors: input.divisors.frequencies };
  const embedding = embeddingOf(facts);
  const vocabSize = embedding.shape[1] ?? 0;
  const hiddenSize = fields.size(key('embedding_length'));
  const heads = fields.size(key('attention.head_count'));
  const headDim = fields.sizeOr(key('attention.key_length'), Math.floor(hiddenSize / heads));
  return {
    architecture,
    fields,
    key,
    has: (name) => input.tensors.has(name),
    vocabSize,
    hiddenSize,
    heads,
    headDim,
    rotatedDims: fields.sizeOr(key('rope.dimension_count'), headDim),
    ropeTheta: shortestOfF32(fields.positiveOr(key('rope.freq_base'), 10_000)),
    scaling: parseScaling(fields, key),
    divisors: input.divisors,
    tokens: parseTokenIds(fields, vocabSize),
    torchDtype: TORCH_NAMES[torchDtypeOf(embedding)],
    number: (name, absent) => {
      const value = fields.positiveOr(key(name), absent);
      return value === null ? fields.positive(key(name)) : shortestOfF32(value);
    },
  };
}

function commonConfig(facts: GgufModelFacts): RawConfig {
  const { fields, key, tokens, scaling } = facts;
  const eos = tokens.eosTokenIds;
  return {
    hidden_act: 'silu',
    hidden_size: facts.hiddenSize,
    intermediate_size: fields.size(key('feed_forward_length')),
    num_hidden_layers: fields.size(key('block_count')),
    num_attention_heads: facts.heads,
    num_key_value_heads: fields.sizeOr(key('attention.head_count_kv'), facts.heads),
    vocab_size: facts.vocabSize,
    max_position_embeddings: fields.size(key('context_length')),
    rms_norm_eps: facts.number('attention.layer_norm_rms_epsilon', null),
    rope_theta: facts.ropeTheta,
    rope_scaling: scaling === null || scaling.type === 'factors' ? null : ropeScalingToHf(scaling),
    tie_word_embeddings: !facts.has('output.weight'),
    bos_token_id: tokens.bosTokenId,
    eos_token_id: eos.length > 1 ? [...eos] : (eos[0] ?? null),
    pad_token_id: tokens.padTokenId,
    torch_dtype: facts.torchDtype,
  };
}

/** What a dense family states beside the common keys. */
const FAMILIES: Readonly<Record<string, (facts: GgufModelFacts) => RawConfig>> = {
  internlm2: (facts) => ({
    architectures: ['InternLM2ForCausalLM'],
    model_type: 'internlm2',
    bias: facts.has('blk.0.attn_q.bias'),
  }),
  qwen: (facts) => ({
    architectures: ['QWenLMHeadModel'],
    model_type: 'qwen',
    kv_channels: facts.headDim,
    layer_norm_epsilon: facts.number('attention.layer_norm_rms_epsilon', null),
    rotary_emb_base: facts.ropeTheta,
    seq_length: facts.fields.size(facts.key('context_length')),
    no_bias: true,
  }),
  baichuan: (facts) => ({
    architectures: ['BaichuanForCausalLM'],
    model_type: 'baichuan',
    model_max_length: facts.fields.size(facts.key('context_length')),
    // The first generation, without this loss, has another head and 64,000 tokens.
    ...(facts.vocabSize === 64_000 ? {} : { z_loss_weight: 0 }),
  }),
  chatglm: (facts) =>
    facts.has('blk.0.attn_qkv.weight') ? chatGlm(facts) : glm(facts, 'GlmForCausalLM', 'glm'),
  glm4: (facts) => glm(facts, 'Glm4ForCausalLM', 'glm4'),
  phi3,
  gemma: (facts) => gemma(facts, 'GemmaForCausalLM', 'gemma'),
  gemma2: (facts) => ({
    ...gemma(facts, 'Gemma2ForCausalLM', 'gemma2'),
    ...windowed(facts, 46),
    sliding_window: facts.fields.sizeOr(facts.key('attention.sliding_window'), 4096),
    attn_logit_softcapping: facts.number('attn_logit_softcapping', 50),
    final_logit_softcapping: facts.number('final_logit_softcapping', 30),
  }),
  gemma3: (facts) => ({
    ...gemma(facts, 'Gemma3ForCausalLM', 'gemma3_text'),
    ...windowed(facts, 62),
    sliding_window: facts.fields.sizeOr(facts.key('attention.sliding_window'), 4096),
    sliding_window_pattern: 6,
    rope_local_base_freq: facts.number('rope.freq_base_swa', 10_000),
    attn_logit_softcapping: null,
    final_logit_softcapping: null,
  }),
};

function glm(facts: GgufModelFacts, architecture: string, modelType: string): RawConfig {
  return {
    architectures: [architecture],
    model_type: modelType,
    head_dim: facts.headDim,
    attention_bias: facts.has('blk.0.attn_q.bias'),
    partial_rotary_factor: facts.rotatedDims / facts.headDim,
  };
}

function phi3(facts: GgufModelFacts): RawConfig {
  const { fields, key, divisors, headDim, rotatedDims } = facts;
  const window = fields.raw[key('attention.sliding_window')];
  const context = fields.size(key('context_length'));
  const { long, short } = divisors;
  return {
    architectures: ['Phi3ForCausalLM'],
    model_type: 'phi3',
    sliding_window: typeof window === 'number' && window > 0 ? window : null,
    original_max_position_embeddings: fields.sizeOr(
      key('rope.scaling.original_context_length'),
      context,
    ),
    ...(rotatedDims === headDim ? {} : { partial_rotary_factor: rotatedDims / headDim }),
    ...(long === null || short === null
      ? {}
      : {
          rope_scaling: {
            type: 'longrope',
            long_factor: long.map(shortestOfF32),
            short_factor: short.map(shortestOfF32),
          },
        }),
  };
}

function gemma(facts: GgufModelFacts, architecture: string, modelType: string): RawConfig {
  return {
    architectures: [architecture],
    model_type: modelType,
    head_dim: facts.headDim,
    hidden_act: 'gelu_pytorch_tanh',
    hidden_activation: 'gelu_pytorch_tanh',
  };
}

/** The largest model of the family, which llama.cpp knows by its layers, scales queries by another number. */
function windowed(facts: GgufModelFacts, largestLayers: number): RawConfig {
  const isLargest = facts.fields.size(facts.key('block_count')) === largestLayers;
  const own = Math.floor(facts.hiddenSize / facts.heads);
  return { query_pre_attn_scalar: isLargest ? own : facts.headDim };
}

function refuseSplit(fields: FieldReader): void {
  const count = fields.raw['split.count'];
  if (typeof count !== 'number' || count <= 1) return;
  throw fields.unsupported(
    'split.count',
    `is ${count}: the model is divided over several files`,
    'Join them first: llama-gguf-split --merge <first file> <joined file>.',
  );
}

function unknown(path: string, found: string): TuneyardError {
  const known = Object.keys(GGUF_ARCHITECTURES);
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_UNKNOWN_ARCHITECTURE,
    `${path}: general.architecture ${found} is not known; known: ${known.join(', ')}`,
    { details: { file: path, found, known } },
  );
}

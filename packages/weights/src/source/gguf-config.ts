/**
 * GGUF metadata → {@link ModelConfig}.
 *
 * Biases and a tied head are not metadata: they follow from which tensors exist.
 * Source: ggml `docs/gguf.md`; llama.cpp `gguf-py/gguf/constants.py` (key names) and `llama-model.cpp`
 * (defaults, meaning of the rope keys).
 */
import { TuneyardError } from '@tuneyard/core';
import type { GgufReader, GgufTensor, GgufValue } from '@tuneyard/formats';
import { synthesizeHfConfig } from '../config/config-to-hf.js';
import { FieldReader, isIntegerWithin } from '../config/fields.js';
import type { ModelConfig, RopeScaling } from '../config/model-config.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { Family } from '../families/family.js';
import {
  familyByGgufArchitecture,
  familyOf,
  KNOWN_GGUF_ARCHITECTURES,
} from '../families/known-families.js';
import { yarnDefaultAttentionFactor } from '../rope/frequencies.js';

/** What the configuration needs to know of a GGUF file's tensors. */
export interface GgufFacts {
  readonly path: string;
  readonly metadata: GgufReader['metadata'];
  readonly tensors: GgufReader['tensors'];
  /** Values of `rope_freqs.weight`, when the file has it. */
  readonly ropeFactors: readonly number[] | null;
}

/**
 * Builds the configuration of a GGUF model.
 *
 * Throws: `WEIGHTS_UNKNOWN_ARCHITECTURE`, `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_UNSUPPORTED_FEATURE`,
 * `WEIGHTS_MISSING_TENSOR` when there is no embedding.
 */
export function ggufModelConfig(facts: GgufFacts): ModelConfig {
  const fields = new FieldReader(plainMetadata(facts.metadata), facts.path);
  const family = parseFamily(fields);
  const key = (name: string): string => `${family.ggufArchitecture}.${name}`;
  refuseUnsupported(fields, key);
  const heads = parseHeads(fields, key);
  const rope = parseRope(fields, { key, facts, headDim: heads.headDim });
  const vocabSize = embeddingOf(facts).shape[1] ?? 0;
  const parsed: Omit<ModelConfig, 'raw'> = {
    family: family.name,
    architecture: family.architecture,
    hiddenSize: fields.size(key('embedding_length')),
    intermediateSize: fields.size(key('feed_forward_length')),
    numHiddenLayers: fields.size(key('block_count')),
    ...heads,
    vocabSize,
    rmsNormEps: shortestOfF32(fields.positive(key('attention.layer_norm_rms_epsilon'))),
    ...rope,
    maxPositionEmbeddings: fields.size(key('context_length')),
    tieWordEmbeddings: !facts.tensors.has('output.weight'),
    ...parseBiases(facts, family),
    qkNorm: family.qkNorm,
    slidingWindow: fields.sizeOr(key('attention.sliding_window'), null),
    ...parseTokenIds(fields, vocabSize),
    torchDtype: torchDtypeOf(embeddingOf(facts)),
  };
  return { ...parsed, raw: synthesizeHfConfig(parsed) };
}

function parseFamily(fields: FieldReader): Family {
  const architecture = fields.text('general.architecture') ?? '(none)';
  const family = familyByGgufArchitecture(architecture);
  if (family === undefined) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_UNKNOWN_ARCHITECTURE,
      `${fields.where}: general.architecture ${architecture} is not known; known: ${KNOWN_GGUF_ARCHITECTURES.join(', ')}`,
      { details: { file: fields.where, found: architecture, known: KNOWN_GGUF_ARCHITECTURES } },
    );
  }
  // Mistral files say llama; only a window, which Llama does not have, tells them apart.
  const isMistral = family.name === 'llama' && fields.has('llama.attention.sliding_window');
  return isMistral ? familyOf('mistral') : family;
}

function refuseUnsupported(fields: FieldReader, key: (name: string) => string): void {
  const experts = fields.raw[key('expert_count')];
  if (experts !== undefined && experts !== 0) {
    throw fields.unsupported(key('expert_count'), 'says mixture of experts, which is not computed');
  }
  for (const name of ['attention.head_count', 'attention.head_count_kv', 'feed_forward_length']) {
    if (ArrayBuffer.isView(fields.raw[key(name)])) {
      throw fields.unsupported(key(name), 'differs by layer, which is not computed');
    }
  }
}

type HeadFields = Pick<ModelConfig, 'numAttentionHeads' | 'numKeyValueHeads' | 'headDim'>;

function parseHeads(fields: FieldReader, key: (name: string) => string): HeadFields {
  const numAttentionHeads = fields.size(key('attention.head_count'));
  const numKeyValueHeads = fields.sizeOr(key('attention.head_count_kv'), numAttentionHeads);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw fields.invalid(
      key('attention.head_count_kv'),
      `a divisor of attention.head_count (${numAttentionHeads})`,
    );
  }
  const derived = Math.floor(fields.size(key('embedding_length')) / numAttentionHeads);
  const headDim = fields.sizeOr(key('attention.key_length'), derived);
  for (const name of ['attention.value_length', 'rope.dimension_count']) {
    if (fields.sizeOr(key(name), headDim) !== headDim) {
      throw fields.unsupported(key(name), `differs from the head dimension ${headDim}`);
    }
  }
  if (headDim % 2 !== 0 || headDim === 0) {
    throw fields.invalid(key('attention.key_length'), 'even, as rotation works on pairs');
  }
  return { numAttentionHeads, numKeyValueHeads, headDim };
}

interface RopeInput {
  readonly key: (name: string) => string;
  readonly facts: GgufFacts;
  readonly headDim: number;
}

function parseRope(
  fields: FieldReader,
  input: RopeInput,
): Pick<ModelConfig, 'ropeTheta' | 'ropeScaling'> {
  const { key, facts, headDim } = input;
  const ropeTheta = shortestOfF32(fields.positiveOr(key('rope.freq_base'), 10_000));
  const scaling = parseScaling(fields, key);
  const factors = facts.ropeFactors;
  if (factors === null) return { ropeTheta, ropeScaling: scaling };
  const isSound =
    factors.length === headDim / 2 && factors.every((f) => Number.isFinite(f) && f > 0);
  if (scaling !== null || !isSound) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_UNSUPPORTED_FEATURE,
      `${facts.path}: rope_freqs.weight must hold ${headDim / 2} positive divisors and no other rope scaling may be set`,
      { details: { file: facts.path, tensor: 'rope_freqs.weight', found: factors.length } },
    );
  }
  return { ropeTheta, ropeScaling: { type: 'factors', factors: factors.map(shortestOfF32) } };
}

/** Reads rope scaling as far as metadata alone state it. Throws: `WEIGHTS_UNSUPPORTED_FEATURE`, `WEIGHTS_CONFIG_FIELD`. */
export function parseScaling(
  fields: FieldReader,
  key: (name: string) => string,
): RopeScaling | null {
  const type = fields.text(key('rope.scaling.type'));
  const factor = fields.positiveOr(key('rope.scaling.factor'), null);
  const legacy = fields.positiveOr(key('rope.scale_linear'), null);
  if (type === null && (factor ?? legacy ?? 1) !== 1) {
    return { type: 'linear', factor: shortestOfF32(factor ?? legacy ?? 1) };
  }
  switch (type ?? 'none') {
    case 'none':
      return null;
    case 'linear':
      return { type: 'linear', factor: shortestOfF32(fields.positive(key('rope.scaling.factor'))) };
    case 'yarn':
      return parseYarn(fields, key);
    default:
      throw fields.unsupported(
        key('rope.scaling.type'),
        `is '${type}'; known rotary types: none, linear, yarn`,
      );
  }
}

/**
 * llama.cpp multiplies YaRN's own factor by `attn_factor`; its converter writes a stated Hugging Face
 * factor to `yarn_attn_factor`. Either one ends up as the factor on cos and sin here.
 */
function parseYarn(fields: FieldReader, key: (name: string) => string): RopeScaling {
  const read = (name: string): number | null => {
    const value = fields.positiveOr(key(`rope.scaling.${name}`), null);
    return value === null ? null : shortestOfF32(value);
  };
  const formula = {
    type: 'yarn',
    factor: shortestOfF32(fields.positive(key('rope.scaling.factor'))),
    originalMaxPositionEmbeddings: fields.sizeOr(
      key('rope.scaling.original_context_length'),
      fields.size(key('context_length')),
    ),
    attentionFactor: null,
    betaFast: read('yarn_beta_fast') ?? 32,
    betaSlow: read('yarn_beta_slow') ?? 1,
    mscale: null,
    mscaleAllDim: null,
    truncate: true,
  } as const;
  const relative = read('attn_factor');
  const attentionFactor =
    relative === null ? read('yarn_attn_factor') : relative * yarnDefaultAttentionFactor(formula);
  return { ...formula, attentionFactor };
}

type BiasFields = Pick<ModelConfig, 'attentionQkvBias' | 'attentionOutputBias' | 'mlpBias'>;

/** A family that fixes a bias keeps it; the tensor check then reports what is missing or extra. */
function parseBiases(facts: GgufFacts, family: Family): BiasFields {
  const has = (name: string): boolean => facts.tensors.has(`blk.0.${name}.bias`);
  const { qkv, output, mlp } = family.biases;
  return {
    attentionQkvBias: qkv === 'always' || (qkv === 'config' && has('attn_q')),
    attentionOutputBias: output === 'config' && has('attn_output'),
    mlpBias: mlp === 'config' && has('ffn_gate'),
  };
}

type TokenFields = Pick<ModelConfig, 'bosTokenId' | 'eosTokenIds' | 'padTokenId'>;

/** Reads the ids of special tokens and checks their range. */
export function parseTokenIds(fields: FieldReader, vocabSize: number): TokenFields {
  const id = (name: string): number | null => {
    const key = `tokenizer.ggml.${name}_token_id`;
    const value = fields.raw[key] ?? null;
    if (value === null) return null;
    if (isIntegerWithin(value, 0, vocabSize - 1)) return value;
    throw fields.invalid(key, `a token id below the embedding's ${vocabSize} rows`);
  };
  const eos = [id('eos'), id('eot')].filter((value) => value !== null);
  return { bosTokenId: id('bos'), eosTokenIds: [...new Set(eos)], padTokenId: id('padding') };
}

/** The embedding. Throws: `WEIGHTS_MISSING_TENSOR`. */
export function embeddingOf(facts: GgufFacts): GgufTensor {
  const tensor = facts.tensors.get('token_embd.weight');
  if (tensor !== undefined && tensor.shape.length === 2) return tensor;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MISSING_TENSOR,
    `${facts.path}: token_embd.weight is missing or not a matrix`,
    { details: { file: facts.path, missing: ['token_embd.weight'] } },
  );
}

/** The element type to write; quantized values are products with f16 scales, which bf16 would cut short. */
export function torchDtypeOf(embedding: GgufTensor): ModelConfig['torchDtype'] {
  return embedding.type === 'f32' || embedding.type === 'bf16' ? embedding.type : 'f16';
}

/** Metadata as plain values; 64-bit integers become numbers where that is exact. */
export function plainMetadata(metadata: ReadonlyMap<string, GgufValue>): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const [key, { value }] of metadata) {
    const isExact = typeof value === 'bigint' && BigInt(Number(value)) === value;
    plain[key] = isExact ? Number(value) : value;
  }
  return plain;
}

/** The shortest decimal that rounds to the same f32: what was written before GGUF narrowed it. */
export function shortestOfF32(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const candidate = Number(value.toPrecision(digits));
    if (Math.fround(candidate) === Math.fround(value)) return candidate;
  }
  return value;
}

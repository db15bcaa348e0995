/**
 * `config.json` → {@link ModelConfig}, with the defaults that transformers has for absent fields.
 *
 * A field that would change the computation and is not understood here is an error, never ignored.
 * Source: transformers 4.57 and 5.x `configuration_{llama,mistral,qwen2,qwen3}.py`.
 */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { isConvertible } from '../families/catalogue.js';
import type { Family } from '../families/family.js';
import {
  familyByArchitecture,
  familyByModelType,
  KNOWN_ARCHITECTURES,
} from '../families/known-families.js';
import { FieldReader, isIntegerWithin, isRawObject, MAX_SIZE_FIELD } from './fields.js';
import type { ModelConfig } from './model-config.js';
import { parseRope } from './rope-scaling.js';

const TORCH_DTYPES: Readonly<Record<string, ModelConfig['torchDtype']>> = {
  float32: 'f32',
  float: 'f32',
  float16: 'f16',
  half: 'f16',
  bfloat16: 'bf16',
};

/**
 * Parses and checks the object of a `config.json`.
 *
 * `where` names the file in messages. Throws: `WEIGHTS_UNKNOWN_ARCHITECTURE`, `WEIGHTS_CONFIG_FIELD`,
 * `WEIGHTS_UNSUPPORTED_FEATURE`, `WEIGHTS_JSON_INVALID`.
 */
export function parseModelConfig(raw: unknown, where: string): ModelConfig {
  if (!isRawObject(raw)) {
    throw new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_JSON_INVALID, `${where}: not a JSON object`, {
      details: { file: where },
    });
  }
  const fields = new FieldReader(raw, where);
  const family = parseFamily(fields);
  refuseUnsupported(fields);
  const maxPositionEmbeddings = fields.sizeOr(
    'max_position_embeddings',
    family.defaults.maxPositionEmbeddings,
  );
  const heads = parseHeads(fields, family);
  const vocabSize = fields.size('vocab_size');
  const numHiddenLayers = fields.size('num_hidden_layers');
  return {
    family: family.name,
    architecture: family.architecture,
    hiddenSize: fields.size('hidden_size'),
    intermediateSize: fields.size('intermediate_size'),
    numHiddenLayers,
    ...heads,
    vocabSize,
    rmsNormEps: fields.positiveOr('rms_norm_eps', family.defaults.rmsNormEps),
    ...parseRope(fields, { defaultTheta: family.defaults.ropeTheta, maxPositionEmbeddings }),
    maxPositionEmbeddings,
    tieWordEmbeddings: fields.flag('tie_word_embeddings', false),
    ...parseBiases(fields, family),
    qkNorm: family.qkNorm,
    slidingWindow: parseSlidingWindow(fields, family, numHiddenLayers),
    ...parseTokenIds(fields, family, vocabSize),
    torchDtype: parseTorchDtype(fields),
    raw,
  };
}

function parseFamily(fields: FieldReader): Family {
  const listed = fields.raw['architectures'];
  const first = Array.isArray(listed) ? (listed[0] as unknown) : undefined;
  const modelType = fields.text('model_type');
  const family =
    typeof first === 'string'
      ? familyByArchitecture(first)
      : familyByModelType(modelType ?? '(none)');
  if (family !== undefined) return family;
  const found = typeof first === 'string' ? first : `model_type ${modelType ?? '(none)'}`;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_UNKNOWN_ARCHITECTURE,
    `${fields.where}: architecture ${found} is not known; known: ${KNOWN_ARCHITECTURES.join(', ')}`,
    {
      details: { file: fields.where, found, known: KNOWN_ARCHITECTURES },
      hint: isConvertible(fields)
        ? 'Models of this family can be converted between formats, but not trained.'
        : 'Choose a model of one of the known architectures.',
    },
  );
}

function refuseUnsupported(fields: FieldReader): void {
  const activation = fields.text('hidden_act') ?? 'silu';
  if (activation !== 'silu' && activation !== 'swish') {
    throw fields.unsupported('hidden_act', `is '${activation}'; known activations: silu`);
  }
  const quantization = fields.object('quantization_config');
  if (quantization !== null) {
    const method = quantization.text('quant_method') ?? 'unknown';
    throw fields.unsupported(
      'quantization_config',
      `says the weights are stored quantized (${method})`,
      'Use the unquantized checkpoint, or a GGUF file of the model.',
    );
  }
}

type HeadFields = Pick<ModelConfig, 'numAttentionHeads' | 'numKeyValueHeads' | 'headDim'>;

function parseHeads(fields: FieldReader, family: Family): HeadFields {
  const numAttentionHeads = fields.size('num_attention_heads');
  const fallback =
    fields.raw['num_key_value_heads'] === null ? null : family.defaults.numKeyValueHeads;
  const numKeyValueHeads = fields.sizeOr('num_key_value_heads', fallback ?? numAttentionHeads);
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw fields.invalid(
      'num_key_value_heads',
      `a divisor of num_attention_heads (${numAttentionHeads})`,
    );
  }
  const hiddenSize = fields.size('hidden_size');
  const derived = family.defaults.headDim ?? Math.floor(hiddenSize / numAttentionHeads);
  if (!fields.has('head_dim') && family.defaults.headDim === null) {
    if (hiddenSize % numAttentionHeads !== 0) {
      throw fields.invalid(
        'hidden_size',
        `a multiple of num_attention_heads (${numAttentionHeads})`,
      );
    }
  }
  const headDim = fields.sizeOr('head_dim', derived);
  if (headDim % 2 !== 0) throw fields.invalid('head_dim', 'even, as rotation works on pairs');
  return { numAttentionHeads, numKeyValueHeads, headDim };
}

type BiasFields = Pick<ModelConfig, 'attentionQkvBias' | 'attentionOutputBias' | 'mlpBias'>;

function parseBiases(fields: FieldReader, family: Family): BiasFields {
  const attention = fields.flag('attention_bias', false);
  const { qkv, output, mlp } = family.biases;
  return {
    attentionQkvBias: qkv === 'always' || (qkv === 'config' && attention),
    attentionOutputBias: output === 'config' && attention,
    mlpBias: mlp === 'config' && fields.flag('mlp_bias', false),
  };
}

/**
 * The window, when it holds on every layer. A model that mixes windowed and full layers is refused rather
 * than computed wrongly, unless the window is as long as the context and so does nothing.
 */
function parseSlidingWindow(
  fields: FieldReader,
  family: Family,
  numHiddenLayers: number,
): number | null {
  if (family.slidingWindow === 'never') return null;
  if (family.slidingWindow === 'switched' && !fields.flag('use_sliding_window', false)) return null;
  const explicitNull = fields.raw['sliding_window'] === null;
  const window = fields.sizeOr(
    'sliding_window',
    explicitNull ? null : family.defaults.slidingWindow,
  );
  if (window === null) return null;
  const windowed = countWindowedLayers(fields, family, numHiddenLayers);
  if (windowed === 0) return null;
  if (windowed === numHiddenLayers) return window;
  if (window >= fields.sizeOr('max_position_embeddings', family.defaults.maxPositionEmbeddings)) {
    return null;
  }
  throw fields.unsupported(
    fields.has('layer_types') ? 'layer_types' : 'max_window_layers',
    `makes ${windowed} of ${numHiddenLayers} layers windowed; mixed attention is not computed`,
  );
}

function countWindowedLayers(fields: FieldReader, family: Family, numHiddenLayers: number): number {
  const types = fields.raw['layer_types'];
  if (types !== undefined && types !== null) {
    if (!Array.isArray(types) || types.length !== numHiddenLayers) {
      throw fields.invalid('layer_types', `a list of ${numHiddenLayers} layer types`);
    }
    for (const type of types) {
      if (type !== 'full_attention' && type !== 'sliding_attention') {
        throw fields.invalid('layer_types', 'made of full_attention and sliding_attention');
      }
    }
    return types.filter((type) => type === 'sliding_attention').length;
  }
  if (family.slidingWindow === 'always') return numHiddenLayers;
  const first = fields.raw['max_window_layers'] ?? 28;
  if (!isIntegerWithin(first, 0, MAX_SIZE_FIELD)) {
    throw fields.invalid('max_window_layers', 'an integer from 0');
  }
  return Math.max(0, numHiddenLayers - first);
}

type TokenFields = Pick<ModelConfig, 'bosTokenId' | 'eosTokenIds' | 'padTokenId'>;

function parseTokenIds(fields: FieldReader, family: Family, vocabSize: number): TokenFields {
  const isToken = (value: unknown): value is number => isIntegerWithin(value, 0, vocabSize - 1);
  const range = `a token id below vocab_size (${vocabSize})`;
  const ids = (key: string, absent: number | null): number[] => {
    const value = fields.raw[key] === undefined ? absent : fields.raw[key];
    if (value === null) return [];
    const list: unknown[] = Array.isArray(value) ? value : [value];
    if (!list.every(isToken)) throw fields.invalid(key, range);
    return [...new Set(list)];
  };
  const pad = fields.raw['pad_token_id'] ?? null;
  // Early Llama configurations say -1 for "none", and some name an id that was never added.
  if (pad !== null && !isIntegerWithin(pad, -1, MAX_SIZE_FIELD)) {
    throw fields.invalid('pad_token_id', range);
  }
  return {
    bosTokenId: ids('bos_token_id', family.defaults.bosTokenId)[0] ?? null,
    eosTokenIds: ids('eos_token_id', family.defaults.eosTokenId),
    padTokenId: pad === -1 ? null : pad,
  };
}

function parseTorchDtype(fields: FieldReader): ModelConfig['torchDtype'] {
  const key = fields.has('dtype') ? 'dtype' : 'torch_dtype';
  const name = fields.text(key);
  if (name === null) return 'f32';
  const dtype = TORCH_DTYPES[name.replace(/^torch\./, '')];
  if (dtype === undefined) throw fields.invalid(key, 'float32, float16 or bfloat16');
  return dtype;
}

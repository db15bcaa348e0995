/** What the makers of `config.json` objects read of a GGUF file, and the one family whose keys are all its own. */
import type { FieldReader } from '../config/fields.js';
import type { ModelConfig, RopeScaling } from '../config/model-config.js';

/** A JSON object to be written. */
export type RawConfig = Record<string, unknown>;

/** Facts that most families state. */
export interface GgufModelFacts {
  readonly architecture: string;
  readonly fields: FieldReader;
  /** Puts the architecture before a key. */
  readonly key: (name: string) => string;
  /** Whether the file holds a tensor. */
  readonly has: (name: string) => boolean;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly heads: number;
  readonly headDim: number;
  readonly rotatedDims: number;
  readonly ropeTheta: number;
  readonly scaling: RopeScaling | null;
  readonly divisors: {
    readonly long: readonly number[] | null;
    readonly short: readonly number[] | null;
  };
  readonly tokens: Pick<ModelConfig, 'bosTokenId' | 'eosTokenIds' | 'padTokenId'>;
  readonly torchDtype: string;
  /** A number above zero as it was before it was narrowed to f32; null as `absent` makes the key required. */
  readonly number: (name: string, absent: number | null) => number;
}

/** ChatGLM 3 and GLM-4 under their publisher's own code, whose keys differ from everybody else's. */
export function chatGlm(facts: GgufModelFacts): RawConfig {
  const { fields, key } = facts;
  return {
    architectures: ['ChatGLMModel'],
    model_type: 'chatglm',
    add_bias_linear: false,
    add_qkv_bias: facts.has('blk.0.attn_qkv.bias'),
    apply_residual_connection_post_layernorm: false,
    ffn_hidden_size: fields.size(key('feed_forward_length')),
    kv_channels: facts.headDim,
    layernorm_epsilon: facts.number('attention.layer_norm_rms_epsilon', null),
    multi_query_attention: true,
    multi_query_group_num: fields.sizeOr(key('attention.head_count_kv'), facts.heads),
    num_layers: fields.size(key('block_count')),
    original_rope: true,
    padded_vocab_size: facts.vocabSize,
    post_layer_norm: true,
    rmsnorm: true,
    rope_ratio: facts.ropeTheta / 10_000,
    seq_length: fields.size(key('context_length')),
  };
}

/**
 * What one model family is, as data: Hugging Face names, GGUF names, biases, norms and defaults.
 *
 * The dense decoders here differ only in these tables; everything that reads, writes or checks weights
 * walks them. Shapes use the legend C hidden, F feed-forward, H query heads, Hkv key/value heads, D head dim.
 */
import type { FamilyName, ModelConfig } from '../config/model-config.js';

/** The sizes that shapes are made of. */
export type ModelSizes = Pick<
  ModelConfig,
  | 'hiddenSize'
  | 'intermediateSize'
  | 'numAttentionHeads'
  | 'numKeyValueHeads'
  | 'headDim'
  | 'vocabSize'
>;

/** Which flag of the configuration says that a module has a bias. */
export type BiasFlag = 'attentionQkvBias' | 'attentionOutputBias' | 'mlpBias';

/** One module of a decoder layer. */
export interface LayerModule {
  /** Last part of the Hugging Face module path: `q_proj`. */
  readonly module: string;
  /** Path below `model.layers.<i>`: `self_attn.q_proj`. */
  readonly path: string;
  /** GGUF name below `blk.<i>`: `attn_q`. */
  readonly gguf: string;
  readonly role: 'linear' | 'norm';
  /** Shape of the weight, Hugging Face order: [out, in] or [n]. */
  readonly shape: (sizes: ModelSizes) => readonly number[];
  readonly bias: BiasFlag | null;
  /** Which heads the rows belong to when rotary embedding acts on the module's output. */
  readonly rotary: 'query' | 'key' | null;
}

/** What the library that defines the family assumes when a field of `config.json` is absent. */
export interface FamilyDefaults {
  /** Null: as many as query heads. */
  readonly numKeyValueHeads: number | null;
  /** Null: hidden size divided by query heads. */
  readonly headDim: number | null;
  readonly maxPositionEmbeddings: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly slidingWindow: number | null;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
}

/** How a family decides which biases exist. */
export interface FamilyBiases {
  /** `always`, `never`, or by the config's `attention_bias`. */
  readonly qkv: 'always' | 'never' | 'config';
  readonly output: 'never' | 'config';
  /** By the config's `mlp_bias`, or never. */
  readonly mlp: 'never' | 'config';
}

/** One model family. */
export interface Family {
  readonly name: FamilyName;
  /** Class name in `architectures`. */
  readonly architecture: string;
  /** `model_type` in `config.json`. */
  readonly modelType: string;
  /** `general.architecture` in GGUF. */
  readonly ggufArchitecture: string;
  /** Whether GGUF stores q and k rows in the interleaved rotary order. */
  readonly ggufInterleavesRotary: boolean;
  /** Whether llama.cpp's graph of this architecture adds biases beyond those the family always has. */
  readonly ggufOptionalBiases: boolean;
  readonly qkNorm: boolean;
  /**
   * When the window applies: `always` if a size is set, `switched` by `use_sliding_window`, or `never`
   * because the family has no such field.
   */
  readonly slidingWindow: 'always' | 'switched' | 'never';
  readonly biases: FamilyBiases;
  readonly defaults: FamilyDefaults;
  /** Modules of one layer, in the order of the Hugging Face state dict. */
  readonly layer: readonly LayerModule[];
}

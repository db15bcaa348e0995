/** The model configuration that every other module reads, after parsing and checking. */

/** Names of the model families that Tuneyard computes. */
export type FamilyName = 'llama' | 'mistral' | 'qwen2' | 'qwen3';

/**
 * How rotary frequencies are stretched beyond the trained context.
 *
 * `factors` comes from GGUF files only: divisors of each frequency (`rope_freqs.weight`), which is what
 * llama.cpp stores instead of the llama3 parameters.
 */
export type RopeScaling =
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositionEmbeddings: number;
    }
  | {
      readonly type: 'yarn';
      readonly factor: number;
      readonly originalMaxPositionEmbeddings: number;
      /** Stated factor on cos and sin; null leaves it to the formula. */
      readonly attentionFactor: number | null;
      readonly betaFast: number;
      readonly betaSlow: number;
      readonly mscale: number | null;
      readonly mscaleAllDim: number | null;
      /** Whether the correction range is rounded outwards to whole dimensions. */
      readonly truncate: boolean;
    }
  | { readonly type: 'factors'; readonly factors: readonly number[] };

/** A dense decoder's configuration; names are the Hugging Face ones in camel case. */
export interface ModelConfig {
  readonly family: FamilyName;
  /** Class name as in `architectures`, for example `LlamaForCausalLM`. */
  readonly architecture: string;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  readonly rmsNormEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling | null;
  readonly maxPositionEmbeddings: number;
  readonly tieWordEmbeddings: boolean;
  /** Biases on the query, key and value projections. */
  readonly attentionQkvBias: boolean;
  /** Bias on the attention's output projection. */
  readonly attentionOutputBias: boolean;
  readonly mlpBias: boolean;
  /** RMS norm over each query and key head before rotation. */
  readonly qkNorm: boolean;
  /** Positions a query may look back, on every layer; null for full attention. */
  readonly slidingWindow: number | null;
  readonly bosTokenId: number | null;
  readonly eosTokenIds: readonly number[];
  readonly padTokenId: number | null;
  readonly torchDtype: 'f32' | 'f16' | 'bf16';
  /** The `config.json` object as it was read, or one made from GGUF metadata. */
  readonly raw: Readonly<Record<string, unknown>>;
}

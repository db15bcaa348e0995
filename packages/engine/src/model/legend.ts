/**
 * What every file of the model speaks in.
 *
 * Legend: B rows of a micro-batch, T tokens of a row, N = B·T, C hidden size, F feed-forward size, H query
 * heads, Hkv key/value heads, G = H/Hkv, D head dimension, V vocabulary, L layers, R LoRA rank, M positions
 * whose next token is learned. Shapes are in ggml order, fastest axis first: an activation is [C, N], a
 * weight matrix that maps C to F is [C, F].
 */
import type { GgmlTypeName } from '@tuneyard/core';
import type { Graph, Tensor, TensorContext } from '@tuneyard/ggml';
import type { ModelConfig } from '@tuneyard/weights';

/** A low-rank pair on a linear layer: y += scale · B·(A·x). */
export interface AdapterPair {
  /** A, f32 [in, R], as PEFT stores it. */
  readonly a: Trained;
  /** Bᵀ, f32 [out, R]: the long axis first, so that outer products run along it. */
  readonly b: Trained;
  /** alpha / rank, or alpha / sqrt(rank). */
  readonly scale: number;
}

/** A tensor that the optimizer changes, with its gradient accumulator (absent outside training). */
export interface Trained {
  readonly value: Tensor;
  readonly gradient: Tensor | null;
}

/** A linear layer as the graph sees it. */
export interface LinearLayer {
  /** Module path of the Hugging Face model: `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  /** [in, out]. */
  readonly weight: Tensor;
  /** The stored transpose [out, in] of a frozen weight, for dx; null when W itself is trained. */
  readonly transposed: Tensor | null;
  readonly bias: Tensor | null;
  readonly adapter: AdapterPair | null;
  /** Gradient accumulators under full fine-tuning. */
  readonly weightGradient: Tensor | null;
  readonly biasGradient: Tensor | null;
}

/** A scale vector of an RMS normalisation. */
export interface NormLayer {
  /** f32 [C] or [D]. */
  readonly weight: Tensor;
  readonly gradient: Tensor | null;
}

/** One decoder layer. */
export interface DecoderLayer {
  readonly inputNorm: NormLayer;
  readonly postAttentionNorm: NormLayer;
  readonly q: LinearLayer;
  readonly k: LinearLayer;
  readonly v: LinearLayer;
  readonly o: LinearLayer;
  readonly qNorm: NormLayer | null;
  readonly kNorm: NormLayer | null;
  readonly gate: LinearLayer;
  readonly up: LinearLayer;
  readonly down: LinearLayer;
}

/** All weights of a model, placed in buffers. */
export interface ModelWeights {
  /** [C, V]. */
  readonly embedding: Tensor;
  readonly embeddingGradient: Tensor | null;
  readonly layers: readonly DecoderLayer[];
  readonly finalNorm: NormLayer;
  /** [C, V]; the embedding itself when the model ties them. */
  readonly head: LinearLayer;
  /** f32 [D/2]: divides the rotary frequencies base^(-2i/D). Null when every factor is 1. */
  readonly ropeFactors: Tensor | null;
  readonly ropeAttentionScaling: number;
}

/** Everything a block needs while it writes its nodes. */
export interface GraphBuild {
  readonly ctx: TensorContext;
  readonly graph: Graph;
  readonly config: ModelConfig;
  readonly weights: ModelWeights;
  /** Element type of keys and values inside attention products: f32 (exact) or bf16 (fast). */
  readonly attentionType: GgmlTypeName;
  /** True when weights themselves are trained (full fine-tuning). */
  readonly trainsWeights: boolean;
}

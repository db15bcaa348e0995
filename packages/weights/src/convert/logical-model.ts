/**
 * What every checkpoint layout is a rearrangement of: the tensors of a model by what they are for.
 *
 * A layout (Hugging Face files, Megatron shards) says for each stored tensor which rectangles of which logical
 * tensors it is made of. Two layouts of one model give a conversion by composing rectangles; no layout knows another.
 */

/** What a tensor is for; decides how a layout cuts it. */
export type TensorRole =
  | 'embedding'
  | 'head'
  | 'final_norm'
  | 'input_norm'
  | 'q'
  | 'k'
  | 'v'
  | 'o'
  | 'q_norm'
  | 'k_norm'
  /** Norm between attention and MLP. */
  | 'mlp_norm'
  /** Gemma 2 and 3: norms after attention and after the MLP. */
  | 'post_attention_norm'
  | 'post_mlp_norm'
  | 'gate'
  | 'up'
  | 'down'
  | 'router'
  | 'router_bias'
  | 'expert_gate'
  | 'expert_up'
  | 'expert_down'
  | 'shared_gate'
  | 'shared_up'
  | 'shared_down'
  /** [1, hidden]: how much of the shared expert is taken (Qwen-MoE). */
  | 'shared_router'
  /** Multi-head latent attention (DeepSeek). */
  | 'q_a'
  | 'q_a_norm'
  | 'q_b'
  | 'kv_a'
  | 'kv_a_norm'
  | 'kv_b';

/** One logical tensor. */
export interface LogicalTensor {
  /** Unique; the Hugging Face name in the Llama style (`model.layers.0.self_attn.q_proj.weight`), whatever a family's files say. */
  readonly id: string;
  readonly role: TensorRole;
  readonly part: 'weight' | 'bias';
  /** Global layer; null outside of layers. */
  readonly layer: number | null;
  /** Global expert; null elsewhere. */
  readonly expert: number | null;
  /** [out, in], [n] for vectors. Vocabulary at its true size. */
  readonly shape: readonly number[];
}

/** Sizes that layouts need. */
export interface LogicalSizes {
  readonly layers: number;
  readonly hidden: number;
  /** Inner size of the dense MLP. */
  readonly ffn: number;
  readonly heads: number;
  /** Groups of key and value heads. */
  readonly groups: number;
  readonly headDim: number;
  /** True size of the vocabulary. */
  readonly vocab: number;
  /** 0 = dense. */
  readonly experts: number;
  readonly expertFfn: number;
  readonly sharedFfn: number;
  readonly tiedEmbeddings: boolean;
  /** Only with multi-head latent attention. */
  readonly latent?: LatentSizes;
  /** Layers after the last that predict further tokens (DeepSeek-V3); conversions leave their tensors out. Absent: none. */
  readonly extraLayers?: number;
}

/** A model without numbers. */
export interface LogicalModel {
  readonly family: string;
  readonly sizes: LogicalSizes;
  /** In the order of the forward pass. */
  readonly tensors: readonly LogicalTensor[];
}

/**
 * A rectangle of a logical tensor inside a stored one. Vectors count as [n, 1]. With `transpose` the stored rectangle
 * is cols × rows and holds the logical one turned.
 */
export interface Rectangle {
  readonly logical: string;
  readonly logicalRow: number;
  readonly logicalCol: number;
  readonly rows: number;
  readonly cols: number;
  readonly storedRow: number;
  readonly storedCol: number;
  readonly transpose: boolean;
}

/** A tensor as one file of a checkpoint stores it. */
export interface StoredSpec {
  /** Where it is: `model.safetensors` sharding is decided when writing, Megatron files by rank (`mp_rank_00_001`). '' = any file. */
  readonly shard: string;
  /** Key path inside the file; nested dictionaries of legacy Megatron are parted by U+001F. */
  readonly name: string;
  readonly shape: readonly number[];
  /**
   * Cover the tensor but for what is filled. In order; where several stored tensors hold the same logical rectangle
   * (replicas), they are equal.
   */
  readonly rectangles: readonly Rectangle[];
  /**
   * The 2-D view that rectangles are in, where the shape's own is not it: grouped experts of Megatron are declared
   * [hidden, experts · 2 · ffn] but lie in memory expert by expert. Absent: vectors [n, 1], else all but the last
   * dimension in `rows`.
   */
  readonly view?: { readonly rows: number; readonly cols: number };
}

/** A conversion of one tensor: rectangles of stored sources, in stored coordinates on both sides. */
export interface Piece {
  /** Index into {@link ConversionPlan.sources}. */
  readonly source: number;
  readonly sourceRow: number;
  readonly sourceCol: number;
  readonly rows: number;
  readonly cols: number;
  readonly targetRow: number;
  readonly targetCol: number;
  /** The source rectangle is cols × rows of the target's. */
  readonly transpose: boolean;
}

/** Element types that conversions move; casts are between the first three. */
export type ConvertedDtype =
  | 'F32'
  | 'F16'
  | 'BF16'
  | 'F64'
  | 'I64'
  | 'I32'
  | 'I16'
  | 'I8'
  | 'U8'
  | 'BOOL'
  | 'F8_E4M3'
  | 'F8_E5M2';

/** Where the numbers of a source tensor lie: row-major, contiguous, in one file. */
export interface SourceTensor {
  readonly name: string;
  readonly file: string;
  /** Absolute byte offset of element [0, 0]. */
  readonly begin: number;
  readonly dtype: ConvertedDtype;
  /** 2-D view: vectors are [n, 1], more dimensions have all but the last in `rows`. */
  readonly rows: number;
  readonly cols: number;
}

/** A tensor to be written. */
export interface TargetTensor {
  readonly name: string;
  readonly dtype: ConvertedDtype;
  readonly shape: readonly number[];
  readonly rows: number;
  readonly cols: number;
  /** Cover every element exactly once. */
  readonly pieces: readonly Piece[];
}

/** A file to be written. */
export interface TargetFile {
  /** Relative to the output directory. */
  readonly path: string;
  readonly format: 'safetensors' | 'torch';
  readonly tensors: readonly TargetTensor[];
  /** Everything besides tensors: metadata of safetensors, or what the torch archive holds (see `TorchValue` in formats). */
  readonly extra: unknown;
}

/** A conversion, before anything is read or written. */
export interface ConversionPlan {
  readonly sources: readonly SourceTensor[];
  readonly files: readonly TargetFile[];
}

/** Ranks and head parts of multi-head latent attention; `LogicalSizes.headDim` is then `plain + rotary`. */
export interface LatentSizes {
  /** Null: queries are not compressed (`q` instead of `q_a` and `q_b`). */
  readonly queryRank: number | null;
  readonly keyValueRank: number;
  /** Part of a query or key head that is not rotated. */
  readonly plainHeadDim: number;
  readonly rotaryHeadDim: number;
  readonly valueHeadDim: number;
}

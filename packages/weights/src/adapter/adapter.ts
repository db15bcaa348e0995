/** A low-rank adapter (LoRA) in memory: W' = W + scale · B · A for each adapted linear module. */

/** The settings of an adapter. */
export interface AdapterConfig {
  /** Rank of modules that `rankPattern` does not name. */
  readonly rank: number;
  /** Alpha of modules that `alphaPattern` does not name. */
  readonly alpha: number;
  /** Rank-stabilized: the scale is alpha / √rank instead of alpha / rank. */
  readonly rslora: boolean;
  /** Dropout that training applied before A; it has no effect afterwards. */
  readonly dropout: number;
  /** Last parts of the adapted module paths, sorted: `q_proj`. */
  readonly targetModules: readonly string[];
  /** Name or path of the base model, as training stated it. */
  readonly baseModel: string | null;
  /** Ranks by module name or regular expression, as PEFT writes them. */
  readonly rankPattern: Readonly<Record<string, number>>;
  readonly alphaPattern: Readonly<Record<string, number>>;
}

/** The two factors of one adapted module. Shapes: a [rank, in], b [out, rank], row-major. */
export interface LoraPair {
  /** Hugging Face module path: `model.layers.0.self_attn.q_proj`. */
  readonly module: string;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** Settings and factors together. */
export interface LoraAdapter {
  readonly config: AdapterConfig;
  readonly pairs: readonly LoraPair[];
}

/** A whole tensor that takes the place of the base's. */
export interface Replacement {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** What PEFT's LoRA may hold besides the factors of linear modules. */
export interface AdapterAdditions {
  /** DoRA: the learned length of each row of a linear weight, or of each column of an embedding, by module. */
  readonly magnitudes: ReadonlyMap<string, Float32Array>;
  /** Low-rank updates of embeddings: W' = W + scale · (B · A)ᵀ with A [rank, vocabulary], B [hidden, rank]. */
  readonly embeddings: readonly LoraPair[];
  /** Biases of B (`lora_bias`), by module; the scale applies to them too. */
  readonly factorBiases: ReadonlyMap<string, Float32Array>;
  /** Trained biases and `modules_to_save`, by parameter name. */
  readonly replacements: ReadonlyMap<string, Replacement>;
  /** The head keeps sharing the embedding's matrix (`ensure_weight_tying`). */
  readonly keepsTie: boolean;
}

/** An adapter as PEFT saved it, with everything that it holds. */
export interface PeftAdapter extends LoraAdapter {
  readonly additions: AdapterAdditions;
}

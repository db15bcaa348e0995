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

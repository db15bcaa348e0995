/** A model opened for reading, whatever form its files have. */
import type { GgmlTypeName } from '@tuneyard/core';
import type { ModelConfig } from '../config/model-config.js';
import type { ParameterSpec } from '../config/parameter-table.js';

/** A parameter as it is stored. */
export interface StoredParameter extends ParameterSpec {
  readonly type: GgmlTypeName;
  readonly byteLength: number;
}

/**
 * An opened model. Every parameter that the configuration implies is present with its right shape.
 */
export interface ModelSource {
  readonly kind: 'hf' | 'gguf';
  readonly path: string;
  readonly config: ModelConfig;
  /** In the order of the Hugging Face state dict. */
  readonly parameters: readonly StoredParameter[];
  /** Tensors in the files that carry nothing (stored frequencies, a copy of a tied head). */
  readonly ignoredTensors: readonly string[];
  /** The object of `generation_config.json`, if there is one. */
  readonly generationConfig: Readonly<Record<string, unknown>> | null;
  /** Names of files beside the weights that belong to the model: tokenizer, licence, card. */
  readonly files: readonly string[];
  /**
   * Reads one parameter: bytes in its stored type, row-major [out, in], rows in Hugging Face order.
   *
   * Throws: `WEIGHTS_UNKNOWN_PARAMETER`, and what the format's reader throws.
   */
  read(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

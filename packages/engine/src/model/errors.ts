/** Codes that the model folder raises. */
export const MODEL_ERRORS = {
  /** `lora_target` names a layer that the model does not have. */
  MODEL_UNKNOWN_TARGET: 'MODEL_UNKNOWN_TARGET',
  /** An adapter does not fit the base model it is put on. */
  MODEL_ADAPTER_MISMATCH: 'MODEL_ADAPTER_MISMATCH',
  /** The prompt and the tokens to generate do not fit the context. */
  MODEL_CONTEXT_EXCEEDED: 'MODEL_CONTEXT_EXCEEDED',
  /** A token id lies outside the model's vocabulary. */
  MODEL_TOKEN_OUT_OF_RANGE: 'MODEL_TOKEN_OUT_OF_RANGE',
  /** The planned memory of a run exceeds what the machine has. */
  MODEL_MEMORY_EXCEEDED: 'MODEL_MEMORY_EXCEEDED',
} as const;

/** Codes that the pipeline package raises. */
export const PIPELINE_ERRORS = {
  /** The recipe is not well-formed YAML, or not a map at its top level. */
  RECIPE_YAML_INVALID: 'RECIPE_YAML_INVALID',
  /** A key that no section knows; the message names the nearest known one. */
  RECIPE_UNKNOWN_KEY: 'RECIPE_UNKNOWN_KEY',
  /** A value has the wrong type. */
  RECIPE_WRONG_TYPE: 'RECIPE_WRONG_TYPE',
  /** A value has the right type but lies outside the allowed set or range. */
  RECIPE_BAD_VALUE: 'RECIPE_BAD_VALUE',
  /** A key that must be given is missing. */
  RECIPE_MISSING_KEY: 'RECIPE_MISSING_KEY',
  /** Data is named as records and as tokens at once, or held out of what is already prepared. */
  RECIPE_DATA_SOURCE: 'RECIPE_DATA_SOURCE',
  /** The prepared tokens have faults that would ruin a training run. */
  TRAIN_DATA_REFUSED: 'TRAIN_DATA_REFUSED',
  /** A converted checkpoint differs from its source when it is read back. */
  CONVERT_VERIFICATION_FAILED: 'CONVERT_VERIFICATION_FAILED',
  /** The recipe file does not exist or cannot be read. */
  RECIPE_NOT_FOUND: 'RECIPE_NOT_FOUND',
  /** `adapter_name_or_path` is given although the whole model is trained. */
  RECIPE_ADAPTER_NEEDS_LORA: 'RECIPE_ADAPTER_NEEDS_LORA',
  /** A quantized base is asked for although the whole model is trained. */
  RECIPE_QUANTIZED_NEEDS_LORA: 'RECIPE_QUANTIZED_NEEDS_LORA',
  /** A `lora_*` key is given although the whole model is trained. */
  RECIPE_LORA_OPTION_WITHOUT_LORA: 'RECIPE_LORA_OPTION_WITHOUT_LORA',
  /** `lora_dropout` above zero, which this engine does not do. */
  RECIPE_LORA_DROPOUT_UNSUPPORTED: 'RECIPE_LORA_DROPOUT_UNSUPPORTED',
  /** An option that shapes conversations is given although raw text is trained on. */
  RECIPE_SFT_ONLY_OPTION: 'RECIPE_SFT_ONLY_OPTION',
  /** `mask_history` and `train_on_prompt` contradict each other. */
  RECIPE_MASK_CONTRADICTION: 'RECIPE_MASK_CONTRADICTION',
  /** Both `validation` and `val_size` are given. */
  RECIPE_VALIDATION_TWICE: 'RECIPE_VALIDATION_TWICE',
  /** Evaluation is asked for, but nothing is held out. */
  RECIPE_EVALUATE_NEEDS_VALIDATION: 'RECIPE_EVALUATE_NEEDS_VALIDATION',
  /** Both `warmup_ratio` and `warmup_steps` are given. */
  RECIPE_WARMUP_TWICE: 'RECIPE_WARMUP_TWICE',
  /** A PEFT export is asked for although the whole model is trained. */
  RECIPE_PEFT_NEEDS_LORA: 'RECIPE_PEFT_NEEDS_LORA',
  /** A LLaMA-Factory key that this engine does not support has an active value. */
  RECIPE_UNSUPPORTED_KEY: 'RECIPE_UNSUPPORTED_KEY',
  /** A path that the recipe names does not exist. */
  RECIPE_PATH_NOT_FOUND: 'RECIPE_PATH_NOT_FOUND',
  /** A file to fingerprint is missing, unreadable or of an odd kind. */
  FINGERPRINT_INPUT_UNREADABLE: 'FINGERPRINT_INPUT_UNREADABLE',
  /** A directory is not an artifact: its manifest is missing or malformed. */
  ARTIFACT_MANIFEST_INVALID: 'ARTIFACT_MANIFEST_INVALID',
  /** A file of an artifact is missing, or its size or hash differs from the manifest. */
  ARTIFACT_DAMAGED: 'ARTIFACT_DAMAGED',
  /** No artifact fits the name that was asked for. */
  ARTIFACT_NOT_FOUND: 'ARTIFACT_NOT_FOUND',
  /** A stage wrote something that an artifact cannot hold, or nothing at all. */
  ARTIFACT_CONTENT_INVALID: 'ARTIFACT_CONTENT_INVALID',
  /** The workspace directory cannot be created or written. */
  WORKSPACE_UNUSABLE: 'WORKSPACE_UNUSABLE',
  /** No run has the id that was asked for, or its record is unreadable. */
  RUN_NOT_FOUND: 'RUN_NOT_FOUND',
  /** The process of a stage died by a signal or without a word. */
  STAGE_CRASHED: 'STAGE_CRASHED',
  /** A stage threw something that is not a Tuneyard error. */
  STAGE_FAILED: 'STAGE_FAILED',
  /** The process of a stage could not be started. */
  STAGE_START_FAILED: 'STAGE_START_FAILED',
  /** No stage function is registered under the kind that the plan names. */
  STAGE_UNKNOWN: 'STAGE_UNKNOWN',
  /** An exported file does not continue a prompt as the model it was made from. */
  EXPORT_VERIFY_FAILED: 'EXPORT_VERIFY_FAILED',
} as const;

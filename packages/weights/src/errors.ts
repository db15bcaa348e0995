/** Codes that the weights package raises. */
export const WEIGHTS_ERRORS = {
  /** The model's architecture is not one that Tuneyard knows. */
  WEIGHTS_UNKNOWN_ARCHITECTURE: 'WEIGHTS_UNKNOWN_ARCHITECTURE',
  /** A JSON file of a model or adapter is not JSON, not an object, or too large. */
  WEIGHTS_JSON_INVALID: 'WEIGHTS_JSON_INVALID',
  /** A field of a model configuration is missing or holds a value that is not allowed. */
  WEIGHTS_CONFIG_FIELD: 'WEIGHTS_CONFIG_FIELD',
  /** The configuration asks for something that the known architectures here do not compute. */
  WEIGHTS_UNSUPPORTED_FEATURE: 'WEIGHTS_UNSUPPORTED_FEATURE',
  /** No model is at the path: neither a Hugging Face directory nor a GGUF file. */
  WEIGHTS_MODEL_NOT_FOUND: 'WEIGHTS_MODEL_NOT_FOUND',
  /** A parameter that the configuration implies is not in the files. */
  WEIGHTS_MISSING_TENSOR: 'WEIGHTS_MISSING_TENSOR',
  /** The files hold a tensor that no parameter of the architecture explains. */
  WEIGHTS_UNEXPECTED_TENSOR: 'WEIGHTS_UNEXPECTED_TENSOR',
  /** A tensor's shape differs from what the configuration implies. */
  WEIGHTS_TENSOR_SHAPE: 'WEIGHTS_TENSOR_SHAPE',
  /** A tensor's element type is not one that weights may have. */
  WEIGHTS_TENSOR_DTYPE: 'WEIGHTS_TENSOR_DTYPE',
  /** A parameter was asked for by a name that the model does not have. */
  WEIGHTS_UNKNOWN_PARAMETER: 'WEIGHTS_UNKNOWN_PARAMETER',
  /** The codec at hand cannot convert the element type. */
  WEIGHTS_CODEC_UNSUPPORTED: 'WEIGHTS_CODEC_UNSUPPORTED',
  /** No adapter is at the path, or it is in a form that is not read. */
  WEIGHTS_ADAPTER_NOT_FOUND: 'WEIGHTS_ADAPTER_NOT_FOUND',
  /** A field of an adapter configuration is missing or holds a value that is not allowed. */
  WEIGHTS_ADAPTER_CONFIG: 'WEIGHTS_ADAPTER_CONFIG',
  /** The adapter uses a method that is not plain LoRA. */
  WEIGHTS_ADAPTER_UNSUPPORTED: 'WEIGHTS_ADAPTER_UNSUPPORTED',
  /** An adapter's tensor is unpaired, unknown, or of a wrong shape or type. */
  WEIGHTS_ADAPTER_TENSOR: 'WEIGHTS_ADAPTER_TENSOR',
  /** The adapter does not fit the base model. */
  WEIGHTS_ADAPTER_MISMATCH: 'WEIGHTS_ADAPTER_MISMATCH',
  /** Modules that the target joins into one have different A matrices, and stacking them was not allowed. */
  WEIGHTS_ADAPTER_NOT_SHARED: 'WEIGHTS_ADAPTER_NOT_SHARED',
  /** A result holds an infinity or a NaN. */
  WEIGHTS_NON_FINITE: 'WEIGHTS_NON_FINITE',
  /** The output directory already holds a model. */
  WEIGHTS_OUTPUT_EXISTS: 'WEIGHTS_OUTPUT_EXISTS',
  /** The model uses something that the target format cannot express. */
  WEIGHTS_EXPORT_UNSUPPORTED: 'WEIGHTS_EXPORT_UNSUPPORTED',
  /** The tokenizer's vocabulary and the model's embedding differ in size. */
  WEIGHTS_TOKENIZER_MISMATCH: 'WEIGHTS_TOKENIZER_MISMATCH',
  /** The target of a conversion needs numbers that the source checkpoint does not hold. */
  WEIGHTS_LAYOUT_GAP: 'WEIGHTS_LAYOUT_GAP',
  /** A layout fills an element of a stored tensor twice, or not at all. */
  WEIGHTS_LAYOUT_OVERLAP: 'WEIGHTS_LAYOUT_OVERLAP',
  /** The chosen layout has no place for a tensor of the model. */
  WEIGHTS_LAYOUT_UNPLACED: 'WEIGHTS_LAYOUT_UNPLACED',
  /** Megatron settings contradict each other or do not divide the model's sizes. */
  WEIGHTS_MEGATRON_SETTINGS: 'WEIGHTS_MEGATRON_SETTINGS',
  /** A directory is not a whole Megatron checkpoint: tracker, iteration, ranks or their contents. */
  WEIGHTS_MEGATRON_CHECKPOINT: 'WEIGHTS_MEGATRON_CHECKPOINT',
  /** What a Megatron checkpoint says of itself contradicts the model configuration. */
  WEIGHTS_MEGATRON_MISMATCH: 'WEIGHTS_MEGATRON_MISMATCH',
  /** A weights file became shorter while it was read. */
  WEIGHTS_FILE_CHANGED: 'WEIGHTS_FILE_CHANGED',
  /** A conversion plan contradicts itself: places outside of tensors or of the directory, elements written twice or never. */
  WEIGHTS_CONVERT_PLAN: 'WEIGHTS_CONVERT_PLAN',
  /** A source of a conversion, or what is to be verified, cannot be read or ended early. */
  WEIGHTS_CONVERT_READ: 'WEIGHTS_CONVERT_READ',
  /** A target of a conversion cannot be written. */
  WEIGHTS_CONVERT_WRITE: 'WEIGHTS_CONVERT_WRITE',
  /** The disk, its quota or the largest size of a file does not allow the conversion's output. */
  WEIGHTS_CONVERT_DISK_FULL: 'WEIGHTS_CONVERT_DISK_FULL',
  /** The memory budget of a conversion is too small to work in. */
  WEIGHTS_CONVERT_MEMORY: 'WEIGHTS_CONVERT_MEMORY',
  /** Another process is writing the same conversion. */
  WEIGHTS_CONVERT_BUSY: 'WEIGHTS_CONVERT_BUSY',
  /** A thread of a conversion ended by itself. */
  WEIGHTS_CONVERT_WORKER_FAILED: 'WEIGHTS_CONVERT_WORKER_FAILED',
  /** The source of a conversion is of no known kind, or lacks its configuration. */
  WEIGHTS_CONVERT_SOURCE: 'WEIGHTS_CONVERT_SOURCE',
  /** A tensor is stored with steps between its elements that a conversion cannot follow. */
  WEIGHTS_TENSOR_STRIDES: 'WEIGHTS_TENSOR_STRIDES',
  /** The index of torch files in a model directory is malformed. */
  WEIGHTS_SHARD_INDEX: 'WEIGHTS_SHARD_INDEX',
  /** The index of torch files and the files disagree about which tensor lies where. */
  WEIGHTS_SHARD_MISMATCH: 'WEIGHTS_SHARD_MISMATCH',
} as const;

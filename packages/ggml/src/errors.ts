/** Codes that the ggml package raises. */
export const GGML_ERRORS = {
  /** No prebuilt ggml library is installed for this operating system and processor. */
  GGML_LIBRARY_MISSING: 'GGML_LIBRARY_MISSING',
  /** The installed library reports a version that this build was not checked against. */
  GGML_VERSION_UNKNOWN: 'GGML_VERSION_UNKNOWN',
  /** A structure of the library does not have the layout that this build expects. */
  GGML_LAYOUT_MISMATCH: 'GGML_LAYOUT_MISMATCH',
  /** A context, buffer, graph or model was used after it had been closed. */
  GGML_USE_AFTER_CLOSE: 'GGML_USE_AFTER_CLOSE',
  /** The library could not allocate memory for tensors or a graph. */
  GGML_OUT_OF_MEMORY: 'GGML_OUT_OF_MEMORY',
  /** Computing a graph ended with a status other than success. */
  GGML_COMPUTE_FAILED: 'GGML_COMPUTE_FAILED',
  /** The element type cannot be quantized to, or the row length does not fit its block. */
  GGML_TYPE_UNSUPPORTED: 'GGML_TYPE_UNSUPPORTED',
  /** llama.cpp refused a model file or a context. */
  LLAMA_LOAD_FAILED: 'LLAMA_LOAD_FAILED',
  /** llama.cpp failed while evaluating tokens. */
  LLAMA_DECODE_FAILED: 'LLAMA_DECODE_FAILED',
} as const;

/**
 * Bounds on what a GGUF file may ask of its reader, each with its reason. Every declared size is also
 * checked against the real size of the file, so these stop only files that are large themselves.
 */

/** Metadata keys. Real models have 20 to 60. */
export const MAX_KEYS = 65_536;

/** Tensors. The largest known mixture-of-experts models store about 2,000, experts merged. */
export const MAX_TENSORS = 1_000_000;

/** Bytes of a metadata key: the format's own bound. */
export const MAX_KEY_BYTES = 65_535;

/** Bytes of one string. The longest known are whole tokenizer.json files of 20 to 35 MB. */
export const MAX_STRING_BYTES = 256 * 1024 * 1024;

/** Items of one array. Largest known: 514,906 token merges; a sentencepiece map has 240,000 bytes. */
export const MAX_ARRAY_ITEMS = 64 * 1024 * 1024;

/** Dimensions of a tensor: what ggml can hold. */
export const MAX_DIMENSIONS = 4;

/** Bytes of a tensor name: ggml keeps names in 64 bytes, the last one zero. */
export const MAX_TENSOR_NAME_BYTES = 63;

/** Alignment of tensor data. Largest useful: one memory page, 64 KiB on some ARM and POWER systems. */
export const MAX_ALIGNMENT = 65_536;

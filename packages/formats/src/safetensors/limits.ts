/** Bounds on what a safetensors file may ask of its reader, each with its reason. */

/**
 * Bytes of the JSON header. The format itself sets this bound, against files that ask for a huge parse.
 * Largest seen: about 12 MB, the merged header of a checkpoint of some 90,000 tensors.
 */
export const MAX_HEADER_BYTES = 100_000_000;

/**
 * Nesting of the header. The format needs three levels (file, tensor, shape); one more leaves room for
 * fields that later writers add. Without a bound, 100 MB of brackets cost gigabytes of parser state.
 */
export const MAX_JSON_DEPTH = 4;

/** Bytes of a shard index. Largest known: about 9 MB, for a checkpoint of 163 shards. */
export const MAX_INDEX_BYTES = 100_000_000;

/** Shards of one checkpoint: what five digits in a shard's name can count. */
export const MAX_SHARDS = 99_999;

/** Bounds of the readers. A file is hostile until it is read. */

/**
 * Bytes of one record. The largest real records are whole books in pre-training corpora, a few MiB each;
 * 32 MiB leaves room and still stops a missing quote from swallowing a file into memory.
 */
export const MAX_RECORD_BYTES = 32 * 1024 * 1024;

/** Depth of brackets in one record. Tool schemas reach about 12; JSON.parse recurses natively. */
export const MAX_JSON_DEPTH = 512;

/** Bytes per read from disk. */
export const READ_CHUNK_BYTES = 256 * 1024;

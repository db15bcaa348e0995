/** Bounds on what an indexed data set may ask of its reader, each with its reason. */

/**
 * Sequences of one data set. Sequence numbers are int32 wherever a training framework keeps them, and an index of this
 * many takes 40 GB. Largest known: some 10^9 documents of web text, kept in several sets.
 */
export const MAX_SEQUENCES = 2 ** 31 - 1;

/** Bytes that one block of sequences aims at while a data set is read from end to end. */
export const BLOCK_BYTES = 4 * 1024 * 1024;

/** Bounds on what a torch archive may ask of its reader, each with its reason. */

/**
 * Bytes of one pickle. Largest known: some 60 MB, the plan of a distributed checkpoint of thousands of ranks;
 * `data.pkl` of a shard of a 70B model has 200 kB.
 */
export const MAX_PICKLE_BYTES = 256 * 2 ** 20;

/**
 * What a pickle may cost: one for each opcode, {@link CONTAINER_COST} for each value that is an object, {@link COPY_COST}
 * for each value copied. A pickle of one-byte opcodes would otherwise take a hundred times its size in memory. Six million
 * containers take about a gigabyte; the plan of a 70B checkpoint on 64 ranks, with its optimizer, costs 20 million.
 */
export const MAX_PICKLE_COST = 48_000_000;

/** Cost of a list, tuple, dictionary, set or other object. */
export const CONTAINER_COST = 8;

/** Cost of a value that is copied from one container to another. */
export const COPY_COST = 4;

/** Open marks of the pickle machine; Python's own writer stops at a nesting of about 1000. */
export const MAX_MARKS = 1000;

/** Nesting of values. Checkpoints nest fewer than twenty levels. */
export const MAX_DEPTH = 200;

/** Digits of a decimal integer of protocol 0, and bytes of a binary one: nothing in a checkpoint is longer. */
export const MAX_INTEGER_BYTES = 1024;

/** Tensors by key path. Largest known: about 100,000, a mixture of experts with its optimizer. */
export const MAX_TENSORS = 2_000_000;

/** Dimensions of a tensor; torch itself has 64. */
export const MAX_DIMENSIONS = 64;

/** Bytes of the list of a ZIP file's entries: two million entries of short names. */
export const MAX_DIRECTORY_BYTES = 256 * 2 ** 20;

/** Bytes that one compressed entry may grow to. torch never compresses; hand-made files are small. */
export const MAX_INFLATED_BYTES = 2 ** 30;

/** How many times its size a compressed entry may grow: what the compression can do at most. */
export const MAX_INFLATION = 1032;

/** Bytes of a tensor that repeats elements of a smaller storage, when it is read out in full. */
export const MAX_EXPANDED_BYTES = 256 * 2 ** 20;

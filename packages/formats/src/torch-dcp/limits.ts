/** Bounds on what a distributed checkpoint may ask of its reader, each with its reason. */

/** Pieces of all tensors together. Largest known: about 400,000, a mixture of experts with its optimizer on 2048 ranks. */
export const MAX_CHUNKS = 8_000_000;

/**
 * Cells of the grid that the cuts of one tensor make. Checkpoints cut along regular grids, one piece a cell; a file
 * made to have few pieces and a grid without end would otherwise stop its reader.
 */
export const MAX_GRID_CELLS = 16_000_000;

/** Dimensions of a tensor; torch itself has 64. */
export const MAX_DIMENSIONS = 64;

/** Files that each rank may have left its metadata in; as many as ranks. */
export const MAX_RANKS = 100_000;

/** Bytes of `metadata.json`, which has four fields. */
export const MAX_CONFIG_BYTES = 1_000_000;

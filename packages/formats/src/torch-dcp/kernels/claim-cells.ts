/**
 * Marks the cells of a grid that a box takes.
 *
 * Bounds: `first` and `end` have one index per axis with 0 <= first < end <= counts, so every cell number below is
 * under the product of the counts, which is the length of `taken`.
 */

/** A grid of cells, row-major, 1 where taken. */
export interface CellGrid {
  readonly counts: readonly number[];
  readonly taken: Uint8Array;
}

/**
 * Takes the cells from `first` up to `end` (exclusive) along every axis. Mutates: `grid.taken`.
 *
 * Returns how many there were, or -1 at the first one that was taken already.
 */
export function claimCells(
  grid: CellGrid,
  first: readonly number[],
  end: readonly number[],
): number {
  const { counts, taken } = grid;
  const axes = counts.length;
  const at = [...first];
  let claimed = 0;
  for (;;) {
    let cell = 0;
    for (let axis = 0; axis < axes; axis++) cell = cell * counts[axis]! + at[axis]!;
    if (taken[cell] === 1) return -1;
    taken[cell] = 1;
    claimed++;
    let axis = axes - 1;
    while (axis >= 0 && at[axis]! + 1 === end[axis]!) {
      at[axis] = first[axis]!;
      axis--;
    }
    if (axis < 0) return claimed;
    at[axis]!++;
  }
}

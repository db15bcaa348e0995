/** Checks that the pieces of a tensor are the tensor: inside of it, none over another, nothing left out. */
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { claimCells } from './kernels/claim-cells.js';
import { MAX_GRID_CELLS } from './limits.js';
import type { Box } from './metadata.js';

/**
 * Checks the boxes of one tensor. Boxes without elements count for nothing.
 *
 * The cuts along each dimension make a grid, of which every box takes whole cells; each cell must be taken once.
 * Throws: `DCP_CHUNK_OUT_OF_BOUNDS`, `DCP_CHUNKS_OVERLAP`, `DCP_CHUNKS_INCOMPLETE`, `DCP_CHUNKS_IRREGULAR`.
 * Cost: the cells of the grid; for the regular grids of real checkpoints as many as boxes.
 */
export function checkCoverage(
  tensor: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly chunks: readonly Box[];
  },
  where: string,
): void {
  const { shape } = tensor;
  const boxes = tensor.chunks.filter((box) => box.sizes.every((size) => size > 0));
  for (const box of boxes) checkBounds(tensor, box, where);
  if (shape.some((size) => size === 0)) return;
  const cuts = shape.map((size, axis) => cutsAlong(boxes, axis, size));
  const cells = cuts.reduce((product, places) => product * (places.length - 1), 1);
  if (cells > MAX_GRID_CELLS) {
    throw chunkError(
      DCP_ERRORS.DCP_CHUNKS_IRREGULAR,
      tensor,
      where,
      `its ${boxes.length} chunks are cut into a grid of ${cells} cells; at most ${MAX_GRID_CELLS} are checked`,
    );
  }
  const grid = { counts: cuts.map((places) => places.length - 1), taken: new Uint8Array(cells) };
  let total = 0;
  for (const box of boxes) {
    const first = box.offsets.map((offset, axis) => indexOf(cuts[axis], offset));
    const end = box.offsets.map((offset, axis) =>
      indexOf(cuts[axis], offset + (box.sizes[axis] ?? 0)),
    );
    const claimed = claimCells(grid, first, end);
    if (claimed < 0) {
      throw chunkError(
        DCP_ERRORS.DCP_CHUNKS_OVERLAP,
        tensor,
        where,
        `the chunk at [${box.offsets.join(', ')}] lies over another`,
      );
    }
    total += claimed;
  }
  if (total === cells) return;
  const hole = firstHole(grid, cuts);
  throw chunkError(
    DCP_ERRORS.DCP_CHUNKS_INCOMPLETE,
    tensor,
    where,
    `no chunk has the elements at [${hole.join(', ')}]`,
  );
}

function checkBounds(
  tensor: { readonly name: string; readonly shape: readonly number[] },
  box: Box,
  where: string,
): void {
  const isInside = tensor.shape.every(
    (size, axis) => (box.offsets[axis] ?? 0) + (box.sizes[axis] ?? 0) <= size,
  );
  if (isInside) return;
  throw chunkError(
    DCP_ERRORS.DCP_CHUNK_OUT_OF_BOUNDS,
    tensor,
    where,
    `the chunk at [${box.offsets.join(', ')}] of sizes [${box.sizes.join(', ')}] reaches out of the shape [${tensor.shape.join(', ')}]`,
  );
}

/** Places along an axis where some box begins or ends, and both ends of the axis, ascending. */
function cutsAlong(boxes: readonly Box[], axis: number, size: number): readonly number[] {
  const places = new Set([0, size]);
  for (const box of boxes) {
    const offset = box.offsets[axis] ?? 0;
    places.add(offset);
    places.add(offset + (box.sizes[axis] ?? 0));
  }
  return [...places].sort((a, b) => a - b);
}

/** Index of a place that is among the cuts, by halving. */
function indexOf(cuts: readonly number[] | undefined, place: number): number {
  let low = 0;
  let high = (cuts?.length ?? 1) - 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if ((cuts?.[middle] ?? 0) < place) low = middle + 1;
    else high = middle;
  }
  return low;
}

function firstHole(
  grid: { readonly counts: readonly number[]; readonly taken: Uint8Array },
  cuts: readonly (readonly number[])[],
): readonly number[] {
  let cell = grid.taken.indexOf(0);
  const place: number[] = [];
  for (let axis = grid.counts.length - 1; axis >= 0; axis--) {
    const count = grid.counts[axis] ?? 1;
    place.unshift(cuts[axis]?.[cell % count] ?? 0);
    cell = Math.floor(cell / count);
  }
  return place;
}

function chunkError(
  code: string,
  tensor: { readonly name: string },
  where: string,
  reason: string,
): TuneyardError {
  return new TuneyardError(code, `${where}: tensor ${quoteName(tensor.name)}: ${reason}`, {
    details: { tensor: tensor.name },
  });
}

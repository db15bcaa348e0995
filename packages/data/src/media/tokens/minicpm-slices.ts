/** How MiniCPM-V cuts a picture. Source: the image processor in the model directories of openbmb/MiniCPM-V-2_6. */
import type { PixelSize } from './resize.js';

/** Rows and columns of slices. */
export interface SliceGrid {
  readonly rows: number;
  readonly columns: number;
}

/**
 * The grid for a picture that has more pixels than `resolution`²; undefined for one that has not.
 *
 * The number of slices is the area's, or one more or less; the grid is the one whose shape is nearest on a log scale.
 */
export function slicedGrid(
  { width, height }: PixelSize,
  { resolution, maxSlices }: { readonly resolution: number; readonly maxSlices: number },
): SliceGrid | undefined {
  const wanted = Math.min(Math.ceil((width * height) / resolution ** 2), maxSlices);
  if (wanted <= 1) return undefined;
  const shape = Math.log(width / height);
  let best: SliceGrid = { rows: 1, columns: 1 };
  let nearest = Number.POSITIVE_INFINITY;
  for (const slices of [wanted - 1, wanted, wanted + 1]) {
    if (slices === 1 || slices > maxSlices) continue;
    for (let columns = 1; columns <= slices; columns++) {
      const rows = slices / columns;
      const distance = Math.abs(shape - Math.log(columns / rows));
      if (!Number.isInteger(rows) || distance >= nearest) continue;
      nearest = distance;
      best = { rows, columns };
    }
  }
  return best;
}

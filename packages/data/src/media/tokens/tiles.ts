/** How pictures are cut into tiles, and how many places their features take. Pure functions of sizes. */
import type { Resolution } from './processor-config.js';
import type { PixelSize } from './resize.js';

/**
 * The resolution that shows most of a picture's pixels, and of equals the one that wastes least.
 *
 * Source: transformers 4.52.4, `select_best_resolution`.
 */
export function bestResolution(size: PixelSize, choices: readonly Resolution[]): Resolution {
  const { width, height } = size;
  let best: Resolution = choices[0] ?? [height, width];
  let shownMost = 0;
  let wastedLeast = Number.POSITIVE_INFINITY;
  for (const choice of choices) {
    const [tall, wide] = choice;
    const scale = Math.min(wide / width, tall / height);
    const scaled = Math.trunc(width * scale) * Math.trunc(height * scale);
    const shown = Math.min(scaled, width * height);
    const wasted = wide * tall - shown;
    if (shown > shownMost || (shown === shownMost && wasted < wastedLeast)) {
      [best, shownMost, wastedLeast] = [choice, shown, wasted];
    }
  }
  return best;
}

/** What {@link anyResolutionFeatures} needs of a LLaVA-NeXT processor. */
export interface AnyResolution {
  readonly pinpoints: readonly Resolution[];
  /** Size of one tile, which is that of the vision tower's input. */
  readonly tile: PixelSize;
  readonly patchSize: number;
  /** Places that the vision tower adds, such as its class token. */
  readonly additionalTokens: number;
}

/**
 * Features of one picture: the whole in one tile, the parts without padding, and a line end per row.
 *
 * Source: transformers 4.52.4, LLaVA-NeXT processor.
 */
export function anyResolutionFeatures(size: PixelSize, config: AnyResolution): number {
  const { tile, patchSize } = config;
  const [bestHeight, bestWidth] = bestResolution(size, config.pinpoints);
  const rows = Math.floor(tile.height / patchSize);
  const columns = Math.floor(tile.width / patchSize);
  const parts = unpaddedGrid(size, {
    rows: rows * Math.floor(bestHeight / tile.height),
    columns: columns * Math.floor(bestWidth / tile.width),
  });
  return parts.rows * parts.columns + parts.rows + rows * columns + config.additionalTokens;
}

interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/** Takes away the rows or columns that only padding fills, the same number on both sides. */
function unpaddedGrid({ width, height }: PixelSize, { rows, columns }: Grid): Grid {
  if (width / height > columns / rows) {
    const used = truncateRounded(height * (columns / width));
    return { rows: rows - Math.floor((rows - used) / 2) * 2, columns };
  }
  const used = truncateRounded(width * (rows / height));
  return { rows, columns: columns - Math.floor((columns - used) / 2) * 2 };
}

/** Cut to a whole number after rounding to seven decimals, so that 11.99999999 is 12. */
function truncateRounded(value: number): number {
  return Math.trunc(Number(value.toFixed(7)));
}

/** How a picture may be tiled. */
export interface TileChoice {
  readonly tile: PixelSize;
  readonly minTiles: number;
  readonly maxTiles: number;
}

/**
 * InternVL's tiling: the grid whose shape is nearest to the picture's; of equals the larger one, as long as the
 * picture fills more than half of it.
 *
 * Source: transformers 4.52.4, GOT-OCR2 image processor, which InternVL uses.
 */
export function closestGrid(size: PixelSize, choice: TileChoice): Grid {
  const { tile, minTiles, maxTiles } = choice;
  const shape = size.width / size.height;
  const area = size.width * size.height;
  let best: Grid = { rows: 1, columns: 1 };
  let nearest = Number.POSITIVE_INFINITY;
  for (const grid of gridsByTiles(minTiles, maxTiles)) {
    const distance = Math.abs(shape - grid.columns / grid.rows);
    const isFilled = area > 0.5 * tile.height * tile.width * grid.columns * grid.rows;
    if (distance < nearest || (distance === nearest && isFilled)) best = grid;
    nearest = Math.min(nearest, distance);
  }
  return best;
}

/** Grids by their number of tiles, of equals the narrow ones first. */
function gridsByTiles(minTiles: number, maxTiles: number): Grid[] {
  const grids: Grid[] = [];
  for (let columns = 1; columns <= maxTiles; columns++) {
    for (let rows = 1; rows * columns <= maxTiles; rows++) {
      if (rows * columns >= minTiles) grids.push({ rows, columns });
    }
  }
  return grids.sort((a, b) => a.rows * a.columns - b.rows * b.columns);
}

/** Tiles of a picture, with the small picture of the whole where there are several. */
export function tileCount(size: PixelSize, choice: TileChoice): number {
  const { rows, columns } = closestGrid(size, choice);
  return rows * columns === 1 ? 1 : rows * columns + 1;
}

/** When Gemma 3 cuts a picture into parts. */
export interface PanAndScan {
  readonly minCropSize: number;
  readonly maxCrops: number;
  /** Longer side over shorter from which on it cuts. */
  readonly minRatio: number;
}

/** Parts of a picture besides the whole; 0 when it is not cut. Source: transformers 4.52.4, Gemma 3. */
export function panAndScanCrops(size: PixelSize, options: PanAndScan): number {
  const long = Math.max(size.width, size.height);
  const short = Math.min(size.width, size.height);
  if (long / short < options.minRatio) return 0;
  const wanted = Math.min(Math.floor(long / options.minCropSize), Math.floor(long / short + 0.5));
  const crops = Math.min(options.maxCrops, Math.max(2, wanted));
  return Math.min(Math.ceil(long / crops), short) < options.minCropSize ? 0 : crops;
}

/**
 * Plane geometry of conversions: rectangles of logical tensors, how they meet, and what is left of one when
 * another is taken out. Rows and columns are half open: [row, row + rows) × [col, col + cols).
 */
import type { Rectangle } from './logical-model.js';

/** A rectangle of one plane. */
export interface Block {
  readonly row: number;
  readonly col: number;
  readonly rows: number;
  readonly cols: number;
}

/** The part of the logical tensor that a rectangle holds. */
export function logicalBlock(rectangle: Rectangle): Block {
  return {
    row: rectangle.logicalRow,
    col: rectangle.logicalCol,
    rows: rectangle.rows,
    cols: rectangle.cols,
  };
}

/** The part of the stored tensor that a rectangle fills. */
export function storedBlock(rectangle: Rectangle): Block {
  const { storedRow: row, storedCol: col, rows, cols, transpose } = rectangle;
  return transpose ? { row, col, rows: cols, cols: rows } : { row, col, rows, cols };
}

/** Where the part `block` of the logical tensor lies in the stored one; it must be inside of the rectangle. */
export function locate(rectangle: Rectangle, block: Block): { row: number; col: number } {
  const down = block.row - rectangle.logicalRow;
  const right = block.col - rectangle.logicalCol;
  return rectangle.transpose
    ? { row: rectangle.storedRow + right, col: rectangle.storedCol + down }
    : { row: rectangle.storedRow + down, col: rectangle.storedCol + right };
}

/** What two blocks have in common, or null. */
export function intersect(a: Block, b: Block): Block | null {
  const row = Math.max(a.row, b.row);
  const col = Math.max(a.col, b.col);
  const rows = Math.min(a.row + a.rows, b.row + b.rows) - row;
  const cols = Math.min(a.col + a.cols, b.col + b.cols) - col;
  return rows > 0 && cols > 0 ? { row, col, rows, cols } : null;
}

/** What is left of `block` without `taken`, which lies inside of it: at most four blocks. */
export function subtract(block: Block, taken: Block): readonly Block[] {
  const below = taken.row + taken.rows;
  const right = taken.col + taken.cols;
  const rest: Block[] = [
    { ...block, rows: taken.row - block.row },
    { ...block, row: below, rows: block.row + block.rows - below },
    { ...block, row: taken.row, rows: taken.rows, cols: taken.col - block.col },
    {
      row: taken.row,
      rows: taken.rows,
      col: right,
      cols: block.col + block.cols - right,
    },
  ];
  return rest.filter(({ rows, cols }) => rows > 0 && cols > 0);
}

/**
 * The first two blocks that overlap, or null. Cost: sorts; then each block is compared with those that reach below its
 * first row, which for tensors made of row blocks is none.
 */
export function findOverlap(blocks: readonly Block[]): readonly [Block, Block] | null {
  const sorted = [...blocks].sort((a, b) => a.row - b.row || a.col - b.col);
  let active: Block[] = [];
  for (const block of sorted) {
    active = active.filter(({ row, rows }) => row + rows > block.row);
    const other = active.find((candidate) => intersect(candidate, block) !== null);
    if (other !== undefined) return [other, block];
    active.push(block);
  }
  return null;
}

/** Number of elements. */
export function area(blocks: readonly Block[]): number {
  return blocks.reduce((sum, { rows, cols }) => sum + rows * cols, 0);
}

/** `rows 4…8 × columns 0…16`, as messages say it. */
export function describeBlock({ row, col, rows, cols }: Block): string {
  return `rows ${row}…${row + rows} × columns ${col}…${col + cols}`;
}

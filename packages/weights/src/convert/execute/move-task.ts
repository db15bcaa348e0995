/** What a worker does at a time: read blocks of one tensor, or gather blocks of one, and write them elsewhere. */

/** Where the numbers of a tensor lie in a file. */
export interface TensorPlace {
  /** Index into the run's source or target files. */
  readonly file: number;
  /** Byte offset of element [0, 0]. */
  readonly begin: number;
  readonly rows: number;
  readonly cols: number;
  /** Bytes per element. */
  readonly size: number;
}

/** A rectangle of a tensor. */
export interface Extent {
  readonly row: number;
  readonly col: number;
  readonly rows: number;
  readonly cols: number;
}

/** A rectangle on its way from a source to a target tensor. */
export interface Move {
  readonly source: TensorPlace;
  readonly target: TensorPlace;
  /** Index of the target tensor among all of the plan. */
  readonly targetIndex: number;
  readonly from: { readonly row: number; readonly col: number };
  /** In the target; the source's rectangle is turned with `transpose`. */
  readonly to: Extent;
  readonly transpose: boolean;
  /** Place in the kernels' table of casts; null moves bytes. */
  readonly cast: number | null;
}

/** Unit of work: blocks of rows of one rectangle, with all that moves out of it, or into it. */
export interface MoveTask {
  /** 'source': each block is read once and scattered. 'target': each block is gathered and written once. */
  readonly drive: 'source' | 'target';
  readonly place: TensorPlace;
  readonly extent: Extent;
  /** Rows of `extent` in memory at a time. */
  readonly blockRows: number;
  /** Bytes of memory for a block with all that is made of it. */
  readonly regions: BlockRegions;
  /** Every one inside `extent`. */
  readonly moves: readonly Move[];
}

/** Bytes of the parts of the memory. */
export interface BlockRegions {
  /** What was read. */
  readonly input: number;
  /** Between a cast and a transpose. */
  readonly middle: number;
  /** What is to be written. */
  readonly output: number;
  /** What was written before, to compare with. */
  readonly check: number;
}

/** The rectangle of a move in its source. */
export function sourceExtent({ from, to, transpose }: Move): Extent {
  const [rows, cols] = transpose ? [to.cols, to.rows] : [to.rows, to.cols];
  return { row: from.row, col: from.col, rows, cols };
}

/**
 * The part of a move inside `window`, a rectangle of the source or of the target tensor; null when nothing is.
 */
export function clipMove(move: Move, window: Extent, side: 'source' | 'target'): Move | null {
  const own = side === 'target' ? move.to : sourceExtent(move);
  const row = Math.max(own.row, window.row);
  const col = Math.max(own.col, window.col);
  const rows = Math.min(own.row + own.rows, window.row + window.rows) - row;
  const cols = Math.min(own.col + own.cols, window.col + window.cols) - col;
  if (rows <= 0 || cols <= 0) return null;
  const isWhole = rows === own.rows && cols === own.cols;
  if (isWhole) return move;
  const down = row - own.row;
  const right = col - own.col;
  // Steps along rows of one side are steps along columns of the other when the rectangle is turned.
  const isTurned = move.transpose;
  const isTarget = side === 'target';
  const fromSteps = isTarget && isTurned ? { down: right, right: down } : { down, right };
  const toSteps = !isTarget && isTurned ? { down: right, right: down } : { down, right };
  const size = !isTarget && isTurned ? { rows: cols, cols: rows } : { rows, cols };
  return {
    ...move,
    from: { row: move.from.row + fromSteps.down, col: move.from.col + fromSteps.right },
    to: { row: move.to.row + toSteps.down, col: move.to.col + toSteps.right, ...size },
  };
}

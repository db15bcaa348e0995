/**
 * Joins pieces of one target tensor that continue each other on both sides, so that a block of rows is one piece
 * whatever rectangles it was found by.
 */
import type { Piece } from './logical-model.js';

/** Joins what can be joined, and sorts by target row, then column. Cost: a few sorts. */
export function mergePieces(pieces: readonly Piece[]): readonly Piece[] {
  let merged = pieces;
  for (;;) {
    const before = merged.length;
    merged = joinRuns(merged, byColumn, joinDown);
    merged = joinRuns(merged, byRow, joinRight);
    if (merged.length === before) return merged;
  }
}

const byRow = (a: Piece, b: Piece): number =>
  a.targetRow - b.targetRow || a.targetCol - b.targetCol;
const byColumn = (a: Piece, b: Piece): number =>
  a.targetCol - b.targetCol || a.targetRow - b.targetRow;

function joinRuns(
  pieces: readonly Piece[],
  order: (a: Piece, b: Piece) => number,
  join: (a: Piece, b: Piece) => Piece | null,
): readonly Piece[] {
  const joined: Piece[] = [];
  for (const piece of [...pieces].sort(order)) {
    const last = joined.at(-1);
    const both = last === undefined ? null : join(last, piece);
    if (both === null) joined.push(piece);
    else joined[joined.length - 1] = both;
  }
  return joined;
}

function joinDown(a: Piece, b: Piece): Piece | null {
  if (a.source !== b.source || a.transpose !== b.transpose) return null;
  if (a.targetCol !== b.targetCol || a.cols !== b.cols) return null;
  if (a.targetRow + a.rows !== b.targetRow) return null;
  const follows = a.transpose
    ? a.sourceRow === b.sourceRow && a.sourceCol + a.rows === b.sourceCol
    : a.sourceCol === b.sourceCol && a.sourceRow + a.rows === b.sourceRow;
  return follows ? { ...a, rows: a.rows + b.rows } : null;
}

function joinRight(a: Piece, b: Piece): Piece | null {
  if (a.source !== b.source || a.transpose !== b.transpose) return null;
  if (a.targetRow !== b.targetRow || a.rows !== b.rows) return null;
  if (a.targetCol + a.cols !== b.targetCol) return null;
  const follows = a.transpose
    ? a.sourceCol === b.sourceCol && a.sourceRow + a.cols === b.sourceRow
    : a.sourceRow === b.sourceRow && a.sourceCol + a.cols === b.sourceCol;
  return follows ? { ...a, cols: a.cols + b.cols } : null;
}

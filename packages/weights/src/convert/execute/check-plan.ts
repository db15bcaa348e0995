/** What a plan must keep before anything is read or written; a plan may come from a hostile model's index. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { castKind } from '../../kernels/simd/tensor-moves.js';
import type { ConversionPlan, Piece, SourceTensor, TargetTensor } from '../logical-model.js';
import { ELEMENT_BYTES } from './element-sizes.js';

/**
 * Checks a plan by itself.
 *
 * Throws: `WEIGHTS_CONVERT_PLAN` when a path leaves the output directory or is used twice, a piece is not inside its
 * tensors, an element is written twice or never, or a type cannot be cast.
 */
export function checkPlan(plan: ConversionPlan): void {
  const paths = new Set<string>();
  for (const source of plan.sources) checkSource(source);
  for (const file of plan.files) {
    const where = `Output file ${JSON.stringify(file.path)}`;
    if (!isPlainPath(file.path)) throw badPlan(`${where} is not a path inside of the directory`);
    if (paths.has(file.path)) throw badPlan(`${where} is written twice`);
    paths.add(file.path);
    for (const tensor of file.tensors) checkTarget(plan, tensor, `${where}, tensor ${tensor.name}`);
  }
}

/** Relative, with no step up, and the same on every system. */
function isPlainPath(path: string): boolean {
  return path
    .split('/')
    .every((part) => part !== '' && part !== '.' && part !== '..' && !/[\\:\0]/.test(part));
}

function checkSource(source: SourceTensor): void {
  const { name, rows, cols, begin } = source;
  const end = begin + rows * cols * ELEMENT_BYTES[source.dtype];
  if (![rows, cols, begin, end].every((value) => Number.isSafeInteger(value) && value >= 0)) {
    throw badPlan(`Source tensor ${name} has ${rows} × ${cols} elements at byte ${begin}`);
  }
}

function checkTarget(plan: ConversionPlan, tensor: TargetTensor, where: string): void {
  const { rows, cols, shape } = tensor;
  const elements = shape.reduce((product, size) => product * size, 1);
  if (elements !== rows * cols || !Number.isSafeInteger(elements) || rows < 0 || cols < 0) {
    throw badPlan(`${where}: ${rows} × ${cols} elements are not those of shape [${shape}]`);
  }
  for (const piece of tensor.pieces) checkPiece(plan, tensor, { piece, where });
  checkTiling(tensor, where);
}

function checkPiece(
  plan: ConversionPlan,
  tensor: TargetTensor,
  { piece, where }: { piece: Piece; where: string },
): void {
  const source = plan.sources[piece.source];
  if (source === undefined) throw badPlan(`${where}: there is no source ${piece.source}`);
  const [fromRows, fromCols] = piece.transpose
    ? [piece.cols, piece.rows]
    : [piece.rows, piece.cols];
  const isInside =
    piece.rows > 0 &&
    piece.cols > 0 &&
    isRange(piece.sourceRow, fromRows, source.rows) &&
    isRange(piece.sourceCol, fromCols, source.cols) &&
    isRange(piece.targetRow, piece.rows, tensor.rows) &&
    isRange(piece.targetCol, piece.cols, tensor.cols);
  if (!isInside) {
    throw badPlan(`${where}: a piece of ${source.name} is not inside of both tensors`);
  }
  if (source.dtype !== tensor.dtype && castKind(source.dtype, tensor.dtype) === null) {
    throw badPlan(`${where}: ${source.name} of type ${source.dtype} cannot become ${tensor.dtype}`);
  }
}

function isRange(begin: number, length: number, limit: number): boolean {
  return Number.isSafeInteger(begin) && begin >= 0 && begin + length <= limit;
}

/** Sweeps down the rows: in every band between two edges, the pieces must lie side by side from end to end. */
function checkTiling(tensor: TargetTensor, where: string): void {
  const { rows, cols, pieces } = tensor;
  if (rows * cols === 0) return;
  const byRow = [...pieces].sort((a, b) => a.targetRow - b.targetRow);
  const edges = new Set([0, rows]);
  for (const { targetRow, rows: height } of pieces) edges.add(targetRow).add(targetRow + height);
  const tops = [...edges].sort((a, b) => a - b);
  let active: Piece[] = [];
  let next = 0;
  for (const top of tops.slice(0, -1)) {
    active = active.filter((piece) => piece.targetRow + piece.rows > top);
    for (let piece = byRow[next]; piece?.targetRow === top; piece = byRow[++next]) {
      active.push(piece);
    }
    active.sort((a, b) => a.targetCol - b.targetCol);
    let right = 0;
    for (const piece of active) {
      if (piece.targetCol !== right) throw badTiling(where, { row: top, col: right }, piece);
      right += piece.cols;
    }
    if (right !== cols) throw badTiling(where, { row: top, col: right }, null);
  }
}

function badTiling(
  where: string,
  { row, col }: { row: number; col: number },
  piece: Piece | null,
): TuneyardError {
  const isTwice = piece !== null && piece.targetCol < col;
  return badPlan(
    `${where}: element [${row}, ${isTwice ? piece.targetCol : col}] is written ${isTwice ? 'twice' : 'by no piece'}`,
  );
}

/** The error of a plan that cannot be run. */
export function badPlan(message: string): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_CONVERT_PLAN, message, { category: 'internal' });
}

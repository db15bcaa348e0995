/**
 * Divides a conversion into tasks: each reads its part of the sources once and writes its part of the targets once, no
 * two write the same byte, and none needs more memory than a worker has.
 */
import { castKind } from '../../kernels/simd/tensor-moves.js';
import type { ConversionPlan } from '../logical-model.js';
import { groupMoves, type TensorGroup } from './choose-drive.js';
import { ELEMENT_BYTES } from './element-sizes.js';
import {
  type BlockRegions,
  clipMove,
  type Extent,
  type Move,
  type MoveTask,
  sourceExtent,
  type TensorPlace,
} from './move-task.js';

/** Memory of a worker. */
export interface TaskLimits {
  /** Bytes of a block that only passes through; small enough for the processor's cache. */
  readonly blockBytes: number;
  /** Bytes that a worker may use at all: for blocks that gain from being large. */
  readonly arenaBytes: number;
  /** A second copy of what is written is needed, to compare. */
  readonly isCompared: boolean;
}

/** Bytes of one task's tensor, so that workers stay evenly busy and progress is seen. */
const TASK_BYTES = 16 * 1024 * 1024;
/** Rows of a turned block are a multiple of this, so that whole tiles are turned and whole lines written. */
const TILE_ROWS = 64;

/** Where a target tensor is laid out; null for one that needs no work any more. */
export type LayOut = (targetIndex: number) => TensorPlace | null;

/**
 * Yields the tasks of a plan, those of the first target files first. A group's tasks follow each other.
 *
 * `fileOf` gives the index of a source's file.
 */
export function* planTasks(
  plan: ConversionPlan,
  { fileOf, layOut }: { readonly fileOf: (path: string) => number; readonly layOut: LayOut },
  limits: TaskLimits,
): Generator<MoveTask> {
  const moves = collectMoves(plan, fileOf, layOut);
  const groups = groupMoves(moves, limits.blockBytes).map((group) => ({
    group,
    rank: Math.min(...group.moves.map(({ target }) => target.file)),
  }));
  // The sort is stable: within a file, tasks follow the order of the plan.
  groups.sort((a, b) => a.rank - b.rank);
  for (const { group } of groups) yield* tasksOfGroup(group, limits);
}

function collectMoves(
  plan: ConversionPlan,
  fileOf: (path: string) => number,
  layOut: LayOut,
): Move[] {
  const sources = plan.sources.map(
    ({ file, begin, rows, cols, dtype }): TensorPlace => ({
      file: fileOf(file),
      begin,
      rows,
      cols,
      size: ELEMENT_BYTES[dtype],
    }),
  );
  const moves: Move[] = [];
  let targetIndex = 0;
  for (const tensor of plan.files.flatMap((file) => file.tensors)) {
    const target = layOut(targetIndex);
    for (const piece of target === null ? [] : tensor.pieces) {
      const source = sources[piece.source];
      const dtype = plan.sources[piece.source]?.dtype;
      if (target === null || source === undefined || dtype === undefined) continue;
      moves.push({
        source,
        target,
        targetIndex,
        from: { row: piece.sourceRow, col: piece.sourceCol },
        to: { row: piece.targetRow, col: piece.targetCol, rows: piece.rows, cols: piece.cols },
        transpose: piece.transpose,
        cast: castKind(dtype, tensor.dtype),
      });
    }
    targetIndex += 1;
  }
  return moves;
}

function* tasksOfGroup({ drive, moves }: TensorGroup, limits: TaskLimits): Generator<MoveTask> {
  const byPlace = new Map<TensorPlace, Move[]>();
  for (const move of moves) {
    const place = move[drive];
    const own = byPlace.get(place);
    if (own === undefined) byPlace.set(place, [move]);
    else own.push(move);
  }
  for (const [place, own] of byPlace) yield* tasksOfTensor(drive, { place, moves: own }, limits);
}

function* tasksOfTensor(
  drive: MoveTask['drive'],
  { place, moves }: { readonly place: TensorPlace; readonly moves: readonly Move[] },
  limits: TaskLimits,
): Generator<MoveTask> {
  const bounds = boundsOf(moves.map((move) => extentOn(move, drive)));
  const extent = drive === 'source' ? wholeRows(bounds, place) : bounds;
  const perElement = elementRegions(drive, moves, limits.isCompared);
  const isTurned = moves.some(({ transpose }) => transpose);
  const elements = (bytes: number): number => Math.floor(bytes / totalOf(perElement));
  const capacity = elements(isTurned ? limits.arenaBytes : limits.blockBytes);
  const cols = Math.min(extent.cols, elements(limits.arenaBytes));
  let blockRows = Math.min(extent.rows, Math.max(1, Math.floor(capacity / cols)));
  if (isTurned && blockRows < extent.rows && blockRows > TILE_ROWS) {
    blockRows -= blockRows % TILE_ROWS;
  }
  const blocks = Math.max(1, Math.floor(TASK_BYTES / (blockRows * cols * place.size)));
  const regions = scaleRegions(perElement, blockRows * cols);
  for (const window of windows(extent, { rows: blocks * blockRows, cols })) {
    const inside = moves.flatMap((move) => clipMove(move, window, drive) ?? []);
    if (inside.length === 0) continue;
    yield { drive, place, extent: window, blockRows, regions, moves: inside };
  }
}

function extentOn(move: Move, drive: MoveTask['drive']): Extent {
  return drive === 'target' ? move.to : sourceExtent(move);
}

/** The rectangle around all of them. */
function boundsOf(extents: readonly Extent[]): Extent {
  let [top, left, bottom, right] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 0, 0];
  for (const { row, col, rows, cols } of extents) {
    top = Math.min(top, row);
    left = Math.min(left, col);
    bottom = Math.max(bottom, row + rows);
    right = Math.max(right, col + cols);
  }
  return { row: top, col: left, rows: bottom - top, cols: right - left };
}

/** Whole rows when most of each is needed, because they are read in one go. */
function wholeRows(extent: Extent, place: TensorPlace): Extent {
  return 2 * extent.cols > place.cols ? { ...extent, col: 0, cols: place.cols } : extent;
}

/** Bytes of each region for one element of the block. */
function elementRegions(
  drive: MoveTask['drive'],
  moves: readonly Move[],
  isCompared: boolean,
): BlockRegions {
  const sourceSize = Math.max(...moves.map(({ source }) => source.size));
  const targetSize = Math.max(...moves.map(({ target }) => target.size));
  const isCastTurned = moves.some(({ cast, transpose }) => transpose && cast !== null);
  const isMoved =
    drive === 'target' ||
    moves.some(({ cast, transpose, to, source }) => {
      return cast !== null || transpose || to.cols < source.cols;
    });
  return {
    input: sourceSize,
    middle: isCastTurned ? targetSize : 0,
    output: isMoved ? targetSize : 0,
    check: isCompared ? targetSize : 0,
  };
}

function totalOf({ input, middle, output, check }: BlockRegions): number {
  return input + middle + output + check;
}

function scaleRegions(
  { input, middle, output, check }: BlockRegions,
  elements: number,
): BlockRegions {
  return {
    input: input * elements,
    middle: middle * elements,
    output: output * elements,
    check: check * elements,
  };
}

function* windows(extent: Extent, step: { rows: number; cols: number }): Generator<Extent> {
  const bottom = extent.row + extent.rows;
  const right = extent.col + extent.cols;
  for (let row = extent.row; row < bottom; row += step.rows) {
    for (let col = extent.col; col < right; col += step.cols) {
      yield {
        row,
        col,
        rows: Math.min(step.rows, bottom - row),
        cols: Math.min(step.cols, right - col),
      };
    }
  }
}

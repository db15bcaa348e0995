/** Qwen's three-dimensional position ids: time, height and width of each token. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../../errors.js';
import type { PatchGrid } from './plugin.js';

/** What the positions are made from. */
export interface MropeInput {
  readonly ids: Int32Array;
  readonly imageTokenId: number;
  readonly videoTokenId: number;
  /** Patches of each picture, in order. */
  readonly imageGrids: readonly PatchGrid[];
  /** Patches of each video, in order. */
  readonly videoGrids: readonly PatchGrid[];
  /** Patches that become one token on each side; default 2. */
  readonly mergeSize?: number;
  /**
   * Positions from one step in time to the next, per video: 1 for Qwen2-VL, which is the default; `tokens_per_second`
   * times the seconds per step for Qwen2.5-VL (transformers 4.52 cuts the seconds to a whole number first).
   */
  readonly videoSteps?: readonly number[];
}

/** Positions of one sequence. */
export interface MropePositions {
  /** Rows time, height, width, each as long as the ids. */
  readonly positions: Int32Array;
  /** What to add to a token's index for the position of the next one: largest position + 1 − length. */
  readonly delta: number;
}

/**
 * Numbers the tokens of a sequence as Qwen2-VL does: text counts up in all three rows; the tokens of a picture or
 * video count their place in its grid, from the position after the text before them.
 *
 * Throws: `DATA_BAD_OPTION` when the grids and the runs of media tokens do not match.
 * Checked against: transformers 4.52.4 `get_rope_index`, exact.
 */
export function mropePositions(input: MropeInput): MropePositions {
  const { ids, mergeSize = 2 } = input;
  const positions = new Int32Array(3 * ids.length);
  const queues = new Map([
    [input.imageTokenId, imageRuns(input)],
    [input.videoTokenId, videoRuns(input)],
  ]);
  let next = 0;
  for (let at = 0; at < ids.length; ) {
    const queue = queues.get(ids[at] ?? -1);
    if (queue === undefined) {
      for (let row = 0; row < 3; row++) positions[row * ids.length + at] = next;
      next += 1;
      at += 1;
      continue;
    }
    const run = queue.shift();
    const grid = mergedGrid(run?.grid, mergeSize);
    const count = grid[0] * grid[1] * grid[2];
    if (run === undefined || !isRun(ids, { at, count })) throw badRun(at, run?.grid);
    next = placeGrid(positions, { at, from: next, grid, step: run.step });
    at += count;
  }
  for (const rest of queues.values()) if (rest.length > 0) throw badRun(ids.length);
  return { positions, delta: next - ids.length };
}

/** A grid and the positions between its moments. */
interface GridRun {
  readonly grid: PatchGrid;
  readonly step: number;
}

function imageRuns({ imageGrids }: MropeInput): GridRun[] {
  return imageGrids.map((grid) => ({ grid, step: 1 }));
}

function videoRuns({ videoGrids, videoSteps = [] }: MropeInput): GridRun[] {
  return videoGrids.map((grid, index) => ({ grid, step: videoSteps[index] ?? 1 }));
}

function mergedGrid([time, height, width]: PatchGrid = [0, 0, 0], mergeSize: number): PatchGrid {
  return [time, Math.floor(height / mergeSize), Math.floor(width / mergeSize)];
}

interface Run {
  readonly at: number;
  readonly count: number;
}

function isRun(ids: Int32Array, { at, count }: Run): boolean {
  if (count === 0 || at + count > ids.length) return false;
  for (let i = at; i < at + count; i++) if (ids[i] !== ids[at]) return false;
  return true;
}

interface Placement {
  readonly at: number;
  /** Position of the grid's first corner. */
  readonly from: number;
  readonly grid: PatchGrid;
  readonly step: number;
}

/** Writes the positions of one grid and returns the position after its largest. */
function placeGrid(positions: Int32Array, { at, from, grid, step }: Placement): number {
  const [times, rows, columns] = grid;
  const length = positions.length / 3;
  let place = at;
  let largest = from;
  for (let time = 0; time < times; time++) {
    const moment = from + Math.trunc(time * step);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        positions[place] = moment;
        positions[length + place] = from + row;
        positions[2 * length + place] = from + column;
        place += 1;
      }
    }
    largest = Math.max(largest, moment);
  }
  return Math.max(largest, from + rows - 1, from + columns - 1) + 1;
}

function badRun(at: number, grid?: PatchGrid): TuneyardError {
  const found =
    grid === undefined ? 'as many media as grids' : `a run for the grid ${grid.join('×')}`;
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, `token ${at}: expected ${found}`);
}

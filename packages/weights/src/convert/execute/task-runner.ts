/**
 * Runs tasks: bytes are read into the kernels' memory, moved there, and written from it.
 *
 * Calls of the system are synchronous, because a thread has nothing else to do: a block goes through the processor's
 * cache in one go. Two orders of the same work: a block of source rows is read once and each move takes its part;
 * or each move reads its part and a block of target rows is written once.
 */
import { openTensorMoves } from '../../kernels/simd/open-tensor-moves.js';
import { FIRST_ADDRESS, type TensorMoves } from '../../kernels/simd/tensor-moves.js';
import type { FileTable } from './file-table.js';
import {
  clipMove,
  type Extent,
  type Move,
  type MoveTask,
  sourceExtent,
  type TensorPlace,
} from './move-task.js';

/** Takes what is ready for a rectangle of a target tensor. */
export interface BlockSink {
  /** `bytes` are the rows of the rectangle, `stride` bytes apart; `room` is memory for as many bytes. */
  put(target: TargetRectangle, bytes: StridedBytes, room: Uint8Array): void;
}

/** A rectangle of a target tensor. */
export interface TargetRectangle {
  readonly index: number;
  readonly place: TensorPlace;
  readonly extent: Extent;
}

/** Rows in memory. */
export interface StridedBytes {
  readonly memory: TensorMoves;
  readonly at: number;
  readonly stride: number;
}

/** What a task did. */
export interface TaskCount {
  readBytes: number;
  /** Finite values that became infinite, by target tensor. */
  readonly overflows: Map<number, number>;
}

/** Addresses of the regions of one block. */
interface Regions {
  readonly input: number;
  readonly middle: number;
  readonly output: number;
  readonly check: number;
  readonly checkBytes: number;
}

const ALIGNMENT = 64;

/** One memory with its kernels; for one thread. */
export class TaskRunner {
  readonly #sources: FileTable;
  readonly #sink: BlockSink;
  readonly #checkStop: () => void;
  readonly #memory = openTensorMoves();
  #count: TaskCount = { readBytes: 0, overflows: new Map() };

  /** `checkStop` is called before every block; what it throws ends the task. */
  constructor(options: { sources: FileTable; sink: BlockSink; checkStop: () => void }) {
    this.#sources = options.sources;
    this.#sink = options.sink;
    this.#checkStop = options.checkStop;
  }

  /** Runs one task to its end. Throws: what reading, the sink and `checkStop` throw. */
  run(task: MoveTask): TaskCount {
    this.#count = { readBytes: 0, overflows: new Map() };
    const regions = this.#layOut(task);
    const { extent, blockRows } = task;
    const bottom = extent.row + extent.rows;
    for (let row = extent.row; row < bottom; row += blockRows) {
      this.#checkStop();
      const window = { ...extent, row, rows: Math.min(blockRows, bottom - row) };
      const moves = task.moves.flatMap((move) => clipMove(move, window, task.drive) ?? []);
      if (moves.length === 0) continue;
      if (task.drive === 'source') this.#scatter(task, { window, moves, regions });
      else this.#gather(task, { window, moves, regions });
    }
    return this.#count;
  }

  #layOut({ regions }: MoveTask): Regions {
    let end = FIRST_ADDRESS;
    const take = (bytes: number): number => {
      const at = end;
      end += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
      return at;
    };
    const addresses = {
      input: take(regions.input),
      middle: take(regions.middle),
      output: take(regions.output),
      check: take(regions.check),
      checkBytes: regions.check,
    };
    this.#memory.reserve(end);
    return addresses;
  }

  #scatter(
    { place }: MoveTask,
    { window, moves, regions }: { window: Extent; moves: readonly Move[]; regions: Regions },
  ): void {
    this.#read(place, window, { at: regions.input, stride: window.cols * place.size });
    const stride = window.cols * place.size;
    for (const move of moves) {
      const own = sourceExtent(move);
      const at =
        regions.input + (own.row - window.row) * stride + (own.col - window.col) * place.size;
      // Rows that fill their tensor become one write, so they are packed first.
      const isPacked = own.cols * place.size === stride;
      const staysInPlace =
        move.cast === null && !move.transpose && (isPacked || move.to.cols < move.target.cols);
      const target = { index: move.targetIndex, place: move.target, extent: move.to };
      if (staysInPlace) {
        this.#put(target, { at, stride }, regions);
        continue;
      }
      const outStride = move.to.cols * move.target.size;
      this.#move(move, { at, stride }, { at: regions.output, stride: outStride }, regions.middle);
      this.#put(target, { at: regions.output, stride: outStride }, regions);
    }
  }

  #gather(
    { place }: MoveTask,
    { window, moves, regions }: { window: Extent; moves: readonly Move[]; regions: Regions },
  ): void {
    const stride = window.cols * place.size;
    for (const move of moves) {
      const own = sourceExtent(move);
      const at =
        regions.output +
        (move.to.row - window.row) * stride +
        (move.to.col - window.col) * place.size;
      if (move.cast === null && !move.transpose && move.to.cols === window.cols) {
        this.#read(move.source, own, { at, stride });
        continue;
      }
      const inStride = own.cols * move.source.size;
      this.#read(move.source, own, { at: regions.input, stride: inStride });
      this.#move(move, { at: regions.input, stride: inStride }, { at, stride }, regions.middle);
    }
    const index = moves[0]?.targetIndex ?? 0;
    this.#put({ index, place, extent: window }, { at: regions.output, stride }, regions);
  }

  /** Reads a rectangle of a source tensor: whole rows in one call, parts of rows row by row. */
  #read(place: TensorPlace, extent: Extent, to: { at: number; stride: number }): void {
    const { bytes } = this.#memory;
    const rowBytes = extent.cols * place.size;
    const begin = place.begin + (extent.row * place.cols + extent.col) * place.size;
    if (extent.cols === place.cols && to.stride === rowBytes) {
      const length = extent.rows * rowBytes;
      this.#sources.read(place.file, bytes.subarray(to.at, to.at + length), begin);
    } else {
      for (let row = 0; row < extent.rows; row++) {
        const at = to.at + row * to.stride;
        const position = begin + row * place.cols * place.size;
        this.#sources.read(place.file, bytes.subarray(at, at + rowBytes), position);
      }
    }
    this.#count.readBytes += extent.rows * rowBytes;
  }

  #move(
    move: Move,
    from: { at: number; stride: number },
    to: { at: number; stride: number },
    middle: number,
  ): void {
    const { rows, cols } = sourceExtent(move);
    const moved = {
      src: from.at,
      srcStride: from.stride,
      dst: to.at,
      dstStride: to.stride,
      rows,
      cols,
    };
    const { size } = move.target;
    if (move.cast === null) {
      if (move.transpose) this.#memory.transposeRows(size, moved);
      else this.#memory.copyRows(size, moved);
      return;
    }
    if (!move.transpose) {
      this.#cast(move, move.cast, moved);
      return;
    }
    const packed = cols * size;
    this.#cast(move, move.cast, { ...moved, dst: middle, dstStride: packed });
    this.#memory.transposeRows(size, { ...moved, src: middle, srcStride: packed });
  }

  #cast(move: Move, kind: number, moved: Parameters<TensorMoves['castRows']>[1]): void {
    const overflows = this.#memory.castRows(kind, moved);
    if (overflows === 0) return;
    const all = this.#count.overflows;
    all.set(move.targetIndex, (all.get(move.targetIndex) ?? 0) + overflows);
  }

  #put(target: TargetRectangle, from: { at: number; stride: number }, regions: Regions): void {
    const memory = this.#memory;
    const room = memory.bytes.subarray(regions.check, regions.check + regions.checkBytes);
    this.#sink.put(target, { memory, ...from }, room);
  }
}

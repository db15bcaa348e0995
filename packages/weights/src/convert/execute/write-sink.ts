/** Writes blocks into target files, and adds up the CRCs of what it writes where the format has them. */
import type { FileTable } from './file-table.js';
import { crc32, shiftCrc, shiftFactor } from './kernels/crc-shift.js';
import type { BlockSink, StridedBytes, TargetRectangle } from './task-runner.js';

/** Settings of {@link WriteSink}. */
export interface WriteSinkOptions {
  readonly files: FileTable;
  /** By index of the target file: its format stores a CRC of each tensor. */
  readonly hasCrc: readonly boolean[];
  /** Leave out zeros: the file is a hole there already. */
  readonly isSparse: boolean;
}

/** A sink that writes. */
export class WriteSink implements BlockSink {
  readonly #options: WriteSinkOptions;
  /** By target tensor: exclusive or of what its written segments add to its CRC. */
  #crcs = new Map<number, number>();
  /** By target file: bytes of rectangles that are done. */
  #written = new Map<number, number>();

  constructor(options: WriteSinkOptions) {
    this.#options = options;
  }

  put(target: TargetRectangle, { memory, at, stride }: StridedBytes): void {
    const { index, place, extent } = target;
    const rowBytes = extent.cols * place.size;
    const pitch = place.cols * place.size;
    const begin = (extent.row * place.cols + extent.col) * place.size;
    // Whole rows lie one after the other in the file too.
    const isOne = rowBytes === pitch && stride === rowBytes;
    const [count, bytes] = isOne ? [1, rowBytes * extent.rows] : [extent.rows, rowBytes];
    for (let row = 0; row < count; row++) {
      const from = at + row * stride;
      if (this.#options.isSparse && memory.isZero(from, bytes)) continue;
      const segment = memory.bytes.subarray(from, from + bytes);
      this.#options.files.write(place.file, segment, place.begin + begin + row * pitch);
    }
    if (this.#options.hasCrc[place.file] === true) {
      const segments = { begin, count, bytes, pitch, after: place.rows * pitch };
      this.#addCrc(index, segments, { memory, at, stride });
    }
    this.#written.set(place.file, (this.#written.get(place.file) ?? 0) + rowBytes * extent.rows);
  }

  /** Hands over what was counted since the last time. */
  takeCounts(): { crcs: Map<number, number>; written: Map<number, number>; mismatch: null } {
    const counts = { crcs: this.#crcs, written: this.#written, mismatch: null };
    this.#crcs = new Map();
    this.#written = new Map();
    return counts;
  }

  /** Adds segments that lie `pitch` bytes apart in the tensor, of which `after` is the end. */
  #addCrc(
    index: number,
    segments: { begin: number; count: number; bytes: number; pitch: number; after: number },
    { memory, at, stride }: StridedBytes,
  ): void {
    const { begin, count, bytes, pitch, after } = segments;
    const step = count > 1 ? shiftFactor(pitch) : 0;
    let crc = 0;
    for (let row = 0; row < count; row++) {
      const from = at + row * stride;
      const own = crc32(memory.bytes.subarray(from, from + bytes));
      crc = row === 0 ? own : shiftCrc(crc, step) ^ own;
    }
    const end = begin + (count - 1) * pitch + bytes;
    const added = shiftCrc(crc >>> 0, shiftFactor(after - end));
    this.#crcs.set(index, ((this.#crcs.get(index) ?? 0) ^ added) >>> 0);
  }
}

/** Compares blocks with what target files hold. */
import type { FileTable } from './file-table.js';
import type { BlockSink, StridedBytes, TargetRectangle } from './task-runner.js';

/** The first element of a target tensor that is not what its source says. */
export interface Mismatch {
  /** Index of the target tensor among all of the plan. */
  readonly index: number;
  readonly row: number;
  readonly col: number;
  /** Bytes of the element, hexadecimal, in the order of the file. */
  readonly expected: string;
  readonly found: string;
}

/** A sink that reads back. */
export class CompareSink implements BlockSink {
  readonly #files: FileTable;
  #mismatch: Mismatch | null = null;
  #compared = new Map<number, number>();

  constructor(files: FileTable) {
    this.#files = files;
  }

  put(target: TargetRectangle, { memory, at, stride }: StridedBytes, room: Uint8Array): void {
    const { place, extent } = target;
    const rowBytes = extent.cols * place.size;
    const pitch = place.cols * place.size;
    const begin = place.begin + (extent.row * place.cols + extent.col) * place.size;
    const isOne = rowBytes === pitch && stride === rowBytes;
    const [count, bytes] = isOne ? [1, rowBytes * extent.rows] : [extent.rows, rowBytes];
    for (let row = 0; row < count; row++) {
      const expected = memory.bytes.subarray(at + row * stride, at + row * stride + bytes);
      const found = room.subarray(0, bytes);
      this.#files.read(place.file, found, begin + row * pitch);
      if (Buffer.compare(expected, found) === 0) continue;
      const differing = expected.findIndex((byte, i) => byte !== found[i]);
      this.#note(target, row, { differing, expected, found });
      break;
    }
    this.#compared.set(place.file, (this.#compared.get(place.file) ?? 0) + rowBytes * extent.rows);
  }

  /** Hands over what was counted and found since the last time. */
  takeCounts(): {
    crcs: Map<number, number>;
    written: Map<number, number>;
    mismatch: Mismatch | null;
  } {
    const counts = { crcs: new Map(), written: this.#compared, mismatch: this.#mismatch };
    this.#compared = new Map();
    this.#mismatch = null;
    return counts;
  }

  #note(
    { index, place, extent }: TargetRectangle,
    firstRow: number,
    bytes: { differing: number; expected: Uint8Array; found: Uint8Array },
  ): void {
    const element = Math.floor(bytes.differing / place.size);
    const mismatch: Mismatch = {
      index,
      row: extent.row + firstRow + Math.floor(element / extent.cols),
      col: extent.col + (element % extent.cols),
      expected: hexOf(bytes.expected, element, place.size),
      found: hexOf(bytes.found, element, place.size),
    };
    this.#mismatch = earlierMismatch(this.#mismatch, mismatch);
  }
}

/** The one that comes first in the order of target tensors and their elements. */
export function earlierMismatch(a: Mismatch | null, b: Mismatch | null): Mismatch | null {
  if (a === null || b === null) return a ?? b;
  const order = a.index - b.index || a.row - b.row || a.col - b.col;
  return order <= 0 ? a : b;
}

function hexOf(bytes: Uint8Array, element: number, size: number): string {
  return Buffer.from(bytes.subarray(element * size, (element + 1) * size)).toString('hex');
}

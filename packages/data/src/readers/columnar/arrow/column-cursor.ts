/**
 * Reads ranges of rows of the columns of a record batch.
 *
 * A column is a list of buffers in the order of its type; only the bytes of the rows asked for are read, so that a
 * batch of any size is read in bounded memory. Compressed buffers have to be unpacked whole.
 */
import { readExactly } from '../read-exactly.js';
import type { ArrowBatch, ArrowFile } from './arrow-file.js';
import { ARROW_TYPES, type ArrowField, type ArrowType } from './arrow-schema.js';
import { unpackArrowBuffer } from './unpack-buffer.js';

/** Buffers of a batch, read in order. */
export class ColumnCursor {
  readonly #descriptor: number;
  readonly #file: ArrowFile;
  readonly #batch: ArrowBatch;
  #node = 0;
  #buffer = 0;
  #view = 0;

  constructor(descriptor: number, file: ArrowFile, batch: ArrowBatch) {
    this.#descriptor = descriptor;
    this.#file = file;
    this.#batch = batch;
  }

  /** Length and count of nulls of the next node. */
  nextNode(): { readonly length: number; readonly nulls: number } {
    const at = 2 * this.#node++;
    const length = this.#batch.nodes[at];
    const nulls = this.#batch.nodes[at + 1];
    if (length === undefined || nulls === undefined) throw new Error('a batch lacks a column');
    return { length, nulls };
  }

  /** The next buffer. */
  nextBuffer(): BufferSlice {
    const at = 2 * this.#buffer++;
    const begin = this.#batch.buffers[at];
    const length = this.#batch.buffers[at + 1];
    if (begin === undefined || length === undefined) throw new Error('a batch lacks a buffer');
    const { path } = this.#file;
    const read = (from: number, count: number): Buffer =>
      readExactly(this.#descriptor, path, begin + from, count);
    if (this.#batch.codec < 0 || length === 0) return new BufferSlice(length, read);
    const unpacked = unpackArrowBuffer(read(0, length), this.#batch.codec);
    return new BufferSlice(unpacked.length, (from, count) => unpacked.subarray(from, from + count));
  }

  /** Count of data buffers of the next view column. */
  nextViewCount(): number {
    const count = this.#batch.viewBuffers[this.#view++];
    if (count === undefined) throw new Error('a batch lacks the buffers of a view column');
    return count;
  }

  /** Passes over a column; returns the bytes of its buffers. */
  skip(field: ArrowField): number {
    this.nextNode();
    let bytes = 0;
    const count = field.dictionary === null ? bufferCount(field.type) : 2;
    const views = isView(field) ? this.nextViewCount() : 0;
    for (let i = 0; i < count + views; i++) {
      const at = 2 * this.#buffer++;
      bytes += this.#batch.buffers[at + 1] ?? 0;
    }
    if (field.dictionary === null) for (const child of field.children) bytes += this.skip(child);
    return bytes;
  }
}

/** A buffer of which parts are read. */
export class BufferSlice {
  readonly length: number;
  readonly #read: (from: number, count: number) => Buffer;

  constructor(length: number, read: (from: number, count: number) => Buffer) {
    this.length = length;
    this.#read = read;
  }

  /** Bytes [begin, end). Throws: `Error` when the buffer is shorter. */
  slice(begin: number, end: number): Buffer {
    if (begin >= 0 && begin <= end && end <= this.length) return this.#read(begin, end - begin);
    throw new Error(`bytes ${begin} to ${end} of a buffer of ${this.length}`);
  }
}

function isView({ type, dictionary }: ArrowField): boolean {
  if (dictionary !== null) return false;
  return type.id === ARROW_TYPES.Utf8View || type.id === ARROW_TYPES.BinaryView;
}

/** Buffers of a type itself, without its children and the data buffers of views. */
function bufferCount(type: ArrowType): number {
  switch (type.id) {
    case ARROW_TYPES.Null:
    case ARROW_TYPES.RunEndEncoded:
      return 0;
    case ARROW_TYPES.Struct:
    case ARROW_TYPES.FixedList:
      return 1;
    case ARROW_TYPES.Union:
      return 1 + type.unit;
    case ARROW_TYPES.Utf8:
    case ARROW_TYPES.Binary:
    case ARROW_TYPES.LargeUtf8:
    case ARROW_TYPES.LargeBinary:
      return 3;
    default:
      return 2;
  }
}

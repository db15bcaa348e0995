/** Reads sequences of an indexed data set by byte range; the index is in memory, the values never are. */
import { assert, throwIfAborted } from '@tuneyard/core';
import { RandomAccessFile } from '../io/random-access-file.js';
import { type DatasetIndex, indexError, readIndex } from './index-file.js';
import { narrowInt64 } from './kernels/values.js';
import {
  INDEXED_DTYPES,
  type IndexedDtype,
  type IndexedValues,
  indexedDatasetPaths,
  viewValues,
} from './layout.js';
import { BLOCK_BYTES } from './limits.js';

/** Options of {@link IndexedDatasetReader.open}. */
export interface OpenIndexedDatasetOptions {
  /**
   * Accept bytes of `.bin` that belong to no sequence, as an index that picks some sequences of a larger set has them.
   * Default false: they mean that the two files do not belong together.
   */
  readonly allowUnusedBytes?: boolean;
}

/** Sequences that were read together. */
export interface SequenceBlock {
  /** Number of the first sequence. */
  readonly first: number;
  /** Values of each sequence. */
  readonly lengths: Int32Array;
  /** Values of all of them, end to end. */
  readonly tokens: Int32Array;
}

/** Which sequences to read, and how many bytes at once. */
export interface BlockOptions {
  /** First sequence. Default 0. */
  readonly first?: number;
  /** Sequence after the last. Default: all. */
  readonly end?: number;
  /** Bytes of one block; a longer sequence is a block of its own. Default 4 MiB. */
  readonly blockBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * An open indexed data set.
 *
 * Cost: the index stays in memory, 12 bytes a sequence and 8 a document; two open files until closed.
 */
export class IndexedDatasetReader {
  /** Path of the two files without their extensions. */
  readonly prefix: string;
  readonly dtype: IndexedDtype;
  /** Values of each sequence. */
  readonly lengths: Int32Array;
  /** Document d is the sequences `documentBoundaries[d]` to `documentBoundaries[d + 1] - 1`. */
  readonly documentBoundaries: Float64Array;
  /** One per sequence in multimodal data sets, else null. */
  readonly modes: Int8Array | null;
  /** Values of all sequences. */
  readonly tokenCount: number;
  /** Bytes of `.bin` that belong to no sequence. */
  readonly unusedBytes: number;
  readonly #offsets: Float64Array;
  readonly #bin: RandomAccessFile;

  private constructor(prefix: string, index: DatasetIndex, bin: RandomAccessFile) {
    this.prefix = prefix;
    this.dtype = index.dtype;
    this.lengths = index.lengths;
    this.documentBoundaries = index.boundaries;
    this.modes = index.modes;
    this.tokenCount = index.values;
    this.unusedBytes = index.unusedBytes;
    this.#offsets = index.offsets;
    this.#bin = bin;
  }

  /**
   * Opens `<prefix>.bin` and `<prefix>.idx` and checks the whole index.
   *
   * Throws: `INDEXED_DATASET_…` with the byte offset of the fault, `FILE_…`.
   */
  static async open(
    prefix: string,
    options: OpenIndexedDatasetOptions = {},
  ): Promise<IndexedDatasetReader> {
    const paths = indexedDatasetPaths(prefix);
    await using idx = await RandomAccessFile.open(paths.idx);
    const bin = await RandomAccessFile.open(paths.bin);
    try {
      const allowUnusedBytes = options.allowUnusedBytes ?? false;
      const index = await readIndex(idx, bin, { allowUnusedBytes });
      return new IndexedDatasetReader(paths.prefix, index, bin);
    } catch (error) {
      await bin.close();
      throw error;
    }
  }

  get sequenceCount(): number {
    return this.lengths.length;
  }

  get documentCount(): number {
    return this.documentBoundaries.length - 1;
  }

  /**
   * Reads one sequence as token ids.
   *
   * Throws: `INDEXED_DATASET_NOT_TOKENS` for a data set of floats or an int64 beyond int32.
   */
  async sequence(index: number): Promise<Int32Array> {
    const { values } = await this.#readRun(index, index + 1);
    return this.#toTokens(values, index);
  }

  /** Reads one sequence in the type that the file has. */
  async values(index: number): Promise<IndexedValues> {
    const { values } = await this.#readRun(index, index + 1);
    return values;
  }

  /**
   * Reads one sequence as token ids to `at` of an array at hand; returns its length.
   *
   * Mutates: `dst`. Throws: as {@link sequence}.
   */
  async readInto(index: number, dst: Int32Array, at = 0): Promise<number> {
    const length = this.#lengthOf(index);
    assert(at >= 0 && at + length <= dst.length, 'a destination takes its whole sequence');
    if (this.dtype === 'int32') {
      const bytes = new Uint8Array(dst.buffer, dst.byteOffset + 4 * at, 4 * length);
      await this.#bin.readExact(bytes, this.#offsets[index] as number);
    } else {
      dst.set(await this.sequence(index), at);
    }
    return length;
  }

  /** Numbers of the first sequence of a document and of the sequence after its last. */
  documentRange(document: number): { first: number; end: number } {
    const first = this.documentBoundaries[document];
    const end = this.documentBoundaries[document + 1];
    assert(first !== undefined && end !== undefined, `${this.prefix} has document ${document}`);
    return { first, end };
  }

  /** Reads the sequences of one document end to end. Throws: as {@link sequence}. */
  async document(document: number): Promise<Int32Array> {
    const { first, end } = this.documentRange(document);
    return await this.range(first, end);
  }

  /** Reads the sequences `first` to `end - 1` end to end. Throws: as {@link sequence}. */
  async range(first: number, end: number): Promise<Int32Array> {
    const blocks: Int32Array[] = [];
    const blockBytes = Number.POSITIVE_INFINITY;
    for await (const { tokens } of this.blocks({ first, end, blockBytes })) blocks.push(tokens);
    const [only = new Int32Array(0)] = blocks;
    if (blocks.length <= 1) return only;
    const joined = new Int32Array(blocks.reduce((sum, block) => sum + block.length, 0));
    let at = 0;
    for (const block of blocks) {
      joined.set(block, at);
      at += block.length;
    }
    return joined;
  }

  /**
   * Reads sequences in order, many at a time; the arrays of a block are the caller's.
   *
   * Throws: as {@link sequence}, `CANCELLED`.
   */
  async *blocks(options: BlockOptions = {}): AsyncGenerator<SequenceBlock, void, undefined> {
    const { end = this.sequenceCount, blockBytes = BLOCK_BYTES, signal } = options;
    for (let first = options.first ?? 0; first < end; ) {
      throwIfAborted(signal);
      const next = this.#runEnd(first, end, blockBytes);
      const { values } = await this.#readRun(first, next);
      const tokens = this.#toTokens(values, first);
      yield { first, lengths: this.lengths.subarray(first, next), tokens };
      first = next;
    }
  }

  /** Reads single sequences in order, by way of {@link blocks}. */
  async *sequences(options: BlockOptions = {}): AsyncGenerator<Int32Array, void, undefined> {
    for await (const { lengths, tokens } of this.blocks(options)) {
      let at = 0;
      for (const length of lengths) {
        yield tokens.subarray(at, at + length);
        at += length;
      }
    }
  }

  /** The bytes of sequences as they lie in the file, piece by piece. */
  async *rawPieces(range: {
    readonly first: number;
    readonly end: number;
    readonly signal?: AbortSignal | undefined;
  }): AsyncGenerator<Uint8Array, void, undefined> {
    const piece = new Uint8Array(Math.min(BLOCK_BYTES, this.#bin.size));
    for (let first = range.first; first < range.end; ) {
      const next = this.#runEnd(first, range.end, Number.POSITIVE_INFINITY);
      let at = this.#offsets[first] as number;
      const stop = this.#endOf(next - 1);
      while (at < stop) {
        throwIfAborted(range.signal);
        const part = piece.subarray(0, Math.min(piece.length, stop - at));
        await this.#bin.readExact(part, at);
        yield part;
        at += part.length;
      }
      first = next;
    }
  }

  /** Closes both files; closing twice is allowed. */
  async close(): Promise<void> {
    await this.#bin.close();
  }

  /** Same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The longest run from `first` that lies in one piece and has at most `bytes` bytes, at least one sequence. */
  #runEnd(first: number, end: number, bytes: number): number {
    const start = this.#offsets[first] as number;
    let next = first + 1;
    let stop = this.#endOf(first);
    while (next < end && this.#offsets[next] === stop) {
      const after = this.#endOf(next);
      if (after - start > bytes) break;
      stop = after;
      next++;
    }
    return next;
  }

  async #readRun(first: number, end: number): Promise<{ values: IndexedValues }> {
    this.#lengthOf(first);
    const start = this.#offsets[first] as number;
    const bytes = await this.#bin.readFresh(this.#endOf(end - 1) - start, start);
    return { values: viewValues(this.dtype, bytes) };
  }

  #toTokens(values: IndexedValues, first: number): Int32Array {
    if (values instanceof Int32Array) return values;
    if (values instanceof Float32Array || values instanceof Float64Array) {
      throw indexError('INDEXED_DATASET_NOT_TOKENS', this.#bin.path, {
        what: `the values are ${this.dtype}; token ids are whole numbers`,
      });
    }
    if (!(values instanceof BigInt64Array)) return Int32Array.from(values);
    const tokens = new Int32Array(values.length);
    const bad = narrowInt64(values, tokens);
    if (bad < 0) return tokens;
    throw indexError('INDEXED_DATASET_NOT_TOKENS', this.#bin.path, {
      offset: (this.#offsets[first] as number) + 8 * bad,
      what: `the value ${values[bad]} is no token id: it does not fit 32 bits`,
    });
  }

  #endOf(index: number): number {
    const bytes = this.#lengthOf(index) * INDEXED_DTYPES[this.dtype].bytes;
    return (this.#offsets[index] as number) + bytes;
  }

  #lengthOf(index: number): number {
    const length = this.lengths[index];
    assert(length !== undefined, `${this.prefix} has sequence ${index}`);
    return length;
  }
}

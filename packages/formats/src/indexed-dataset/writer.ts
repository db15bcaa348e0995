/** Writes an indexed data set, sequence by sequence; both files appear under their names only when they are whole. */
import { rm } from 'node:fs/promises';
import { assert, throwIfAborted } from '@tuneyard/core';
import { StagedFile } from '../io/staged-file.js';
import { Float64Growth, Int32Growth } from './growing-array.js';
import { indexError } from './index-file.js';
import { fillOffsets, float64ToInt64 } from './kernels/index-arrays.js';
import { narrowToUint16 } from './kernels/values.js';
import { HEADER, INDEXED_DTYPES, indexedDatasetPaths, MAGIC, VERSION } from './layout.js';
import { MAX_SEQUENCES } from './limits.js';
import type { IndexedDatasetReader } from './reader.js';

/** Element types that are written. ModelLink writes int32 always, because labels hold −100. */
export type WrittenDtype = 'int32' | 'uint16';

/** Options of {@link IndexedDatasetWriter.create}. */
export interface IndexedDatasetWriterOptions {
  /** Default int32. */
  readonly dtype?: WrittenDtype;
  /** Every sequence has a mode, as in multimodal data sets. Default false. */
  readonly hasModes?: boolean;
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface WrittenIndexedDataset {
  readonly prefix: string;
  readonly sequences: number;
  readonly documents: number;
  readonly tokens: number;
  /** Bytes of both files. */
  readonly bytes: number;
}

/** Values that are turned into bytes at once. */
const PIECE_VALUES = 64 * 1024;

/**
 * A data set being written. End it with `commit` or `discard`.
 *
 * Cost: 4 bytes a sequence and 8 a document of memory.
 */
export class IndexedDatasetWriter {
  readonly prefix: string;
  readonly dtype: WrittenDtype;
  readonly #bin: StagedFile;
  readonly #signal: AbortSignal | undefined;
  readonly #lengths = new Int32Growth();
  readonly #boundaries = new Float64Growth();
  readonly #modes: Int32Growth | null;
  #narrow: Uint16Array | null = null;
  #tokens = 0;

  private constructor(prefix: string, bin: StagedFile, options: IndexedDatasetWriterOptions) {
    this.prefix = prefix;
    this.dtype = options.dtype ?? 'int32';
    this.#bin = bin;
    this.#signal = options.signal;
    this.#modes = options.hasModes === true ? new Int32Growth() : null;
    this.#boundaries.push(0);
  }

  /** Starts a data set `<prefix>.bin`, `<prefix>.idx`; the directory exists. Throws: `FILE_…`, `CANCELLED`. */
  static async create(
    prefix: string,
    options: IndexedDatasetWriterOptions = {},
  ): Promise<IndexedDatasetWriter> {
    const paths = indexedDatasetPaths(prefix);
    const bin = await StagedFile.create(paths.bin, options.signal);
    return new IndexedDatasetWriter(paths.prefix, bin, options);
  }

  /** Sequences so far. */
  get sequenceCount(): number {
    return this.#lengths.length;
  }

  /** Values so far. */
  get tokenCount(): number {
    return this.#tokens;
  }

  /**
   * Appends one sequence to the document being written.
   *
   * Throws: `INDEXED_DATASET_VALUE_RANGE` when a value does not fit uint16, `FILE_…`, `CANCELLED`.
   */
  async append(tokens: Int32Array, mode = 0): Promise<void> {
    await this.#writeValues(tokens);
    this.#lengths.push(tokens.length);
    this.#modes?.push(mode);
    this.#checkCount();
  }

  /** Ends the document being written; without sequences since the last end it is an empty one. */
  endDocument(): void {
    this.#boundaries.push(this.sequenceCount);
  }

  /**
   * Appends sequences that lie end to end, each a document of its own.
   *
   * Throws: as {@link append}.
   */
  async appendDocuments(tokens: Int32Array, lengths: Int32Array): Promise<void> {
    assert(this.#modes === null, 'sequences with modes are appended one by one');
    this.#assertDocumentEnded();
    let total = 0;
    for (const length of lengths) total += length;
    assert(total === tokens.length, 'lengths add up to the tokens');
    await this.#writeValues(tokens);
    const before = this.sequenceCount;
    this.#lengths.append(lengths);
    for (let i = 1; i <= lengths.length; i++) this.#boundaries.push(before + i);
    this.#checkCount();
  }

  /**
   * Appends documents of another data set by copying bytes.
   *
   * Throws: `INDEXED_DATASET_DTYPE_MISMATCH`, `FILE_…`, `CANCELLED`.
   */
  async appendFrom(
    reader: IndexedDatasetReader,
    documents: { readonly first: number; readonly end: number } = {
      first: 0,
      end: reader.documentCount,
    },
  ): Promise<void> {
    this.#assertDocumentEnded();
    checkSameKind(this, reader, this.#modes !== null);
    if (documents.end === documents.first) return;
    const { first } = reader.documentRange(documents.first);
    const { end } = reader.documentRange(documents.end - 1);
    for await (const piece of reader.rawPieces({ first, end, signal: this.#signal })) {
      await this.#bin.write(piece);
    }
    const before = this.sequenceCount;
    const lengths = reader.lengths.subarray(first, end);
    for (const length of lengths) this.#tokens += length;
    this.#lengths.append(lengths);
    this.#modes?.append(Int32Array.from(reader.modes?.subarray(first, end) ?? []));
    for (let d = documents.first; d < documents.end; d++) {
      this.#boundaries.push(before + reader.documentRange(d).end - first);
    }
    this.#checkCount();
  }

  /**
   * Flushes both files to disk and gives them their names, the index last: a data set whose index exists is whole.
   *
   * Throws: `FILE_…`, `CANCELLED`.
   */
  async commit(): Promise<WrittenIndexedDataset> {
    this.#assertDocumentEnded();
    const paths = indexedDatasetPaths(this.prefix);
    const idx = await StagedFile.create(paths.idx, this.#signal);
    try {
      await this.#writeIndex(idx);
      await idx.seal();
      await this.#bin.seal();
      // An index of an earlier data set must never stand beside the new values, not even after a crash.
      await rm(paths.idx, { force: true });
      await this.#bin.commit();
      await idx.commit();
    } finally {
      await idx.discard();
      await this.#bin.discard();
    }
    return {
      prefix: this.prefix,
      sequences: this.sequenceCount,
      documents: this.#boundaries.length - 1,
      tokens: this.#tokens,
      bytes: this.#bin.bytesWritten + idx.bytesWritten,
    };
  }

  /** Removes what was written. Does nothing after `commit`, and may be called twice. */
  async discard(): Promise<void> {
    await this.#bin.discard();
  }

  /** Same as {@link discard}, for `await using`: what was not committed is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.discard();
  }

  async #writeValues(tokens: Int32Array): Promise<void> {
    if (this.dtype === 'int32') {
      await this.#bin.write(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength));
    } else {
      for (let at = 0; at < tokens.length; at += PIECE_VALUES) {
        await this.#writeNarrow(tokens.subarray(at, at + PIECE_VALUES), at);
      }
    }
    this.#tokens += tokens.length;
  }

  async #writeNarrow(tokens: Int32Array, at: number): Promise<void> {
    this.#narrow ??= new Uint16Array(PIECE_VALUES);
    const bad = narrowToUint16(tokens, this.#narrow);
    if (bad >= 0) {
      throw indexError('INDEXED_DATASET_VALUE_RANGE', this.#bin.path, {
        what: `sequence ${this.sequenceCount}, token ${at + bad}: ${tokens[bad]} does not fit uint16`,
        hint: 'Write the data set as int32.',
      });
    }
    await this.#bin.write(new Uint8Array(this.#narrow.buffer, 0, 2 * tokens.length));
  }

  async #writeIndex(idx: StagedFile): Promise<void> {
    const lengths = this.#lengths.values;
    const boundaries = this.#boundaries.values;
    const header = new Uint8Array(HEADER.bytes);
    const view = new DataView(header.buffer);
    header.set(MAGIC);
    view.setBigUint64(HEADER.version, VERSION, true);
    view.setUint8(HEADER.dtypeCode, INDEXED_DTYPES[this.dtype].code);
    view.setBigUint64(HEADER.sequenceCount, BigInt(lengths.length), true);
    view.setBigUint64(HEADER.documentIndexLength, BigInt(boundaries.length), true);
    await idx.write(header);
    await idx.write(new Uint8Array(lengths.buffer, lengths.byteOffset, lengths.byteLength));
    await this.#writeOffsets(idx, lengths);
    for (let at = 0; at < boundaries.length; at += PIECE_VALUES) {
      await writeInt64(idx, boundaries.subarray(at, at + PIECE_VALUES));
    }
    if (this.#modes !== null) {
      await idx.write(new Uint8Array(Int8Array.from(this.#modes.values).buffer));
    }
  }

  async #writeOffsets(idx: StagedFile, lengths: Int32Array): Promise<void> {
    const valueBytes = INDEXED_DTYPES[this.dtype].bytes;
    const offsets = new Float64Array(Math.min(PIECE_VALUES, lengths.length));
    let start = 0;
    for (let at = 0; at < lengths.length; at += PIECE_VALUES) {
      throwIfAborted(this.#signal);
      const piece = lengths.subarray(at, at + PIECE_VALUES);
      start = fillOffsets(piece, offsets, { valueBytes, start });
      await writeInt64(idx, offsets.subarray(0, piece.length));
    }
  }

  #assertDocumentEnded(): void {
    const isEnded = this.#boundaries.last === this.sequenceCount;
    assert(isEnded, 'endDocument is called after the last sequence');
  }

  #checkCount(): void {
    if (this.sequenceCount <= MAX_SEQUENCES) return;
    throw indexError('INDEXED_DATASET_COUNT_TOO_LARGE', this.#bin.path, {
      what: `more than ${MAX_SEQUENCES} sequences`,
      hint: 'Write several data sets.',
    });
  }
}

async function writeInt64(file: StagedFile, values: Float64Array): Promise<void> {
  const words = new Uint32Array(2 * values.length);
  float64ToInt64(values, words);
  await file.write(new Uint8Array(words.buffer));
}

function checkSameKind(
  writer: IndexedDatasetWriter,
  reader: IndexedDatasetReader,
  hasModes: boolean,
): void {
  const isSameModes = hasModes === (reader.modes !== null) || reader.sequenceCount === 0;
  if (reader.dtype === writer.dtype && isSameModes) return;
  const kindOf = (dtype: string, modes: boolean) => `${dtype}${modes ? ' with modes' : ''}`;
  throw indexError('INDEXED_DATASET_DTYPE_MISMATCH', reader.prefix, {
    what:
      `the data set is ${kindOf(reader.dtype, reader.modes !== null)}; ` +
      `${writer.prefix} is ${kindOf(writer.dtype, hasModes)}`,
    hint: 'Prepare both with the same tool and tokenizer.',
  });
}

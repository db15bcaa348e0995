/** Reads tensors of a safetensors checkpoint by byte range: one file, or shards with an index. */
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { destinationSlice, RandomAccessFile } from '../io/random-access-file.js';
import { parseSafetensorsHeader, type SafetensorsHeader } from './header.js';
import { LENGTH_BYTES, type SafetensorsDtype } from './layout.js';
import { MAX_HEADER_BYTES } from './limits.js';
import { findWeightFiles } from './shard-index.js';

/** A tensor and where its bytes lie. */
export interface SafetensorsTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  /** Row-major dimensions, outermost first; empty for a single value. */
  readonly shape: readonly number[];
  /** Path of the file that holds the bytes. */
  readonly file: string;
  /** Offset of the first byte from the start of the file. */
  readonly begin: number;
  readonly byteLength: number;
}

/**
 * An open checkpoint. Opening reads headers only; tensors are read on demand.
 *
 * Cost: one open file per shard until closed.
 */
export class SafetensorsReader {
  /** Tensors by name, in the order of their bytes, file after file. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
  /** Free-form strings of the header; of several shards, the first that has a key wins. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Paths of the files that hold the tensors. */
  readonly files: readonly string[];
  readonly #handles: ReadonlyMap<string, RandomAccessFile>;

  private constructor(contents: {
    tensors: ReadonlyMap<string, SafetensorsTensor>;
    metadata: Readonly<Record<string, string>>;
    handles: ReadonlyMap<string, RandomAccessFile>;
  }) {
    this.tensors = contents.tensors;
    this.metadata = contents.metadata;
    this.files = [...contents.handles.keys()];
    this.#handles = contents.handles;
  }

  /**
   * Opens a `.safetensors` file, a shard index, or a directory that holds either.
   *
   * Throws: `SAFETENSORS_…` for a malformed file, `FILE_…`. Cost: the headers, at most 100 MB each.
   */
  static async open(path: string): Promise<SafetensorsReader> {
    const { files, shardOf } = await findWeightFiles(path);
    const handles = new Map<string, RandomAccessFile>();
    try {
      const tensors = new Map<string, SafetensorsTensor>();
      const metadata: Record<string, string> = {};
      for (const file of files) {
        const handle = await RandomAccessFile.open(file);
        handles.set(file, handle);
        const { header, dataStart } = await readHeader(handle);
        addTensors(tensors, { header, dataStart, file, shardOf });
        Object.assign(metadata, { ...header.metadata, ...metadata });
      }
      checkAllFound(shardOf, tensors);
      return new SafetensorsReader({ tensors, metadata, handles });
    } catch (error) {
      await closeAll(handles.values());
      throw error;
    }
  }

  /**
   * Reads one tensor into a fresh buffer that starts at an 8-byte boundary.
   *
   * Throws: `SAFETENSORS_TENSOR_NOT_FOUND`, `FILE_SHORT_READ` when the file shrank since it was opened.
   */
  async read(name: string): Promise<Uint8Array> {
    const { tensor, handle } = this.#locate(name);
    return await handle.readFresh(tensor.byteLength, tensor.begin);
  }

  /** Reads one tensor to `byteOffset` of a buffer at hand. Mutates: `dst`. Throws: as {@link read}. */
  async readInto(name: string, dst: Uint8Array, byteOffset = 0): Promise<void> {
    const { tensor, handle } = this.#locate(name);
    await handle.readExact(destinationSlice(dst, byteOffset, tensor), tensor.begin);
  }

  /** Closes every file; closing twice is allowed. */
  async close(): Promise<void> {
    await closeAll(this.#handles.values());
  }

  /** Same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #locate(name: string): { tensor: SafetensorsTensor; handle: RandomAccessFile } {
    const tensor = this.tensors.get(name);
    const handle = tensor && this.#handles.get(tensor.file);
    if (tensor === undefined || handle === undefined) {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_TENSOR_NOT_FOUND,
        `${this.files[0]} holds no tensor ${quoteName(name)}; it has ${this.tensors.size} others`,
        { category: 'not_found', details: { tensor: name } },
      );
    }
    return { tensor, handle };
  }
}

async function readHeader(
  file: RandomAccessFile,
): Promise<{ header: SafetensorsHeader; dataStart: number }> {
  const headerBytes = await readHeaderLength(file);
  const json = await file.readFresh(headerBytes, LENGTH_BYTES);
  const dataStart = LENGTH_BYTES + headerBytes;
  return { header: parseSafetensorsHeader(json, file.size - dataStart, file.path), dataStart };
}

/** Checks the declared length against the limit and the real file before anything is allocated. */
async function readHeaderLength(file: RandomAccessFile): Promise<number> {
  const { path, size } = file;
  if (size < LENGTH_BYTES) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_TOO_SMALL,
      `${path} has ${size} bytes; a safetensors file has at least ${LENGTH_BYTES}`,
      { details: { path, size } },
    );
  }
  const prefix = await file.readFresh(LENGTH_BYTES, 0);
  const declared = new DataView(prefix.buffer).getBigUint64(0, true);
  const details = { path, declared: declared.toString(), size };
  if (declared === 0n) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_HEADER_EMPTY,
      `${path} declares an empty header`,
      { details },
    );
  }
  if (declared > BigInt(MAX_HEADER_BYTES)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_HEADER_TOO_LARGE,
      `${path} declares a header of ${declared} bytes; the limit is ${MAX_HEADER_BYTES}`,
      { details, hint: 'Check that this is a safetensors file and not one of another format.' },
    );
  }
  if (declared > BigInt(size - LENGTH_BYTES)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_HEADER_TRUNCATED,
      `${path} declares a header of ${declared} bytes, but has ${size - LENGTH_BYTES} after its length`,
      { details, hint: 'The file was cut or its download did not finish; get it again.' },
    );
  }
  return Number(declared);
}

function addTensors(
  tensors: Map<string, SafetensorsTensor>,
  shard: {
    readonly header: SafetensorsHeader;
    readonly dataStart: number;
    readonly file: string;
    readonly shardOf: ReadonlyMap<string, string> | null;
  },
): void {
  const { file, dataStart, shardOf } = shard;
  for (const { name, dtype, shape, begin, end } of shard.header.tensors) {
    if (shardOf !== null && shardOf.get(name) !== file) {
      throw indexMismatch(
        name,
        `${file} holds tensor ${quoteName(name)}, which the shard index does not place there`,
      );
    }
    const byteLength = end - begin;
    tensors.set(name, { name, dtype, shape, file, begin: dataStart + begin, byteLength });
  }
}

function checkAllFound(
  shardOf: ReadonlyMap<string, string> | null,
  tensors: ReadonlyMap<string, SafetensorsTensor>,
): void {
  for (const [name, file] of shardOf ?? []) {
    if (tensors.has(name)) continue;
    throw indexMismatch(
      name,
      `The shard index places tensor ${quoteName(name)} in ${file}, which does not hold it`,
    );
  }
}

function indexMismatch(tensor: string, message: string): TuneyardError {
  return new TuneyardError(SAFETENSORS_ERRORS.SAFETENSORS_INDEX_MISMATCH, message, {
    details: { tensor },
    hint: 'Shards of two checkpoints may be mixed in this directory; copy the checkpoint again.',
  });
}

async function closeAll(handles: Iterable<RandomAccessFile>): Promise<void> {
  await Promise.all([...handles].map((handle) => handle.close()));
}

/**
 * Reads what `torch.save` writes: the value as plain data, and tensors by byte range.
 *
 * Nothing of a file is ever executed. Archives (ZIP) and the older files of five pickles are read; the tar files of
 * torch 0.1 and TorchScript programs are refused in words.
 */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { destinationSlice, RandomAccessFile } from '../io/random-access-file.js';
import { TORCH_DTYPES } from './dtypes.js';
import type { ArchiveContents, StoragePlace } from './read/archive-contents.js';
import { type FoundTensor, flattenTensors } from './read/flatten-tensors.js';
import { LEGACY_START, readLegacyFile } from './read/read-legacy-file.js';
import { readZipArchive } from './read/read-zip-archive.js';
import { elementCount, isRowMajor, readStrided } from './read/tensor-bytes.js';
import type { TorchStorage, TorchTensorValue, TorchValue } from './value.js';
import { readEntry, verifyEntry } from './zip/entry-bytes.js';
import type { FileWindow } from './zip/file-window.js';

/** A tensor and where its bytes lie. */
export interface TorchTensor {
  /** Keys that lead to it, joined by U+001F. */
  readonly name: string;
  /** Element type as torch spells it, without `torch.`; see {@link TORCH_DTYPES}. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Steps between elements, in elements. */
  readonly strides: readonly number[];
  /** Absolute offset in the file of the first element. */
  readonly begin: number;
  /** Bytes of all elements in row-major order. */
  readonly byteLength: number;
  /** True when these bytes lie at `begin` one after the other; else {@link TorchArchiveReader.read} gathers them. */
  readonly contiguous: boolean;
  readonly isParameter: boolean;
  /** The storage; the same object for tensors that share it. */
  readonly storage: TorchStorage;
  /** The node of the tensor in the value. */
  readonly value: TorchTensorValue;
}

const ZIP_START = Buffer.from('504b0304', 'hex');
const TAR_MARK = { at: 257, text: 'ustar' } as const;

/** An open torch file. Opening reads the value, not the tensors. Cost: one open file until closed. */
export class TorchArchiveReader {
  /** What was saved. */
  readonly root: TorchValue;
  /** Tensors by key path, in the order of the value. */
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  /** Path of the file. */
  readonly path: string;
  /** Pickle protocol. */
  readonly protocol: number;
  /** Name of the directory in the archive; empty for a file of the older kind. */
  readonly archiveName: string;
  /** Mark by which caches know the file; null without one. */
  readonly serializationId: string | null;
  readonly #window: FileWindow;
  readonly #contents: ArchiveContents;
  readonly #ownsFile: boolean;

  private constructor(window: FileWindow, contents: ArchiveContents, ownsFile: boolean) {
    this.#window = window;
    this.#contents = contents;
    this.#ownsFile = ownsFile;
    this.root = contents.root;
    this.path = window.file.path;
    this.protocol = contents.protocol;
    this.archiveName = contents.archiveName;
    this.serializationId = contents.serializationId;
    const found = flattenTensors(contents.root, window.where);
    this.tensors = new Map(
      [...found].map(([name, tensor]) => [name, locate(name, tensor, contents.places)]),
    );
  }

  /**
   * Opens a file.
   *
   * Throws: `TORCH_ARCHIVE_…` and `TORCH_PICKLE_…` for a malformed or hostile one, `FILE_…`.
   * Cost: the pickle and the list of entries, and one small read per entry.
   */
  static async open(path: string): Promise<TorchArchiveReader> {
    const file = await RandomAccessFile.open(path);
    try {
      const window = { file, begin: 0, size: file.size, where: path };
      return new TorchArchiveReader(window, await readContents(window), true);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /**
   * Opens an archive that is a part of an open file, which stays the caller's to close. Offsets of tensors count from
   * the start of that file. Throws: as {@link open}.
   */
  static async openWithin(
    file: RandomAccessFile,
    range: { readonly begin: number; readonly byteLength: number },
  ): Promise<TorchArchiveReader> {
    const { begin, byteLength } = range;
    if (begin < 0 || byteLength < 0 || begin + byteLength > file.size) {
      throw new TuneyardError(
        TORCH_ERRORS.TORCH_ARCHIVE_BAD_MAGIC,
        `${file.path} has ${file.size} bytes; an archive of ${byteLength} should be at byte ${begin}`,
      );
    }
    const where = `${file.path} (bytes ${begin} to ${begin + byteLength})`;
    const window = { file, begin, size: byteLength, where };
    return new TorchArchiveReader(window, await readContents(window), false);
  }

  /**
   * Reads one tensor in row-major order into a fresh buffer that starts at an 8-byte boundary.
   *
   * Throws: `TORCH_ARCHIVE_TENSOR_NOT_FOUND`, `TORCH_ARCHIVE_EXPANDED_TOO_LARGE`, `FILE_SHORT_READ`.
   */
  async read(name: string): Promise<Uint8Array> {
    const tensor = this.#find(name);
    if (tensor.contiguous)
      return await this.#window.file.readFresh(tensor.byteLength, tensor.begin);
    const place = this.#contents.places.get(tensor.storage.key);
    return await readStrided({
      name,
      elementBytes: TORCH_DTYPES.get(tensor.dtype)?.bytes ?? 1,
      view: { ...tensor, first: tensor.value.storageOffset },
      storageBytes: tensor.storage.byteLength,
      read: (begin, byteLength) => this.#readPlace(place, begin, byteLength),
    });
  }

  /** Reads one tensor to `byteOffset` of a buffer at hand. Mutates: `dst`. Throws: as {@link read}. */
  async readInto(name: string, dst: Uint8Array, byteOffset = 0): Promise<void> {
    const tensor = this.#find(name);
    const target = destinationSlice(dst, byteOffset, tensor);
    if (tensor.contiguous) await this.#window.file.readExact(target, tensor.begin);
    else target.set(await this.read(name));
  }

  /** Reads a whole storage, which several tensors may share. Throws: `FILE_SHORT_READ`. */
  async readStorage(storage: TorchStorage): Promise<Uint8Array> {
    const place = this.#contents.places.get(storage.key);
    return await this.#readPlace(place, 0, storage.byteLength);
  }

  /** Compares every entry with its checksum. Throws: `TORCH_ARCHIVE_CRC_MISMATCH`, `CANCELLED`. Cost: reads the file. */
  async verifyCrc(signal?: AbortSignal): Promise<void> {
    for (const entry of this.#contents.entries.values()) {
      await verifyEntry(this.#window, entry, signal);
    }
  }

  /** Closes the file; closing twice is allowed. */
  async close(): Promise<void> {
    if (this.#ownsFile) await this.#window.file.close();
  }

  /** Same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #find(name: string): TorchTensor {
    const tensor = this.tensors.get(name);
    if (tensor !== undefined) return tensor;
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_TENSOR_NOT_FOUND,
      `${this.#window.where} holds no tensor ${quoteName(name)}; it has ${this.tensors.size} others`,
      { category: 'not_found', details: { tensor: name } },
    );
  }

  async #readPlace(
    place: StoragePlace | undefined,
    begin: number,
    byteLength: number,
  ): Promise<Uint8Array> {
    if (place === undefined) return new Uint8Array(0);
    if (place.deflated === null) {
      return await this.#window.file.readFresh(byteLength, place.begin + begin);
    }
    const bytes = await readEntry(this.#window, place.deflated);
    return Uint8Array.from(bytes.subarray(begin, begin + byteLength));
  }
}

async function readContents(window: FileWindow): Promise<ArchiveContents> {
  const { file, size, where } = window;
  const start = Buffer.from(
    await file.readFresh(Math.min(size, TAR_MARK.at + TAR_MARK.text.length), window.begin),
  );
  if (start.subarray(0, ZIP_START.length).equals(ZIP_START)) return await readZipArchive(window);
  if (start.subarray(0, LEGACY_START.length).equals(LEGACY_START))
    return await readLegacyFile(window);
  if (start.toString('latin1', TAR_MARK.at) === TAR_MARK.text) {
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_UNSUPPORTED,
      `${where} is a tar file, as torch 0.1 wrote them; such files are not read`,
      { hint: 'Load it with torch.load in PyTorch and save it again.' },
    );
  }
  const isPointer = start.toString('latin1').startsWith('version https://git-lfs');
  throw new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_MAGIC,
    `${where} (${size} bytes) is not a torch archive: it starts with ${start.toString('hex', 0, 8)}`,
    isPointer
      ? { hint: 'This is a pointer of Git LFS; fetch the file itself with git lfs pull.' }
      : {},
  );
}

function locate(
  name: string,
  { value, isParameter }: FoundTensor,
  places: ReadonlyMap<string, StoragePlace>,
): TorchTensor {
  const { dtype, shape, strides, storage, storageOffset } = value;
  const elementBytes = TORCH_DTYPES.get(dtype)?.bytes ?? 1;
  const place = places.get(storage.key);
  const isStored = place !== undefined && place.deflated === null;
  return {
    name,
    dtype,
    shape,
    strides,
    begin: (place?.begin ?? 0) + (isStored ? storageOffset * elementBytes : 0),
    byteLength: elementCount(shape) * elementBytes,
    contiguous: isStored && isRowMajor(value),
    isParameter,
    storage,
    value,
  };
}

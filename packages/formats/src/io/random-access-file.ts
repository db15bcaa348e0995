/**
 * A file opened for reading exact byte ranges.
 *
 * A short read is an error, never a zero-filled buffer: a reader that ignores the count of bytes read
 * turns a truncated file into a phantom tensor.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { TuneyardError } from '@tuneyard/core';
import { FILE_ERRORS } from '../errors.js';
import { fileError } from './file-errors.js';

/** One read call asks for at most this much; Linux refuses more than 2^31 - 4096 bytes at once. */
const READ_BYTES_MAX = 64 * 1024 * 1024;

/** A regular file with its size at the time of opening. Reads may overlap in time. */
export class RandomAccessFile {
  readonly path: string;
  /** Bytes in the file when it was opened. */
  readonly size: number;
  readonly #handle: FileHandle;
  #isClosed = false;

  private constructor(path: string, size: number, handle: FileHandle) {
    this.path = path;
    this.size = size;
    this.#handle = handle;
  }

  /**
   * Opens a regular file for reading.
   *
   * Throws: `FILE_NOT_FOUND`, `FILE_NOT_PERMITTED`, `FILE_NOT_REGULAR` for a directory, pipe or device.
   */
  static async open(path: string): Promise<RandomAccessFile> {
    let handle: FileHandle | undefined;
    try {
      // Opening a named pipe would wait for a writer for ever, so the kind is checked before opening.
      refuseSpecial((await stat(path)).isFile(), path);
      handle = await open(path, constants.O_RDONLY);
      const { size } = await handle.stat();
      return new RandomAccessFile(path, size, handle);
    } catch (error) {
      await handle?.close();
      throw fileError(error, 'open', path);
    }
  }

  /**
   * Fills the whole of `dst` with the bytes that start at `position`.
   *
   * Mutates: `dst`. Throws: `FILE_SHORT_READ` when the file ends earlier, `FILE_CLOSED` after close.
   */
  async readExact(dst: Uint8Array, position: number): Promise<void> {
    if (this.#isClosed) {
      throw new TuneyardError(FILE_ERRORS.FILE_CLOSED, `${this.path} was read after close`, {
        category: 'internal',
        details: { path: this.path },
      });
    }
    let done = 0;
    while (done < dst.length) {
      const length = Math.min(dst.length - done, READ_BYTES_MAX);
      const bytesRead = await this.#readOnce(dst, done, { length, position: position + done });
      if (bytesRead === 0) this.#failShort(position, dst.length, done);
      done += bytesRead;
    }
  }

  /** Reads `byteLength` bytes from `position` into a fresh buffer that starts at an 8-byte boundary. */
  async readFresh(byteLength: number, position: number): Promise<Uint8Array<ArrayBuffer>> {
    // The range is checked before allocating, so that no caller can be made to allocate beyond the file.
    if (position + byteLength > this.size) this.#failShort(position, byteLength, 0);
    const bytes = allocate(byteLength, this.path);
    await this.readExact(bytes, position);
    return bytes;
  }

  async #readOnce(
    dst: Uint8Array,
    offset: number,
    range: { length: number; position: number },
  ): Promise<number> {
    try {
      const { bytesRead } = await this.#handle.read(dst, offset, range.length, range.position);
      return bytesRead;
    } catch (error) {
      throw fileError(error, 'read', this.path);
    }
  }

  #failShort(position: number, wanted: number, found: number): never {
    throw new TuneyardError(
      FILE_ERRORS.FILE_SHORT_READ,
      `${this.path} ended early: wanted ${wanted} bytes at offset ${position}, found ${found}`,
      {
        details: { path: this.path, offset: position, wanted, found },
        hint: 'The file was cut or is still being written; copy it again.',
      },
    );
  }

  /** Closes the file; closing twice is allowed. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#handle.close();
  }

  /** Same as {@link close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Reads the whole of a small text file.
 *
 * Throws: `tooLarge()` before allocating when the file has more than `maxBytes` bytes.
 */
export async function readSmallFile(
  path: string,
  maxBytes: number,
  tooLarge: (size: number) => TuneyardError,
): Promise<Uint8Array> {
  const file = await RandomAccessFile.open(path);
  try {
    if (file.size > maxBytes) throw tooLarge(file.size);
    return await file.readFresh(file.size, 0);
  } finally {
    await file.close();
  }
}

/**
 * Picks the slice of a caller's buffer that a tensor of `byteLength` bytes fills.
 *
 * Throws: `FILE_BAD_DESTINATION` when it does not fit.
 */
export function destinationSlice(
  dst: Uint8Array,
  byteOffset: number,
  tensor: { readonly name: string; readonly byteLength: number },
): Uint8Array {
  const isFitting =
    Number.isSafeInteger(byteOffset) &&
    byteOffset >= 0 &&
    byteOffset + tensor.byteLength <= dst.length;
  if (!isFitting) {
    throw new TuneyardError(
      FILE_ERRORS.FILE_BAD_DESTINATION,
      `Tensor ${tensor.name} has ${tensor.byteLength} bytes; a destination of ${dst.length} bytes ` +
        `cannot take them at offset ${byteOffset}`,
      { category: 'internal', details: { tensor: tensor.name, byteOffset } },
    );
  }
  return dst.subarray(byteOffset, byteOffset + tensor.byteLength);
}

function allocate(byteLength: number, path: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(byteLength);
  } catch (error) {
    throw new TuneyardError(
      FILE_ERRORS.FILE_BUFFER_TOO_LARGE,
      `Cannot hold ${byteLength} bytes of ${path} in one buffer`,
      { category: 'resource_exhausted', details: { path, byteLength }, cause: error },
    );
  }
}

function refuseSpecial(isFile: boolean, path: string): void {
  if (isFile) return;
  throw new TuneyardError(FILE_ERRORS.FILE_NOT_REGULAR, `${path} is not a regular file`, {
    details: { path },
  });
}

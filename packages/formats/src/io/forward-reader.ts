/**
 * Reads a file from its start in growing chunks, for headers whose length is known only at their end.
 *
 * Callers ask `fill(n)` before they take `n` bytes, and only when `available < n`: a header of a
 * hundred thousand strings then costs a few awaits instead of one per string. All numbers are
 * little-endian.
 */
import { isUtf8 } from 'node:buffer';
import { assert, type TuneyardError } from '@tuneyard/core';
import type { RandomAccessFile } from './random-access-file.js';

const FIRST_CHUNK_BYTES = 64 * 1024;
const CHUNK_BYTES_MAX = 4 * 1024 * 1024;

/** A cursor over a file, with a window of bytes already read. */
export class ForwardReader {
  readonly #file: RandomAccessFile;
  readonly #endedEarly: (wanted: number, offset: number) => TuneyardError;
  #window: Buffer = Buffer.alloc(0);
  #view = new DataView(new ArrayBuffer(0));
  /** Next byte to take, and end of the valid bytes, both within the window. */
  #next = 0;
  #end = 0;
  /** Offset in the file of the byte after the window. */
  #fileOffset = 0;
  #chunkBytes = FIRST_CHUNK_BYTES;

  /** `endedEarly` makes the error for a request that reaches past the end of the file. */
  constructor(
    file: RandomAccessFile,
    endedEarly: (wanted: number, offset: number) => TuneyardError,
  ) {
    this.#file = file;
    this.#endedEarly = endedEarly;
  }

  /** Offset in the file of the next byte to take. */
  get offset(): number {
    return this.#fileOffset - this.available;
  }

  /** Bytes from the next one to the end of the file. */
  get remaining(): number {
    return this.#file.size - this.offset;
  }

  /** Bytes that can be taken without another `fill`. */
  get available(): number {
    return this.#end - this.#next;
  }

  /**
   * Makes at least `byteLength` bytes available.
   *
   * Throws: `endedEarly(…)` before allocating when the file does not have them.
   */
  async fill(byteLength: number): Promise<void> {
    if (byteLength <= this.available) return;
    if (byteLength > this.remaining) throw this.#endedEarly(byteLength, this.offset);
    const windowBytes = Math.min(Math.max(byteLength, this.#chunkBytes), this.remaining);
    this.#chunkBytes = Math.min(this.#chunkBytes * 2, CHUNK_BYTES_MAX);
    const kept = this.#window.subarray(this.#next, this.#end);
    const bytes = new Uint8Array(windowBytes);
    bytes.set(kept);
    await this.#file.readExact(bytes.subarray(kept.length), this.#fileOffset);
    this.#fileOffset += windowBytes - kept.length;
    this.#window = Buffer.from(bytes.buffer);
    this.#view = new DataView(bytes.buffer);
    this.#next = 0;
    this.#end = windowBytes;
  }

  /** Fills `dst` with the next bytes, past the window straight from the file. Mutates: `dst`. */
  async readInto(dst: Uint8Array): Promise<void> {
    if (dst.length > this.remaining) throw this.#endedEarly(dst.length, this.offset);
    const atHand = Math.min(dst.length, this.available);
    dst.set(this.#window.subarray(this.#next, this.#next + atHand));
    this.#next += atHand;
    if (atHand < dst.length) {
      await this.#file.readExact(dst.subarray(atHand), this.#fileOffset);
      this.#fileOffset += dst.length - atHand;
    }
  }

  /** Takes one u8. */
  takeU8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  /** Takes one u32. */
  takeU32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  /**
   * Takes one u64 as a number: exact up to 2^53, rounded above, where every length or offset is
   * beyond any file and must be refused by its size anyway.
   */
  takeU64(): number {
    const at = this.#advance(8);
    return this.#view.getUint32(at, true) + this.#view.getUint32(at + 4, true) * 2 ** 32;
  }

  /** Hands the next bytes to `read` as a view and an offset in it. */
  take<T>(byteLength: number, read: (view: DataView, at: number) => T): T {
    return read(this.#view, this.#advance(byteLength));
  }

  /** Takes UTF-8 text; null when the bytes are not valid UTF-8 (they are taken all the same). */
  takeText(byteLength: number): string | null {
    const start = this.#advance(byteLength);
    const end = start + byteLength;
    if (this.#isAscii(start, end)) return this.#window.toString('latin1', start, end);
    if (!isUtf8(this.#window.subarray(start, end))) return null;
    return this.#window.toString('utf8', start, end);
  }

  #isAscii(start: number, end: number): boolean {
    for (let i = start; i < end; i++) {
      if ((this.#window[i] ?? 0) > 0x7f) return false;
    }
    return true;
  }

  #advance(byteLength: number): number {
    const start = this.#next;
    assert(byteLength <= this.available, 'bytes were taken before they had been filled');
    this.#next += byteLength;
    return start;
  }
}

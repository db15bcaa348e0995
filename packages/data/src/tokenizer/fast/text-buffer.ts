/** A reused piece of memory that holds one text in UTF-8. */

import type { TextBytes } from '../kernels/encode-pieces.js';
import { READ_AHEAD } from '../kernels/piece-cache.js';

/** Where a text begins: a byte is free in front of it for the space that some models put there. */
export const TEXT_START = 8;

/** Memory above this is given back after use. */
const KEPT_BYTES_MAX = 1 << 24;
/** Up to this length the worst case of three bytes per UTF-16 unit is simply set aside. */
const SHORT_TEXT_UNITS = 1 << 16;

const utf8 = new TextEncoder();

/** Grows on demand; `bytes`, `view` and `buffer` are views of the same memory. */
export class TextBuffer implements TextBytes {
  bytes: Uint8Array;
  view: DataView;
  #buffer: Buffer;

  constructor() {
    this.#buffer = Buffer.alloc(0);
    this.bytes = this.#buffer;
    this.view = new DataView(this.bytes.buffer);
    this.#allocate(4096);
  }

  /** Makes room for a text of `count` bytes; contents are lost when it grows. */
  reserve(count: number): void {
    const needed = TEXT_START + count + READ_AHEAD;
    if (needed > this.bytes.length) {
      this.#allocate(Math.max(needed, this.bytes.length * 2));
    }
  }

  /** Replaces the contents by `text` and returns its end. Lone surrogates become U+FFFD. */
  setText(text: string): number {
    this.reserve(text.length <= SHORT_TEXT_UNITS ? text.length * 3 : Buffer.byteLength(text));
    return this.write(text, TEXT_START);
  }

  /** Replaces the contents by well-formed UTF-8 and returns its end. */
  setBytes(bytes: Uint8Array): number {
    this.reserve(bytes.length);
    this.bytes.set(bytes, TEXT_START);
    return TEXT_START + bytes.length;
  }

  /** Writes `text` at `at`, where there must be room, and returns its end. */
  write(text: string, at: number): number {
    return at + utf8.encodeInto(text, this.bytes.subarray(at)).written;
  }

  /** The text between two character boundaries. */
  read(from: number, to: number): string {
    return this.#buffer.toString('utf8', from, to);
  }

  /** Gives very large memory back. */
  release(): void {
    if (this.bytes.length > KEPT_BYTES_MAX) {
      this.#allocate(4096);
    }
  }

  #allocate(count: number): void {
    const memory = new ArrayBuffer(count);
    this.bytes = new Uint8Array(memory);
    this.view = new DataView(memory);
    this.#buffer = Buffer.from(memory);
  }
}

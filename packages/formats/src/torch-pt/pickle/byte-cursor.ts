/** Takes numbers and text from the bytes of a pickle, never past their end. */
import { isUtf8 } from 'node:buffer';
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { MAX_INTEGER_BYTES } from '../limits.js';

const NEWLINE = 0x0a;

/** A position in the bytes of a pickle. All numbers are little-endian but for floats. */
export class ByteCursor {
  readonly #bytes: Buffer;
  readonly #where: string;
  /** Offset of the next byte to take. */
  at: number;

  constructor(bytes: Uint8Array, options: { readonly where: string; readonly start: number }) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#where = options.where;
    this.at = options.start;
  }

  /** Makes an error about the current position. */
  error(code: string, message: string): TuneyardError {
    return new TuneyardError(code, `${this.#where}: pickle byte ${this.at}: ${message}`, {
      details: { offset: this.at },
    });
  }

  /** Takes bytes without copying them. */
  take(byteLength: number): Buffer {
    const start = this.at;
    if (byteLength > this.#bytes.length - start) {
      throw this.error(
        TORCH_ERRORS.TORCH_PICKLE_TRUNCATED,
        `needs ${byteLength} bytes more, ${this.#bytes.length - start} are left`,
      );
    }
    this.at = start + byteLength;
    return this.#bytes.subarray(start, this.at);
  }

  u8(): number {
    return this.take(1).readUInt8(0);
  }

  u16(): number {
    return this.take(2).readUInt16LE(0);
  }

  u32(): number {
    return this.take(4).readUInt32LE(0);
  }

  i32(): number {
    return this.take(4).readInt32LE(0);
  }

  /** A u64 length; above 2^53 it is rounded, and then larger than any pickle all the same. */
  u64(): number {
    const bytes = this.take(8);
    return bytes.readUInt32LE(0) + bytes.readUInt32LE(4) * 2 ** 32;
  }

  /** A big-endian float of eight bytes. */
  f64(): number {
    return this.take(8).readDoubleBE(0);
  }

  /** The text up to the next newline, which is taken too; one character per byte. */
  line(): string {
    const end = this.#bytes.indexOf(NEWLINE, this.at);
    if (end < 0) {
      throw this.error(TORCH_ERRORS.TORCH_PICKLE_TRUNCATED, 'a line does not end');
    }
    const text = this.#bytes.toString('latin1', this.at, end);
    this.at = end + 1;
    return text;
  }

  /** UTF-8 text; lone surrogates, which Python writes as three bytes each, are refused. */
  text(byteLength: number): string {
    const bytes = this.take(byteLength);
    if (!isUtf8(bytes)) {
      throw this.error(TORCH_ERRORS.TORCH_PICKLE_MALFORMED, 'a string is not valid UTF-8');
    }
    return bytes.toString('utf8');
  }

  /** A two's complement integer: a number where it is exact, else a bigint. */
  integer(byteLength: number): number | bigint {
    if (byteLength > MAX_INTEGER_BYTES) {
      throw this.error(
        TORCH_ERRORS.TORCH_PICKLE_LIMIT,
        `an integer has ${byteLength} bytes; the limit is ${MAX_INTEGER_BYTES}`,
      );
    }
    const bytes = this.take(byteLength);
    if (byteLength === 0) return 0;
    const hex = Buffer.from(bytes).reverse().toString('hex');
    return exactInteger(BigInt.asIntN(8 * byteLength, BigInt(`0x${hex}`)));
  }
}

/** A number where that is exact, else the bigint. */
export function exactInteger(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Gathers the bytes of a pickle. */

const FIRST_BYTES = 4096;

/** A buffer that grows. All numbers are little-endian but for floats. */
export class ByteWriter {
  #buffer = Buffer.alloc(FIRST_BYTES);
  #length = 0;

  /** The bytes written. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  u8(value: number): void {
    this.#buffer.writeUInt8(value, this.#reserve(1));
  }

  u16(value: number): void {
    this.#buffer.writeUInt16LE(value, this.#reserve(2));
  }

  u32(value: number): void {
    this.#buffer.writeUInt32LE(value, this.#reserve(4));
  }

  i32(value: number): void {
    this.#buffer.writeInt32LE(value, this.#reserve(4));
  }

  u64(value: number): void {
    this.#buffer.writeBigUInt64LE(BigInt(value), this.#reserve(8));
  }

  /** A big-endian float of eight bytes. */
  f64(value: number): void {
    this.#buffer.writeDoubleBE(value, this.#reserve(8));
  }

  raw(bytes: Uint8Array): void {
    this.#buffer.set(bytes, this.#reserve(bytes.length));
  }

  #reserve(byteLength: number): number {
    const at = this.#length;
    const needed = at + byteLength;
    if (needed > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(needed, 2 * this.#buffer.length));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    this.#length = needed;
    return at;
  }
}

/** Takes exact numbers of bytes from a stream of chunks. */
export class ByteCursor {
  readonly #chunks: AsyncIterator<Buffer>;
  #head: Buffer = Buffer.alloc(0);
  #isEnded = false;

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** Whether `length` more bytes exist; reads ahead as far as needed. */
  async has(length: number): Promise<boolean> {
    if (this.#head.length >= length) return true;
    const parts = [this.#head];
    let bytes = this.#head.length;
    while (bytes < length && !this.#isEnded) {
      const next = await this.#chunks.next();
      if (next.done === true) this.#isEnded = true;
      else {
        parts.push(next.value);
        bytes += next.value.length;
      }
    }
    this.#head = parts.length === 1 ? this.#head : Buffer.concat(parts);
    return bytes >= length;
  }

  /** The next `length` bytes, a view that later calls leave alone; null when fewer are left. */
  async take(length: number): Promise<Buffer | null> {
    if (!(await this.has(length))) return null;
    const bytes = this.#head.subarray(0, length);
    this.#head = this.#head.subarray(length);
    return bytes;
  }

  /** Ends the source; call it when the rest is not wanted. */
  async close(): Promise<void> {
    this.#isEnded = true;
    await this.#chunks.return?.();
  }
}

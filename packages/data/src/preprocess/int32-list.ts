/** A growing list of int32 values, for token streams of unknown length. */
export class Int32List {
  #values: Int32Array;
  #length = 0;

  constructor(capacity = 1 << 16) {
    this.#values = new Int32Array(capacity);
  }

  push(value: number): void {
    this.#reserve(1);
    this.#values[this.#length++] = value;
  }

  append(values: Int32Array): void {
    this.#reserve(values.length);
    this.#values.set(values, this.#length);
    this.#length += values.length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** The values so far as a copy of exact size; the list is then empty and keeps its memory. */
  take(): Int32Array {
    const taken = this.#values.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#values.length) return;
    const grown = new Int32Array(Math.max(needed, 2 * this.#values.length));
    grown.set(this.#values.subarray(0, this.#length));
    this.#values = grown;
  }
}

/** A list of 32-bit integers that grows, for one number per row. Bounds: reads beyond the end give 0. */

/** Integers in one flat array that doubles. */
export class IntList {
  #values = new Int32Array(256);
  #length = 0;

  /** Numbers in the list. */
  get length(): number {
    return this.#length;
  }

  /** Appends and returns the index. */
  push(value: number): number {
    if (this.#length === this.#values.length) {
      const larger = new Int32Array(this.#values.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.#length] = value;
    return this.#length++;
  }

  /** The number at an index; 0 beyond the end. */
  at(index: number): number {
    return index < this.#length ? this.#values[index]! : 0;
  }

  /** Replaces a number; the index is below the length. */
  set(index: number, value: number): void {
    this.#values[index] = value;
  }
}

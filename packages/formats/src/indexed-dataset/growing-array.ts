/** Lists of numbers that grow by doubling, for the index of a data set of unknown size. */

/** A growing list of int32 values. */
export class Int32Growth {
  #values = new Int32Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  get values(): Int32Array {
    return this.#values.subarray(0, this.#length);
  }

  append(values: Int32Array): void {
    const needed = this.#length + values.length;
    if (needed > this.#values.length) {
      const grown = new Int32Array(Math.max(needed, 2 * this.#values.length));
      grown.set(this.values);
      this.#values = grown;
    }
    this.#values.set(values, this.#length);
    this.#length = needed;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.append(Int32Array.of(value));
    else this.#values[this.#length++] = value;
  }
}

/** A growing list of whole numbers up to 2^53 − 1. */
export class Float64Growth {
  #values = new Float64Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The value pushed last; 0 when there is none. */
  get last(): number {
    return this.#values[this.#length - 1] ?? 0;
  }

  get values(): Float64Array {
    return this.#values.subarray(0, this.#length);
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Float64Array(2 * this.#values.length);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }
}

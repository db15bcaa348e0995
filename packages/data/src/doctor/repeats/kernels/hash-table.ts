/**
 * A map from 64-bit hashes to 32-bit integers in flat arrays: 12 bytes per place, at most half of them used.
 *
 * Bounds: places are taken modulo the capacity, a power of two, and every array has that length.
 */
import type { Hash64 } from './row-hash.js';

const EMPTY = -1;

/** Maps hashes to numbers that are not negative. */
export class HashTable {
  #high = new Uint32Array(1024);
  #low = new Uint32Array(1024);
  #values = new Int32Array(1024).fill(EMPTY);
  #size = 0;

  /** Entries. */
  get size(): number {
    return this.#size;
  }

  /** The value of a hash, or −1. */
  get(hash: Hash64): number {
    return this.#values[this.#placeOf(hash.high, hash.low)]!;
  }

  /** Sets the value of a hash; at least 0. */
  set(hash: Hash64, value: number): void {
    const place = this.#placeOf(hash.high, hash.low);
    if (this.#values[place] === EMPTY) {
      this.#size++;
      this.#high[place] = hash.high;
      this.#low[place] = hash.low;
    }
    this.#values[place] = value;
    if (this.#size * 2 > this.#values.length) this.#grow();
  }

  #placeOf(high: number, low: number): number {
    const mask = this.#values.length - 1;
    let place = low & mask;
    while (
      this.#values[place] !== EMPTY &&
      (this.#low[place] !== low || this.#high[place] !== high)
    ) {
      place = (place + 1) & mask;
    }
    return place;
  }

  #grow(): void {
    const [high, low, values] = [this.#high, this.#low, this.#values];
    this.#high = new Uint32Array(values.length * 2);
    this.#low = new Uint32Array(values.length * 2);
    this.#values = new Int32Array(values.length * 2).fill(EMPTY);
    for (let i = 0; i < values.length; i++) {
      if (values[i] === EMPTY) continue;
      const place = this.#placeOf(high[i]!, low[i]!);
      this.#high[place] = high[i]!;
      this.#low[place] = low[i]!;
      this.#values[place] = values[i]!;
    }
  }
}

/**
 * Locality-sensitive hashing in flat arrays: signatures of every row, and for each of ten bands of six values the
 * rows that share them.
 *
 * A pair of similarity 0.9 shares no band, and so is missed, about five times in ten thousand; one of 0.5 shares one
 * in 15 of a hundred cases. Memory: 120 bytes of signature and at most 160 bytes of table per row.
 * Bounds: places are taken modulo the capacity, a power of two; rows in the table are below `size`.
 */
import { mix, SIGNATURE_LENGTH } from './minhash.js';

const BAND_VALUES = 6;
const BANDS = SIGNATURE_LENGTH / BAND_VALUES;
/** Rows kept per band: bounds the work on data sets of one repeated text. */
const ROWS_PER_BAND_MAX = 8;

/** Rows by what their signatures share. */
export class BandTable {
  #signatures = new Uint16Array(SIGNATURE_LENGTH * 256);
  #places = new Int32Array(8192);
  #used = 0;
  #size = 0;

  /** Rows added. */
  get size(): number {
    return this.#size;
  }

  /** Adds a signature as the next row. */
  add(signature: Uint16Array): void {
    const row = this.#size++;
    if (this.#signatures.length < this.#size * SIGNATURE_LENGTH) {
      const larger = new Uint16Array(this.#signatures.length * 2);
      larger.set(this.#signatures);
      this.#signatures = larger;
    }
    this.#signatures.set(signature, row * SIGNATURE_LENGTH);
    if ((this.#used + BANDS) * 2 > this.#places.length) this.#grow();
    this.#insert(row);
  }

  /** Rows that share a band, each once, the earliest of each band first. */
  candidates(signature: Uint16Array): Set<number> {
    const found = new Set<number>();
    const mask = this.#places.length - 1;
    for (let band = 0; band < BANDS; band++) {
      let place = bandHash(signature, 0, band) & mask;
      while (this.#places[place] !== 0) {
        const row = this.#places[place]! - 1;
        if (this.#isSame(row, signature, 0, band)) found.add(row);
        place = (place + 1) & mask;
      }
    }
    return found;
  }

  /** Share of equal places of a row's signature and another: an estimate of their similarity. */
  estimate(row: number, signature: Uint16Array): number {
    let same = 0;
    const begin = row * SIGNATURE_LENGTH;
    for (let k = 0; k < SIGNATURE_LENGTH; k++) {
      if (this.#signatures[begin + k] === signature[k]) same++;
    }
    return same / SIGNATURE_LENGTH;
  }

  #insert(row: number): void {
    const mask = this.#places.length - 1;
    const begin = row * SIGNATURE_LENGTH;
    for (let band = 0; band < BANDS; band++) {
      let place = bandHash(this.#signatures, begin, band) & mask;
      let same = 0;
      while (this.#places[place] !== 0 && same < ROWS_PER_BAND_MAX) {
        const other = this.#places[place]! - 1;
        if (this.#isSame(other, this.#signatures, begin, band)) same++;
        place = (place + 1) & mask;
      }
      if (same >= ROWS_PER_BAND_MAX) continue;
      this.#places[place] = row + 1;
      this.#used++;
    }
  }

  #isSame(row: number, values: Uint16Array, begin: number, band: number): boolean {
    const mine = row * SIGNATURE_LENGTH + band * BAND_VALUES;
    const theirs = begin + band * BAND_VALUES;
    for (let k = 0; k < BAND_VALUES; k++) {
      if (this.#signatures[mine + k] !== values[theirs + k]) return false;
    }
    return true;
  }

  #grow(): void {
    this.#places = new Int32Array(this.#places.length * 2);
    this.#used = 0;
    for (let row = 0; row < this.#size - 1; row++) this.#insert(row);
  }
}

function bandHash(values: Uint16Array, begin: number, band: number): number {
  let hash = mix(band + 1);
  const from = begin + band * BAND_VALUES;
  for (let k = 0; k < BAND_VALUES; k++) hash = mix(hash ^ values[from + k]!);
  return hash;
}

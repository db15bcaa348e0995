/** Finds repeated digests among many millions: open addressing over plain memory, 24 bytes an entry. */
import { DIGEST_BYTES } from './part-file.js';

/** Where a digest was seen first. */
export interface DigestPlace {
  readonly dataset: number;
  /** 1-based. */
  readonly row: number;
}

const DIGEST_WORDS = DIGEST_BYTES / 4;
/** Digest, data set, row. */
const ENTRY_WORDS = DIGEST_WORDS + 2;
const FIRST_CAPACITY = 1 << 12;

/** A map from digests of 16 uniformly distributed bytes to the place where each was added. */
export class DigestTable {
  #words = new Uint32Array(FIRST_CAPACITY * ENTRY_WORDS);
  #capacity = FIRST_CAPACITY;
  #count = 0;

  /** Returns the place of an equal digest, or adds this one and returns null. */
  addOrFind(digest: Uint8Array, place: DigestPlace): DigestPlace | null {
    if (2 * this.#count >= this.#capacity) this.#grow();
    const entry = new Uint32Array(ENTRY_WORDS);
    entry.set(new Uint32Array(Uint8Array.from(digest).buffer));
    entry[DIGEST_WORDS] = place.dataset;
    entry[DIGEST_WORDS + 1] = place.row;
    const at = this.#find(entry);
    const row = this.#words[at + DIGEST_WORDS + 1] ?? 0;
    if (row !== 0) return { dataset: this.#words[at + DIGEST_WORDS] ?? 0, row };
    this.#words.set(entry, at);
    this.#count++;
    return null;
  }

  /** The slot that holds the digest, or the free one where it belongs; a row of 0 marks a free slot. */
  #find(entry: Uint32Array): number {
    const words = this.#words;
    const mask = this.#capacity - 1;
    for (let slot = (entry[0] ?? 0) & mask; ; slot = (slot + 1) & mask) {
      const at = slot * ENTRY_WORDS;
      if (words[at + DIGEST_WORDS + 1] === 0) return at;
      let word = 0;
      while (word < DIGEST_WORDS && words[at + word] === entry[word]) word++;
      if (word === DIGEST_WORDS) return at;
    }
  }

  #grow(): void {
    const old = this.#words;
    this.#capacity *= 2;
    this.#words = new Uint32Array(this.#capacity * ENTRY_WORDS);
    for (let at = 0; at < old.length; at += ENTRY_WORDS) {
      if (old[at + DIGEST_WORDS + 1] === 0) continue;
      const entry = old.subarray(at, at + ENTRY_WORDS);
      this.#words.set(entry, this.#find(entry));
    }
  }
}

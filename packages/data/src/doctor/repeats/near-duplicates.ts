/**
 * Finds token sequences that are nearly the same, without comparing all pairs.
 *
 * Sequences that share a band of their signatures are candidates (see kernels/band-table.ts). Candidates are compared
 * exactly as long as their shingles fit the budget, by their signatures beyond it.
 */
import { BandTable } from './kernels/band-table.js';
import { jaccard, minHashSignature, SIGNATURE_LENGTH, shingleHashes } from './kernels/minhash.js';
import { ShingleArena } from './kernels/shingle-arena.js';

/** Shingles kept for exact comparison, 4 bytes each: 128 MiB, some 100,000 rows of 300 words. */
const SHINGLES_MAX = 1 << 25;

/** A sequence that was added before and is similar. */
export interface NearMatch {
  /** Its number, counted from 0 in the order of adding. */
  readonly index: number;
  /** Jaccard similarity of the sets of four-token runs, in [0, 1]; an estimate beyond the budget. */
  readonly similarity: number;
}

/** Options of {@link NearDuplicateIndex}. */
export interface NearDuplicateOptions {
  /** Least similarity of a match, in (0, 1]. */
  readonly threshold: number;
  /** Shingles kept for exact comparison. Default 33,554,432, which are 128 MiB. */
  readonly shinglesMax?: number;
}

/** An index of token sequences by similarity. Memory: 280 bytes per sequence and the budget of shingles. */
export class NearDuplicateIndex {
  readonly #threshold: number;
  readonly #bands = new BandTable();
  readonly #shingles: ShingleArena;
  readonly #signature = new Uint16Array(SIGNATURE_LENGTH);

  constructor({ threshold, shinglesMax = SHINGLES_MAX }: NearDuplicateOptions) {
    this.#threshold = threshold;
    this.#shingles = new ShingleArena(shinglesMax);
  }

  /** The most similar sequence added so far, when one reaches the threshold; then adds this one. */
  findAndAdd(ids: Int32Array): NearMatch | undefined {
    const hashes = shingleHashes(ids);
    minHashSignature(hashes, this.#signature);
    let best: NearMatch | undefined;
    for (const index of this.#bands.candidates(this.#signature)) {
      const similarity = this.#similarity(index, hashes);
      const isBetter = best === undefined || similarity > best.similarity;
      if (similarity >= this.#threshold && isBetter) best = { index, similarity };
    }
    this.#bands.add(this.#signature);
    this.#shingles.add(hashes);
    return best;
  }

  #similarity(index: number, hashes: Uint32Array): number {
    const kept = this.#shingles.get(index);
    return kept === undefined
      ? this.#bands.estimate(index, this.#signature)
      : jaccard(kept, hashes);
  }
}

/**
 * Finds token sequences that are nearly the same, without comparing all pairs.
 *
 * Signatures are cut into bands; only sequences that share a band are compared, and then exactly. With eight
 * bands of four, a pair of similarity 0.9 is missed about three times in ten thousand.
 */
import { jaccard, minHashSignature, SIGNATURE_LENGTH, shingleHashes } from './kernels/minhash.js';

const BAND_ROWS = 4;
/** Candidates compared per band: bounds the work on data sets of one repeated text. */
const CANDIDATES_MAX = 8;

/** A sequence that was added before and is similar. */
export interface NearMatch<T> {
  readonly tag: T;
  /** Jaccard similarity of the sets of four-token runs, in [0, 1]. */
  readonly similarity: number;
}

/** An index of token sequences by similarity. */
export class NearDuplicateIndex<T> {
  readonly #threshold: number;
  readonly #bands = new Map<string, number[]>();
  readonly #items: { readonly hashes: Uint32Array; readonly tag: T }[] = [];

  /** `threshold`: least similarity of a match, in (0, 1]. */
  constructor(threshold: number) {
    this.#threshold = threshold;
  }

  /** Adds a sequence under a tag. */
  add(ids: Int32Array, tag: T): void {
    const hashes = shingleHashes(ids);
    const index = this.#items.push({ hashes, tag }) - 1;
    for (const key of bandKeys(hashes)) {
      const bucket = this.#bands.get(key);
      if (bucket === undefined) this.#bands.set(key, [index]);
      else if (bucket.length < CANDIDATES_MAX) bucket.push(index);
    }
  }

  /** The most similar sequence added so far, when one reaches the threshold. */
  find(ids: Int32Array): NearMatch<T> | undefined {
    const hashes = shingleHashes(ids);
    const candidates = new Set(bandKeys(hashes).flatMap((key) => this.#bands.get(key) ?? []));
    let best: NearMatch<T> | undefined;
    for (const index of candidates) {
      const item = this.#items[index];
      if (item === undefined) continue;
      const similarity = jaccard(hashes, item.hashes);
      if (similarity >= Math.max(this.#threshold, best?.similarity ?? 0)) {
        best = { tag: item.tag, similarity };
      }
    }
    return best;
  }
}

function bandKeys(hashes: Uint32Array): string[] {
  const signature = minHashSignature(hashes);
  const keys: string[] = [];
  for (let begin = 0; begin < SIGNATURE_LENGTH; begin += BAND_ROWS) {
    keys.push(`${begin}:${signature.subarray(begin, begin + BAND_ROWS).join(',')}`);
  }
  return keys;
}

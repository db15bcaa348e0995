/**
 * MinHash signatures of token sequences (Broder, 1997), over runs of {@link SHINGLE_TOKENS} tokens.
 *
 * A signature keeps the low 16 bits of each minimum: two different minima agree by chance once in 65,536, which is
 * nothing beside the spread of the estimate (0.039 at a similarity of 0.9).
 *
 * Bounds: every index below is limited by the length of the array it reads, as the loops state.
 */

/** Tokens of one shingle. */
export const SHINGLE_TOKENS = 4;

/** Values of a signature: ten bands of six. */
export const SIGNATURE_LENGTH = 60;

/**
 * Hashes every run of four tokens; a shorter sequence gives one hash of all of it. Returns distinct hashes in
 * ascending order. Layout: unsigned 32-bit.
 */
export function shingleHashes(ids: Int32Array): Uint32Array {
  const count = Math.max(1, ids.length - SHINGLE_TOKENS + 1);
  const hashes = new Uint32Array(count);
  for (let begin = 0; begin < count; begin++) {
    const end = Math.min(ids.length, begin + SHINGLE_TOKENS);
    let hash = 0x811c9dc5;
    for (let i = begin; i < end; i++) hash = mix(hash ^ ids[i]!);
    hashes[begin] = hash;
  }
  hashes.sort();
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (i === 0 || hashes[i] !== hashes[kept - 1]) hashes[kept++] = hashes[i]!;
  }
  return hashes.subarray(0, kept);
}

const minima = new Uint32Array(SIGNATURE_LENGTH);

/**
 * The least value of each of 60 fixed permutations, as 16 bits. Equal places of two signatures estimate their Jaccard.
 * Mutates: `signature`, which has {@link SIGNATURE_LENGTH} values.
 */
export function minHashSignature(hashes: Uint32Array, signature: Uint16Array): void {
  minima.fill(0xffffffff);
  for (let i = 0; i < hashes.length; i++) {
    const hash = hashes[i]!;
    for (let k = 0; k < SIGNATURE_LENGTH; k++) {
      const value = mix(hash + Math.imul(k + 1, 0x9e3779b1)) >>> 0;
      if (value < minima[k]!) minima[k] = value;
    }
  }
  for (let k = 0; k < SIGNATURE_LENGTH; k++) signature[k] = minima[k]!;
}

/** Shared elements over all elements of two ascending lists of distinct values, in [0, 1]. */
export function jaccard(a: Uint32Array, b: Uint32Array): number {
  let shared = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const x = a[i]!;
    const y = b[j]!;
    if (x === y) shared++;
    if (x <= y) i++;
    if (y <= x) j++;
  }
  return shared / (a.length + b.length - shared);
}

/** A 32-bit finalizer (murmur3's), a bijection. */
export function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

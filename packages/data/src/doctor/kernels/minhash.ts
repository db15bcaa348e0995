/**
 * MinHash signatures of token sequences (Broder, 1997), over runs of {@link SHINGLE_TOKENS} tokens.
 *
 * Bounds: every index below is limited by the length of the array it reads, as the loops state.
 */

/** Tokens of one shingle. */
export const SHINGLE_TOKENS = 4;

/** Values of a signature. */
export const SIGNATURE_LENGTH = 32;

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

/** The least value of each of 32 fixed permutations. Equal places of two signatures estimate their Jaccard. */
export function minHashSignature(hashes: Uint32Array): Uint32Array {
  const signature = new Uint32Array(SIGNATURE_LENGTH).fill(0xffffffff);
  for (let i = 0; i < hashes.length; i++) {
    const hash = hashes[i]!;
    for (let k = 0; k < SIGNATURE_LENGTH; k++) {
      const value = mix(hash + Math.imul(k + 1, 0x9e3779b1)) >>> 0;
      if (value < signature[k]!) signature[k] = value;
    }
  }
  return signature;
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
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

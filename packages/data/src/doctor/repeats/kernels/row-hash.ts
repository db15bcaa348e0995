/**
 * Hashes of rows: 64 bits to tell rows apart, and words as integers to compare them.
 *
 * With a million rows the chance that any two different ones share 64 bits is about 3e-8.
 * Bounds: every index is limited by the length of the array or text it reads.
 */
import { mix } from './minhash.js';

/** Two unsigned halves of a 64-bit hash. */
export interface Hash64 {
  readonly high: number;
  readonly low: number;
}

/** Hashes integers in order. */
export function hashIds(ids: Int32Array): Hash64 {
  let high = 0x243f6a88;
  let low = 0x85a308d3;
  for (let i = 0; i < ids.length; i++) {
    const value = ids[i]!;
    high = mix(high ^ value);
    low = mix(low + Math.imul(value + 1, 0x9e3779b1));
  }
  return { high: mix(high ^ ids.length) >>> 0, low: mix(low + ids.length) >>> 0 };
}

/** Hashes the UTF-16 units of a text; runs of white space count as one blank, those at the ends as nothing. */
export function hashText(text: string): Hash64 {
  let high = 0x13198a2e;
  let low = 0x03707344;
  let length = 0;
  let isPending = false;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 32 || (unit >= 9 && unit <= 13) || unit === 0xa0) {
      isPending = length > 0;
      continue;
    }
    if (isPending) {
      high = mix(high ^ 32);
      low = mix(low + Math.imul(33, 0x9e3779b1));
      length++;
      isPending = false;
    }
    high = mix(high ^ unit);
    low = mix(low + Math.imul(unit + 1, 0x9e3779b1));
    length++;
  }
  return { high: mix(high ^ length) >>> 0, low: mix(low + length) >>> 0 };
}

/** Joins two hashes; the order counts. */
export function joinHashes(a: Hash64, b: Hash64): Hash64 {
  return {
    high: mix(mix(a.high) ^ b.high) >>> 0,
    low: mix(mix(a.low) + Math.imul(b.low + 1, 0x9e3779b1)) >>> 0,
  };
}

/**
 * The words of a text as integers: letters and digits below U+3000 in runs, ASCII case ignored, every later unit
 * (Chinese, Japanese, Korean, emoji) for itself; punctuation and blanks only part words.
 */
export function wordHashes(text: string): Int32Array {
  const words = new Int32Array(text.length);
  let count = 0;
  let word = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (isLetter(unit)) {
      word = mix(word ^ (unit < 128 ? unit | 32 : unit)) || 1;
      continue;
    }
    if (word !== 0) words[count++] = word;
    word = 0;
    if (isWordByItself(unit)) words[count++] = mix(unit);
  }
  if (word !== 0) words[count++] = word;
  return words.subarray(0, count);
}

function isLetter(unit: number): boolean {
  const lower = unit | 32;
  return (lower >= 97 && lower <= 122) || (unit >= 48 && unit <= 57) || isLaterLetter(unit);
}

/** All above the punctuation of U+3000 to U+303F but the full-width signs. */
function isWordByItself(unit: number): boolean {
  return unit > 0x303f && (unit < 0xff00 || unit > 0xff20);
}

/** Beyond ASCII all below U+3000 but the punctuation of Latin-1 and of U+2000 to U+206F. */
function isLaterLetter(unit: number): boolean {
  return unit >= 0xc0 && unit < 0x3000 && !(unit >= 0x2000 && unit <= 0x206f);
}

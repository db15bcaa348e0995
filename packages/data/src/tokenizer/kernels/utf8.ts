/**
 * Reading code points out of UTF-8 that is known to be well formed.
 *
 * Bounds: callers stand at the first byte of a character, and well-formed text holds all its bytes.
 */

/** The code point whose first byte is at `at`. */
export function codePointAt(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  if (first < 0x80) {
    return first;
  }
  if (first < 0xe0) {
    return ((first & 0x1f) << 6) | (bytes[at + 1]! & 0x3f);
  }
  const low = ((bytes[at + 1]! & 0x3f) << 6) | (bytes[at + 2]! & 0x3f);
  return first < 0xf0
    ? ((first & 0x0f) << 12) | low
    : ((first & 0x07) << 18) | (low << 6) | (bytes[at + 3]! & 0x3f);
}

/** How many bytes the character has that starts with `first`. */
export function charBytes(first: number): number {
  if (first < 0x80) {
    return 1;
  }
  if (first < 0xe0) {
    return 2;
  }
  return first < 0xf0 ? 3 : 4;
}

/** Start of the character that ends just before `at`. */
export function charStartBefore(bytes: Uint8Array, at: number): number {
  let start = at - 1;
  while ((bytes[start]! & 0xc0) === 0x80) {
    start--;
  }
  return start;
}

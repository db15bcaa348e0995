/**
 * Small passes over UTF-8: characters that normalization may change, marks of spaces, first bytes.
 *
 * Bounds: positions stay below `to`; `to` is a character boundary of well-formed text.
 */

import { COMPOSING } from './scan-classes.js';
import { charBytes, codePointAt } from './utf8.js';

/** First byte of U+0300, the first character that can compose with the one before it. */
const FIRST_COMPOSING = 0xcc;

/** Start of the first character at or after `from` that form C may touch, or `to`. */
export function findComposing(
  bytes: Uint8Array,
  from: number,
  to: number,
  classes: Uint8Array,
): number {
  let at = from;
  while (at < to) {
    const first = bytes[at]!;
    if (first < FIRST_COMPOSING) {
      // ASCII and the start or the rest of a Latin letter.
      at++;
    } else {
      if ((classes[codePointAt(bytes, at)]! & COMPOSING) !== 0) {
        return at;
      }
      at += charBytes(first);
    }
  }
  return to;
}

/** Start of the first character at or after `from` that form C cannot touch, or `to`. */
export function skipComposing(
  bytes: Uint8Array,
  from: number,
  to: number,
  classes: Uint8Array,
): number {
  let at = from;
  while (at < to && (classes[codePointAt(bytes, at)]! & COMPOSING) !== 0) {
    at += charBytes(bytes[at]!);
  }
  return at;
}

/** Writes the byte 0x20 for each U+2581 in place and returns the new end of the text. */
export function foldSpaceMarks(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && !isSpaceMark(bytes, at, to)) {
    at++;
  }
  let end = at;
  while (at < to) {
    if (isSpaceMark(bytes, at, to)) {
      bytes[end++] = 0x20;
      at += 3;
    } else {
      bytes[end++] = bytes[at++]!;
    }
  }
  return end;
}

function isSpaceMark(bytes: Uint8Array, at: number, to: number): boolean {
  return bytes[at]! === 0xe2 && at + 2 < to && bytes[at + 1]! === 0x96 && bytes[at + 2]! === 0x81;
}

/** The first position at or after `from` whose byte is marked in `wanted`, or `to`. */
export function findByte(bytes: Uint8Array, from: number, to: number, wanted: Uint8Array): number {
  let at = from;
  while (at < to && wanted[bytes[at]!]! === 0) {
    at++;
  }
  return at;
}

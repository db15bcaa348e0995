/**
 * The class of every code point, one byte each, from Node's Unicode tables less what is newer than the
 * reference's.
 *
 * Built on first use (about 40 ms) and then kept: 1.1 MB for the process.
 */

import { COMPOSING, LETTER, LINE_END, NUMBER, SPACE, WORD } from '../kernels/scan-classes.js';
import { NEWER_CHARACTERS } from '../newer-characters.js';
import { NEWER_FORMS } from '../newer-forms.js';

const CLASSES: readonly (readonly [RegExp, number])[] = [
  [/\p{L}+/gu, LETTER],
  [/\p{N}+/gu, NUMBER],
  [/\p{White_Space}+/gu, SPACE],
  [/[\r\n]+/gu, LINE_END],
  [/[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]+/gu, WORD],
];
/** Ranges without surrogates; the planes between have no letters, numbers, spaces or marks. */
const RANGES: readonly (readonly [number, number])[] = [
  [0, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, 0x3ffff],
  [0xe0000, 0xe0fff],
];
/** Characters looked at together: most blocks have nothing that decomposes. */
const BLOCK_CHARS = 64;
/** Marks of the lowest and of the highest combining class. */
const LOWEST_CLASS_MARK = '\u0334';
const HIGHEST_CLASS_MARK = '\u0345';

let table: Uint8Array | undefined;

/** The class bits of scan-classes.ts by code point. */
export function codePointClasses(): Uint8Array {
  table ??= buildClasses();
  return table;
}

function buildClasses(): Uint8Array {
  const classes = new Uint8Array(0x110000);
  for (const [first, last] of RANGES) {
    const text = textOfRange(first, last);
    const unitsPerChar = first > 0xffff ? 2 : 1;
    for (const [pattern, bit] of CLASSES) {
      for (const match of text.matchAll(pattern)) {
        const from = first + match.index / unitsPerChar;
        const to = from + match[0].length / unitsPerChar;
        for (let codePoint = from; codePoint < to; codePoint++) {
          classes[codePoint] = (classes[codePoint] ?? 0) | bit;
        }
      }
    }
    markComposing(text, BLOCK_CHARS * unitsPerChar, classes);
  }
  for (const run of NEWER_CHARACTERS) {
    keepOnly(COMPOSING, run, classes);
  }
  for (const run of NEWER_FORMS) {
    keepOnly(~COMPOSING, run, classes);
  }
  return classes;
}

function keepOnly(
  bits: number,
  [first, last]: readonly [number, number],
  classes: Uint8Array,
): void {
  for (let codePoint = first; codePoint <= last; codePoint++) {
    classes[codePoint] = (classes[codePoint] ?? 0) & bits;
  }
}

function textOfRange(first: number, last: number): string {
  const count = last - first + 1;
  const isAstral = first > 0xffff;
  const units = new Uint16Array(isAstral ? count * 2 : count);
  for (let i = 0; i < count; i++) {
    const codePoint = first + i;
    if (isAstral) {
      units[2 * i] = 0xd800 + ((codePoint - 0x10000) >> 10);
      units[2 * i + 1] = 0xdc00 + (codePoint & 0x3ff);
    } else {
      units[i] = codePoint;
    }
  }
  return Buffer.from(units.buffer).toString('utf16le');
}

/**
 * Marks what form C may change or move: characters that it replaces, that have a combining class, or
 * that can be the second half of a composed one. All other characters stand still, whatever is
 * around them.
 */
function markComposing(text: string, blockUnits: number, classes: Uint8Array): void {
  const mark = (char: string): void => {
    const codePoint = char.codePointAt(0) ?? 0;
    classes[codePoint] = (classes[codePoint] ?? 0) | COMPOSING;
  };
  for (let from = 0; from < text.length; from += blockUnits) {
    const block = text.slice(from, from + blockUnits);
    if (block.normalize('NFD') === block) {
      continue;
    }
    for (const char of block) {
      const parts = Array.from(char.normalize('NFD'));
      parts.slice(1).forEach(mark);
      if (char.normalize('NFC') !== char) {
        mark(char);
      }
    }
  }
  for (const [char] of text.matchAll(/\p{M}/gu)) {
    const low = char + LOWEST_CLASS_MARK;
    const high = HIGHEST_CLASS_MARK + char;
    if (low.normalize('NFD') !== low || high.normalize('NFD') !== high) {
      mark(char);
    }
  }
}

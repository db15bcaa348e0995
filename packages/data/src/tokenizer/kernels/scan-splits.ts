/**
 * The split patterns of GPT-2, Llama-3 and Qwen2 as hand-written scanners over UTF-8.
 *
 * Each scanner does exactly what the leftmost-first alternation of its pattern does; none of the
 * patterns looks back, so a piece depends only on where it starts and where the text ends.
 *
 * Bounds: `at` stays below `to` wherever a byte is read, `to` is a character boundary of well-formed
 * UTF-8, and `classes` has one entry per code point.
 */

import { LETTER, LINE_END, NUMBER, SPACE } from './scan-classes.js';
import { charBytes, codePointAt } from './utf8.js';

const KIND = LETTER | NUMBER | SPACE;
const APOSTROPHE = 0x27;
const BLANK = 0x20;

/** What a scan needs besides its text. */
export interface ScanRules {
  readonly classes: Uint8Array;
  /** GPT-2's pattern; false: the one that Llama-3 and Qwen2 share but for two details. */
  readonly isGpt2: boolean;
  /** The longest piece of digits: 3 for Llama-3, 1 for Qwen2. */
  readonly digitsMax: number;
  /** U+017F counts as an s after an apostrophe, as `(?i:'s)` wants. */
  readonly foldsLongS: boolean;
}

/**
 * Writes the ends of the pieces of `bytes[from..to)` to `ends` and returns how many; fewer than all
 * when `ends` is full, to be continued at the last end.
 */
export function scanSplits(
  bytes: Uint8Array,
  from: number,
  to: number,
  rules: ScanRules,
  ends: Int32Array,
): number {
  const limit = ends.length;
  const { classes, digitsMax, foldsLongS } = rules;
  let count = 0;
  let at = from;
  if (rules.isGpt2) {
    while (at < to && count < limit) {
      at = gpt2End(bytes, at, to, classes);
      ends[count++] = at;
    }
  } else {
    while (at < to && count < limit) {
      at = wordEnd(bytes, at, to, classes, digitsMax, foldsLongS);
      ends[count++] = at;
    }
  }
  return count;
}

/**
 * `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
 */
function gpt2End(bytes: Uint8Array, at: number, to: number, classes: Uint8Array): number {
  const first = bytes[at]!;
  if (first === APOSTROPHE) {
    const end = contractionEnd(bytes, at + 1, to, 0);
    if (end > 0) {
      return end;
    }
  }
  const start = first === BLANK && at + 1 < to ? at + 1 : at;
  const kind = classes[codePointAt(bytes, start)]! & KIND;
  return kind === SPACE
    ? spaceEnd(bytes, at, to, classes, false)
    : skipKind(bytes, start + charBytes(bytes[start]!), to, classes, kind);
}

/**
 * `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
 */
function wordEnd(
  bytes: Uint8Array,
  at: number,
  to: number,
  classes: Uint8Array,
  digitsMax: number,
  foldsLongS: boolean,
): number {
  const first = bytes[at]!;
  const after = at + charBytes(first);
  const own = classes[codePointAt(bytes, at)]!;
  if ((own & LETTER) !== 0) {
    return skipKind(bytes, after, to, classes, LETTER);
  }
  if ((own & NUMBER) !== 0) {
    return digitsEnd(bytes, after, to, classes, digitsMax);
  }
  if (first === APOSTROPHE) {
    const end = contractionEnd(bytes, after, to, foldsLongS ? 2 : 1);
    if (end > 0) {
      return end;
    }
  }
  if ((own & LINE_END) === 0 && after < to) {
    const next = classes[codePointAt(bytes, after)]! & KIND;
    if (next === LETTER) {
      return skipKind(bytes, after, to, classes, LETTER);
    }
    if (next === 0 && first === BLANK) {
      return signsEnd(bytes, after, to, classes);
    }
  }
  return (own & SPACE) === 0
    ? signsEnd(bytes, after, to, classes)
    : spaceEnd(bytes, at, to, classes, true);
}

/** End of the run of characters of one kind that goes on at `from`. */
function skipKind(
  bytes: Uint8Array,
  from: number,
  to: number,
  classes: Uint8Array,
  kind: number,
): number {
  let at = from;
  while (at < to) {
    const first = bytes[at]!;
    if (first < 0x80) {
      if ((classes[first]! & KIND) !== kind) {
        return at;
      }
      at++;
    } else {
      if ((classes[codePointAt(bytes, at)]! & KIND) !== kind) {
        return at;
      }
      at += charBytes(first);
    }
  }
  return at;
}

function digitsEnd(
  bytes: Uint8Array,
  from: number,
  to: number,
  classes: Uint8Array,
  digitsMax: number,
): number {
  let at = from;
  for (let i = 1; i < digitsMax && at < to; i++) {
    if ((classes[codePointAt(bytes, at)]! & NUMBER) === 0) {
      break;
    }
    at += charBytes(bytes[at]!);
  }
  return at;
}

/** `[^\s\p{L}\p{N}]*[\r\n]*` */
function signsEnd(bytes: Uint8Array, from: number, to: number, classes: Uint8Array): number {
  let at = skipKind(bytes, from, to, classes, 0);
  while (at < to && (bytes[at]! === 0x0a || bytes[at]! === 0x0d)) {
    at++;
  }
  return at;
}

/**
 * White space that no letter or sign takes along: up to the last line end when `stopsAtLineEnd` and
 * there is one, else all of it at the end of the text, else all but the last character.
 */
function spaceEnd(
  bytes: Uint8Array,
  from: number,
  to: number,
  classes: Uint8Array,
  stopsAtLineEnd: boolean,
): number {
  let at = from;
  let lastStart = from;
  let lineEnd = -1;
  while (at < to) {
    const own = classes[codePointAt(bytes, at)]!;
    if ((own & SPACE) === 0) {
      break;
    }
    lastStart = at;
    at += charBytes(bytes[at]!);
    if ((own & LINE_END) !== 0) {
      lineEnd = at;
    }
  }
  if (stopsAtLineEnd && lineEnd >= 0) {
    return lineEnd;
  }
  return at === to || lastStart === from ? at : lastStart;
}

/**
 * End of `s t re ve m ll d` at `at`, or -1. `folding`: 0 takes lower case alone, 1 ASCII capitals too,
 * 2 also U+017F for s.
 */
function contractionEnd(bytes: Uint8Array, at: number, to: number, folding: number): number {
  if (at >= to) {
    return -1;
  }
  const bit = folding > 0 ? 0x20 : 0;
  const first = bytes[at]! | bit;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) {
    return at + 1;
  }
  if (at + 1 >= to) {
    return -1;
  }
  const second = bytes[at + 1]!;
  if (folding === 2 && bytes[at]! === 0xc5 && second === 0xbf) {
    return at + 2;
  }
  const isPair =
    first === 0x6c
      ? (second | bit) === 0x6c
      : (first === 0x72 || first === 0x76) && (second | bit) === 0x65;
  return isPair ? at + 2 : -1;
}

/**
 * Cuts text for a SentencePiece-type model, which has no split pattern, into words that can be merged
 * one by one.
 *
 * A cut lies between two neighbouring characters that no merge rule joins: no rule has a left part
 * that ends in the first and a right part that begins with the second. Every symbol spells the
 * characters it covers, so nothing is ever merged across such a place and the ids are those of the
 * whole text.
 *
 * In this text the byte 0x20 stands for U+2581, the mark of a space.
 *
 * Bounds: as in scan-splits.ts; `ascii` has 128 * 128 entries, `pairs` is at most half full, so a probe
 * always meets an empty slot.
 */

import { type CharTable, charValue } from './char-table.js';
import { charBytes, codePointAt } from './utf8.js';

/** Which neighbours can be joined. */
export interface JoinRules {
  /** 1 at `left * 128 + right` where some rule joins the two ASCII characters. */
  readonly ascii: Uint8Array;
  /** Number of each character that a rule's part begins or ends with. */
  readonly numbers: CharTable;
  /** Open addressing over `left number * 65536 + right number` as unsigned 32-bit; -1 is empty. */
  readonly pairs: Int32Array;
  /** Every space mark starts a word (Metaspace with split). */
  readonly cutsBeforeSpace: boolean;
}

const BLANK = 0x20;
const UNKNOWN = -2;
/** What the byte 0x20 stands for. */
export const SPACE_MARK_CODE = 0x2581;

/** Adds a pair of numbers; `pairs` must have room. */
export function addJoin(pairs: Int32Array, left: number, right: number): void {
  const key = (left << 16) | right;
  let slot = joinHash(key) & (pairs.length - 1);
  while (pairs[slot]! !== -1 && pairs[slot]! !== key) {
    slot = (slot + 1) & (pairs.length - 1);
  }
  pairs[slot] = key;
}

function joinHash(key: number): number {
  const hash = Math.imul(key, 0x9e3779b1);
  return hash ^ (hash >>> 15);
}

function hasJoin(pairs: Int32Array, left: number, right: number): number {
  if (left < 0 || right < 0) {
    return 0;
  }
  const key = (left << 16) | right;
  let slot = joinHash(key) & (pairs.length - 1);
  for (;;) {
    const found = pairs[slot]!;
    if (found === key) {
      return 1;
    }
    if (found === -1) {
      return 0;
    }
    slot = (slot + 1) & (pairs.length - 1);
  }
}

/** As scanSplits: ends of the words of `bytes[from..to)`. The last word of a full `ends` is whole. */
export function scanCuts(
  bytes: Uint8Array,
  from: number,
  to: number,
  rules: JoinRules,
  ends: Int32Array,
): number {
  const limit = ends.length;
  let count = 0;
  let at = from;
  while (at < to && count < limit) {
    at = wordEnd(bytes, at, to, rules);
    ends[count++] = at;
  }
  return count;
}

function wordEnd(bytes: Uint8Array, from: number, to: number, rules: JoinRules): number {
  const { ascii, numbers, pairs, cutsBeforeSpace } = rules;
  let left = bytes[from]!;
  // Of the character on the left; looked up when a character outside ASCII stands next to it.
  let number = left < 0x80 ? UNKNOWN : charNumber(bytes, from, numbers);
  let at = from + charBytes(left);
  while (at < to) {
    const right = bytes[at]!;
    let joined: number;
    if (left < 0x80 && right < 0x80) {
      joined = ascii[left * 128 + right]!;
      number = UNKNOWN;
    } else {
      const leftNumber = number === UNKNOWN ? byteNumber(left, numbers) : number;
      number = charNumber(bytes, at, numbers);
      joined = hasJoin(pairs, leftNumber, number);
    }
    if (joined === 0 || (right === BLANK && cutsBeforeSpace)) {
      return at;
    }
    left = right;
    at += charBytes(right);
  }
  return at;
}

function charNumber(bytes: Uint8Array, at: number, numbers: CharTable): number {
  const first = bytes[at]!;
  return first < 0x80 ? byteNumber(first, numbers) : charValue(numbers, codePointAt(bytes, at));
}

function byteNumber(byte: number, numbers: CharTable): number {
  return charValue(numbers, byte === BLANK ? SPACE_MARK_CODE : byte);
}

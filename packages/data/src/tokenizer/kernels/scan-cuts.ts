/**
 * Cuts text into words that can be merged one by one, where no merge rule can reach across.
 *
 * A cut lies between two neighbouring characters that no rule joins: no rule has a left part that ends
 * there in the first and a right part that begins there with the second. Every symbol spells the
 * bytes it covers, so the first merge across such a place would need such a rule, and the ids are
 * those of the whole text. A SentencePiece-type model has no other splits; to a byte-level one it
 * gives words that come back out of Chinese clauses that do not.
 *
 * The tables may say "joined" too often, which costs a cut, never an id.
 *
 * Bounds: as in scan-splits.ts; `bytes` has 65,536 entries, `pairs` is at most half full, so a probe
 * always meets an empty slot.
 */

import { charBytes, codePointAt } from './utf8.js';

/** Which neighbours can be joined. */
export interface JoinRules {
  /** 1 at `last byte of the left character * 256 + first byte of the right one`: joined, whatever else. */
  readonly bytes: Uint8Array;
  /** Open addressing over {@link joinKey} of characters not both ASCII; -1 is empty. */
  readonly pairs: Int32Array;
  /** What the byte 0x20 stands for: itself, or U+2581 in text whose space marks are folded. */
  readonly blankCode: number;
  /** Every blank starts a word (Metaspace with split). */
  readonly cutsBeforeBlank: boolean;
}

const BLANK = 0x20;

/** Names a pair of characters; pairs beyond the basic plane may share a name with others. */
export function joinKey(left: number, right: number): number {
  const key = (left << 16) ^ right;
  // -1 marks an empty slot; its namesake stands for it.
  return key === -1 ? 0 : key;
}

/** Adds a key; `pairs` must have room. */
export function addJoin(pairs: Int32Array, key: number): void {
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

function hasJoin(pairs: Int32Array, key: number): boolean {
  let slot = joinHash(key) & (pairs.length - 1);
  for (;;) {
    const found = pairs[slot]!;
    if (found === key) {
      return true;
    }
    if (found === -1) {
      return false;
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
  const { bytes: joined, pairs, blankCode, cutsBeforeBlank } = rules;
  let left = codeAt(bytes, from, blankCode);
  let at = from + charBytes(bytes[from]!);
  while (at < to) {
    const first = bytes[at]!;
    const before = bytes[at - 1]!;
    const right = codeAt(bytes, at, blankCode);
    if (joined[(before << 8) | first]! === 0) {
      if ((before < 0x80 && first < 0x80) || !hasJoin(pairs, joinKey(left, right))) {
        return at;
      }
    }
    if (cutsBeforeBlank && first === BLANK) {
      return at;
    }
    left = right;
    at += charBytes(first);
  }
  return at;
}

function codeAt(bytes: Uint8Array, at: number, blankCode: number): number {
  const first = bytes[at]!;
  return first === BLANK ? blankCode : codePointAt(bytes, at);
}

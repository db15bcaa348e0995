/**
 * Finds added tokens in UTF-8 text, with the rules of added-tokens.ts: leftmost, then longest, then
 * the flags.
 */

import type { AddedToken } from '../definition.js';
import { SPACE, WORD } from '../kernels/scan-classes.js';
import { findByte } from '../kernels/scan-text.js';
import { charBytes, charStartBefore, codePointAt } from '../kernels/utf8.js';
import { codePointClasses } from './code-point-classes.js';

/** A token in the text. */
export interface TokenMatch {
  readonly id: number;
  /** Where the token stands once its flags are applied. */
  readonly start: number;
  readonly stop: number;
  /** Where to look for the next one: the end of the spelling itself. */
  readonly searchFrom: number;
}

/** The text that is searched. */
export interface SearchRange {
  /** Start of the whole text, for the flag single_word. */
  readonly textStart: number;
  /** Where to begin looking. */
  readonly searchFrom: number;
  /** End of the last token: lstrip goes back no further. */
  readonly stripFrom: number;
  readonly to: number;
}

const utf8 = new TextEncoder();

/** A fixed set of spellings. */
export class ByteTokenFinder {
  readonly #firstBytes = new Uint8Array(256);
  /** Children of trie nodes by `node * 256 + byte`; node 0 is the root. */
  readonly #children = new Map<number, number>();
  readonly #tokens: (AddedToken | undefined)[] = [undefined];
  /** The byte 0x20 stands for U+2581 and is no white space. */
  readonly #spacesAreMarks: boolean;

  /** `tokens`: the first of several tokens with one spelling wins; none may be empty. */
  constructor(
    tokens: readonly { readonly spelling: string; readonly token: AddedToken }[],
    spacesAreMarks: boolean,
  ) {
    this.#spacesAreMarks = spacesAreMarks;
    for (const { spelling, token } of tokens) {
      this.#add(utf8.encode(spelling), token);
    }
  }

  /** The next token, special ones only when `parseSpecial`. */
  find(bytes: Uint8Array, range: SearchRange, parseSpecial: boolean): TokenMatch | null {
    const { to } = range;
    let at = findByte(bytes, range.searchFrom, to, this.#firstBytes);
    while (at < to) {
      const found = this.#longest(bytes, at, to);
      if (found === null) {
        at = findByte(bytes, at + 1, to, this.#firstBytes);
        continue;
      }
      const match = this.#accept(bytes, range, found, at, parseSpecial);
      if (match !== null) {
        return match;
      }
      at = findByte(bytes, found.end, to, this.#firstBytes);
    }
    return null;
  }

  #add(spelling: Uint8Array, token: AddedToken): void {
    let node = 0;
    for (const byte of spelling) {
      const key = node * 256 + byte;
      let child = this.#children.get(key);
      if (child === undefined) {
        child = this.#tokens.length;
        this.#tokens.push(undefined);
        this.#children.set(key, child);
      }
      node = child;
    }
    this.#tokens[node] ??= token;
    this.#firstBytes[spelling[0] ?? 0] = 1;
  }

  #longest(
    bytes: Uint8Array,
    from: number,
    to: number,
  ): { readonly token: AddedToken; readonly end: number } | null {
    let node: number | undefined = 0;
    let found: { readonly token: AddedToken; readonly end: number } | null = null;
    for (let at = from; at < to; at++) {
      node = this.#children.get(node * 256 + (bytes[at] ?? 0));
      if (node === undefined) {
        break;
      }
      const token = this.#tokens[node];
      if (token !== undefined) {
        found = { token, end: at + 1 };
      }
    }
    return found;
  }

  #accept(
    bytes: Uint8Array,
    range: SearchRange,
    found: { readonly token: AddedToken; readonly end: number },
    at: number,
    parseSpecial: boolean,
  ): TokenMatch | null {
    const { token, end } = found;
    if (token.special && !parseSpecial) {
      return null;
    }
    if (token.singleWord && touchesWord(bytes, range, at, end)) {
      return null;
    }
    let start = at;
    while (token.lstrip && start > range.stripFrom) {
      const before = charStartBefore(bytes, start);
      if (!this.#isSpace(bytes, before)) {
        break;
      }
      start = before;
    }
    let stop = end;
    while (token.rstrip && stop < range.to && this.#isSpace(bytes, stop)) {
      stop += charBytes(bytes[stop] ?? 0);
    }
    return { id: token.id, start, stop, searchFrom: end };
  }

  #isSpace(bytes: Uint8Array, at: number): boolean {
    const codePoint = codePointAt(bytes, at);
    return hasClass(codePoint, SPACE) && !(this.#spacesAreMarks && codePoint === 0x20);
  }
}

function touchesWord(bytes: Uint8Array, range: SearchRange, from: number, to: number): boolean {
  return (
    (from > range.textStart && hasClass(codePointAt(bytes, charStartBefore(bytes, from)), WORD)) ||
    (to < range.to && hasClass(codePointAt(bytes, to), WORD))
  );
}

function hasClass(codePoint: number, bit: number): boolean {
  return ((codePointClasses()[codePoint] ?? 0) & bit) !== 0;
}

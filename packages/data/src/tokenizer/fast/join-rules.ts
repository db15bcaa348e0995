/** Works out which neighbouring characters the merge rules of a model can join. */

import { CHAR_TO_BYTE } from '../byte-level.js';
import type { BpeModelDefinition } from '../definition.js';
import { VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { addJoin, type JoinRules, joinKey } from '../kernels/scan-cuts.js';
import { charBytes, codePointAt } from '../kernels/utf8.js';

/** U+2581, which folded text writes as a blank. */
const SPACE_MARK_CODE = 0x2581;
const BLANK = 0x20;
/** No end known yet. */
const UNSET = -1;
/** The part begins or ends within a character, where no cut is ever tried. */
const INSIDE = -2;
/** Less a byte: the part is a piece of a character that begins or ends at a character boundary. */
const PARTIAL = -1000;

/**
 * The rules for scanCuts over text whose space marks are folded, or null where cutting cannot be shown
 * to be safe: a token stands for two spellings, or a rule merges byte tokens.
 */
export function characterJoins(
  model: BpeModelDefinition,
  cutsBeforeBlank: boolean,
): JoinRules | null {
  const ends = new SymbolEnds(model);
  for (const [text, id] of model.symbols) {
    if (!ends.add(id, text.codePointAt(0) ?? 0, lastCodePoint(text))) {
      return null;
    }
  }
  const byteIds = new Set(model.byteFallback ?? []);
  const { left, right } = model.merges;
  if (left.some((id) => byteIds.has(id)) || right.some((id) => byteIds.has(id))) {
    return null;
  }
  return joinRules(model, ends, { blankCode: SPACE_MARK_CODE, cutsBeforeBlank });
}

/** The rules for scanCuts over the bytes of a byte-level model; null as for {@link characterJoins}. */
export function byteJoins(model: BpeModelDefinition): JoinRules | null {
  const ends = new SymbolEnds(model);
  for (const [token, id] of model.symbols) {
    const head = tokenBytes(token.slice(0, 4));
    const tail = tokenBytes(token.slice(-4));
    if (head === null || tail === null) {
      // Written outside the byte alphabet: a token that no merge makes or takes.
      continue;
    }
    if (!ends.add(id, firstCode(head), lastCode(tail))) {
      return null;
    }
  }
  return joinRules(model, ends, { blankCode: BLANK, cutsBeforeBlank: false });
}

/** The character each symbol begins and ends with, or one of the negative codes above. */
class SymbolEnds {
  readonly #first: Int32Array;
  readonly #last: Int32Array;
  readonly #tokens: number;

  constructor(model: BpeModelDefinition) {
    let tokens = 0;
    let virtual = 0;
    for (const id of model.symbols.values()) {
      if (id >= VIRTUAL_SYMBOL_BASE) {
        virtual = Math.max(virtual, id - VIRTUAL_SYMBOL_BASE + 1);
      } else {
        tokens = Math.max(tokens, id + 1);
      }
    }
    this.#tokens = tokens;
    this.#first = new Int32Array(tokens + virtual).fill(UNSET);
    this.#last = new Int32Array(tokens + virtual).fill(UNSET);
  }

  /** False when the symbol has an entry already: it stands for two spellings. */
  add(id: number, first: number, last: number): boolean {
    const at = this.#place(id);
    if (this.#first[at] !== UNSET) {
      return false;
    }
    this.#first[at] = first;
    this.#last[at] = last;
    return true;
  }

  first(id: number): number {
    return this.#first[this.#place(id)] ?? UNSET;
  }

  last(id: number): number {
    return this.#last[this.#place(id)] ?? UNSET;
  }

  #place(id: number): number {
    return id >= VIRTUAL_SYMBOL_BASE ? this.#tokens + id - VIRTUAL_SYMBOL_BASE : id;
  }
}

function joinRules(
  model: BpeModelDefinition,
  ends: SymbolEnds,
  blanks: Pick<JoinRules, 'blankCode' | 'cutsBeforeBlank'>,
): JoinRules | null {
  const bytes = new Uint8Array(65_536);
  const keys: number[] = [];
  const { left: leftIds, right: rightIds } = model.merges;
  for (const [i, leftId] of leftIds.entries()) {
    const left = ends.last(leftId);
    const right = ends.first(rightIds[i] ?? 0);
    if (left === UNSET || right === UNSET) {
      return null;
    }
    if (left === INSIDE || right === INSIDE) {
      continue;
    }
    const leftByte = lastByte(left, blanks.blankCode);
    const rightByte = firstByte(right, blanks.blankCode);
    if (left < 0 || right < 0 || (leftByte < 0x80 && rightByte < 0x80)) {
      bytes[leftByte * 256 + rightByte] = 1;
    } else {
      keys.push(joinKey(left, right));
    }
  }
  return { bytes, pairs: pairTable(keys), ...blanks };
}

/** The bytes of at most four characters of a token, or null when one is outside the byte alphabet. */
function tokenBytes(token: string): number[] | null {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = CHAR_TO_BYTE.get(char);
    if (byte === undefined) {
      return null;
    }
    bytes.push(byte);
  }
  return bytes;
}

function firstCode(head: readonly number[]): number {
  const first = head[0] ?? 0x80;
  if (isContinuation(first)) {
    return INSIDE;
  }
  return charBytes(first) <= head.length ? codePointAt(Uint8Array.from(head), 0) : PARTIAL - first;
}

function lastCode(tail: readonly number[]): number {
  let start = tail.length - 1;
  while (start >= 0 && isContinuation(tail[start] ?? 0)) {
    start--;
  }
  if (start < 0) {
    return PARTIAL - (tail.at(-1) ?? 0);
  }
  const size = tail.length - start;
  const wanted = charBytes(tail[start] ?? 0);
  if (size > wanted) {
    // More continuation bytes than the lead allows: never found in text.
    return INSIDE;
  }
  return size === wanted ? codePointAt(Uint8Array.from(tail.slice(start)), 0) : INSIDE;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}

/** Last byte of a character in UTF-8, of a blank in folded text, or of a partial one. */
function lastByte(code: number, blankCode: number): number {
  if (code < 0) {
    return PARTIAL - code;
  }
  if (code === blankCode) {
    return BLANK;
  }
  return code < 0x80 ? code : 0x80 | (code & 0x3f);
}

function firstByte(code: number, blankCode: number): number {
  if (code < 0) {
    return PARTIAL - code;
  }
  if (code === blankCode) {
    return BLANK;
  }
  if (code < 0x80) {
    return code;
  }
  if (code < 0x800) {
    return 0xc0 | (code >> 6);
  }
  return code < 0x10000 ? 0xe0 | (code >> 12) : 0xf0 | (code >> 18);
}

function lastCodePoint(text: string): number {
  const lastUnit = text.charCodeAt(text.length - 1);
  const isPair = lastUnit >= 0xdc00 && lastUnit <= 0xdfff && text.length > 1;
  return (isPair ? text.codePointAt(text.length - 2) : lastUnit) ?? 0;
}

/** Symbol of every single character, virtual ones included. */
export function charSymbols(model: BpeModelDefinition): ReadonlyMap<number, number> {
  const symbols = new Map<number, number>();
  for (const [text, id] of model.symbols) {
    const codePoint = text.codePointAt(0) ?? 0;
    if (text.length === (codePoint > 0xffff ? 2 : 1)) {
      symbols.set(codePoint, id);
    }
  }
  return symbols;
}

/** UTF-8 spelling of the characters that are no tokens. */
export function virtualSpellings(model: BpeModelDefinition): ReadonlyMap<number, Uint8Array> {
  const utf8 = new TextEncoder();
  const spellings = new Map<number, Uint8Array>();
  for (const [text, id] of model.symbols) {
    if (id >= VIRTUAL_SYMBOL_BASE) {
      spellings.set(id, utf8.encode(text));
    }
  }
  return spellings;
}

function pairTable(keys: readonly number[]): Int32Array {
  const distinct = new Set(keys);
  let capacity = 64;
  while (capacity < distinct.size * 2) {
    capacity *= 2;
  }
  const pairs = new Int32Array(capacity).fill(-1);
  for (const key of distinct) {
    addJoin(pairs, key);
  }
  return pairs;
}

/** Works out which neighbouring characters the merge rules of a model can join. */

import type { BpeModelDefinition } from '../definition.js';
import { VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { buildCharTable } from '../kernels/char-table.js';
import { addJoin, type JoinRules, SPACE_MARK_CODE } from '../kernels/scan-cuts.js';

const NUMBERS_MAX = 0xffff;

/**
 * The rules for scanCuts, or null where cutting cannot be shown to be safe: a token stands for two
 * spellings, a rule merges byte tokens, or there are more than 65,534 characters.
 */
export function buildJoinRules(
  model: BpeModelDefinition,
  cutsBeforeSpace: boolean,
): JoinRules | null {
  const ends = symbolEnds(model);
  if (ends === null) {
    return null;
  }
  const byteIds = new Set(model.byteFallback ?? []);
  const numbers = new Map<number, number>();
  const numberOf = (codePoint: number): number => {
    const known = numbers.get(codePoint);
    if (known !== undefined) {
      return known;
    }
    numbers.set(codePoint, numbers.size);
    return numbers.size - 1;
  };
  const joins = new Set<number>();
  const ascii = new Uint8Array(128 * 128);
  for (const [i, leftId] of model.merges.left.entries()) {
    const rightId = model.merges.right[i] ?? 0;
    const left = ends.get(leftId)?.last;
    const right = ends.get(rightId)?.first;
    if (left === undefined || right === undefined || byteIds.has(leftId) || byteIds.has(rightId)) {
      return null;
    }
    joins.add(numberOf(left) * 0x10000 + numberOf(right));
    const leftByte = asciiByte(left);
    const rightByte = asciiByte(right);
    if (leftByte >= 0 && rightByte >= 0) {
      ascii[leftByte * 128 + rightByte] = 1;
    }
  }
  if (numbers.size >= NUMBERS_MAX) {
    return null;
  }
  return { ascii, numbers: buildCharTable(numbers), pairs: pairTable(joins), cutsBeforeSpace };
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

interface SymbolEnds {
  readonly first: number;
  readonly last: number;
}

function symbolEnds(model: BpeModelDefinition): ReadonlyMap<number, SymbolEnds> | null {
  const ends = new Map<number, SymbolEnds>();
  for (const [text, id] of model.symbols) {
    const first = text.codePointAt(0);
    const lastUnit = text.charCodeAt(text.length - 1);
    const isPair = lastUnit >= 0xdc00 && lastUnit <= 0xdfff && text.length > 1;
    const last = isPair ? text.codePointAt(text.length - 2) : lastUnit;
    if (ends.has(id) || first === undefined || last === undefined) {
      return null;
    }
    ends.set(id, { first, last });
  }
  return ends;
}

/** The byte that stands for a character in folded text, or -1 when it takes more than one. */
function asciiByte(codePoint: number): number {
  if (codePoint === SPACE_MARK_CODE) {
    return 0x20;
  }
  return codePoint < 0x80 && codePoint !== 0x20 ? codePoint : -1;
}

function pairTable(joins: ReadonlySet<number>): Int32Array {
  let capacity = 64;
  while (capacity < joins.size * 2) {
    capacity *= 2;
  }
  const pairs = new Int32Array(capacity).fill(-1);
  for (const join of joins) {
    addJoin(pairs, Math.floor(join / 0x10000), join % 0x10000);
  }
  return pairs;
}

/**
 * Turns one piece of UTF-8 into symbols and merges them.
 *
 * Bounds: `reserveScratch` makes room for one symbol per byte; a character gives at most as many
 * symbols as it has bytes (the byte 0x20 that stands for U+2581 has a symbol of its own, which the
 * plan makes sure of).
 */

import { type CharTable, charValue } from './char-table.js';
import {
  type MergeScratch,
  mergeRated,
  mergeSymbols,
  NO_RANK,
  reserveScratch,
  SCAN_LIMIT,
} from './merge.js';
import { type PairTable, RANK_WORD, RESULT_WORD } from './pair-table.js';
import { charBytes, codePointAt } from './utf8.js';

/** What the byte 0x20 stands for in folded text. */
const SPACE_MARK_CODE = 0x2581;

/** How pieces become symbols. */
export type SymbolSource =
  | {
      readonly kind: 'bytes';
      /** Symbol of each byte; -1: the byte is left out. */
      readonly symbols: Int32Array;
      /**
       * Slot in the pair table of the rule for two bytes, at `left * 256 + right`; -1 where there is
       * none. Null when bytes are left out.
       */
      readonly pairs: Int32Array | null;
    }
  | {
      readonly kind: 'characters';
      readonly symbols: CharTable;
      /** Symbol of each byte of a character without one. */
      readonly byteSymbols: Int32Array;
    };

/** The model as the kernels need it. */
export interface MergeModel {
  readonly source: SymbolSource;
  readonly table: PairTable;
  readonly scratch: MergeScratch;
}

/** Leaves the merged symbols of `bytes[from..to)` in the scratch and returns their number. */
export function mergePiece(model: MergeModel, bytes: Uint8Array, from: number, to: number): number {
  const { source, scratch, table } = model;
  reserveScratch(scratch, to - from);
  if (source.kind === 'bytes' && source.pairs !== null && to - from <= SCAN_LIMIT) {
    rateBytes(source.symbols, source.pairs, bytes, from, to, table, scratch);
    return mergeRated(scratch, to - from, table);
  }
  const count =
    source.kind === 'bytes'
      ? byteSymbols(source.symbols, bytes, from, to, scratch.symbols)
      : charSymbols(source.symbols, source.byteSymbols, bytes, from, to, scratch.symbols);
  return mergeSymbols(scratch, count, table);
}

/** {@link SymbolSource.pairs} for a model whose every byte has a symbol. */
export function bytePairSlots(symbols: Int32Array, table: PairTable): Int32Array {
  const byteOf = new Map<number, number>();
  for (let byte = 0; byte < 256; byte++) {
    byteOf.set(symbols[byte]!, byte);
  }
  const pairs = new Int32Array(65_536).fill(-1);
  const { slots } = table;
  for (let slot = 0; slot < slots.length; slot += 4) {
    const left = byteOf.get(slots[slot]!);
    const right = left === undefined ? undefined : byteOf.get(slots[slot + 1]!);
    if (left !== undefined && right !== undefined) {
      pairs[left * 256 + right] = slot;
    }
  }
  return pairs;
}

function rateBytes(
  symbolOf: Int32Array,
  pairs: Int32Array,
  bytes: Uint8Array,
  from: number,
  to: number,
  table: PairTable,
  scratch: MergeScratch,
): void {
  const { slots } = table;
  const { symbols, next: ranks, previous: results } = scratch;
  let before = bytes[from]!;
  symbols[0] = symbolOf[before]!;
  for (let at = from + 1; at < to; at++) {
    const i = at - from;
    const byte = bytes[at]!;
    symbols[i] = symbolOf[byte]!;
    const slot = pairs[(before << 8) | byte]!;
    ranks[i - 1] = slot < 0 ? NO_RANK : slots[slot + RANK_WORD]!;
    results[i - 1] = slot < 0 ? 0 : slots[slot + RESULT_WORD]!;
    before = byte;
  }
}

function byteSymbols(
  table: Int32Array,
  bytes: Uint8Array,
  from: number,
  to: number,
  symbols: Int32Array,
): number {
  let count = 0;
  for (let at = from; at < to; at++) {
    const symbol = table[bytes[at]!]!;
    if (symbol >= 0) {
      symbols[count++] = symbol;
    }
  }
  return count;
}

function charSymbols(
  table: CharTable,
  fallback: Int32Array,
  bytes: Uint8Array,
  from: number,
  to: number,
  symbols: Int32Array,
): number {
  let count = 0;
  let at = from;
  while (at < to) {
    const first = bytes[at]!;
    const end = at + charBytes(first);
    const symbol = charValue(table, first === 0x20 ? SPACE_MARK_CODE : codePointAt(bytes, at));
    if (symbol >= 0) {
      symbols[count++] = symbol;
      at = end;
    } else {
      while (at < end) {
        symbols[count++] = fallback[bytes[at++]!]!;
      }
    }
  }
  return count;
}

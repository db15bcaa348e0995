/**
 * Turns one piece of UTF-8 into symbols and merges them.
 *
 * Bounds: `reserveScratch` makes room for one symbol per byte; a character gives at most as many
 * symbols as it has bytes (the byte 0x20 that stands for U+2581 has a symbol of its own, which the
 * plan makes sure of).
 */

import { type CharTable, charValue } from './char-table.js';
import { type MergeScratch, mergeSymbols, reserveScratch } from './merge.js';
import type { PairTable } from './pair-table.js';
import { charBytes, codePointAt } from './utf8.js';

/** What the byte 0x20 stands for in folded text. */
const SPACE_MARK_CODE = 0x2581;

/** How pieces become symbols. */
export type SymbolSource =
  | {
      readonly kind: 'bytes';
      /** Symbol of each byte; -1: the byte is left out. */
      readonly symbols: Int32Array;
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
  const count =
    source.kind === 'bytes'
      ? byteSymbols(source.symbols, bytes, from, to, scratch.symbols)
      : charSymbols(source.symbols, source.byteSymbols, bytes, from, to, scratch.symbols);
  return mergeSymbols(scratch, count, table);
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

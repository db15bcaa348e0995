/**
 * Byte-pair encoding of one piece of text: characters or bytes to symbols, merges, ids.
 *
 * Results for short pieces are kept in a bounded two-generation cache: when the young half is full it
 * becomes the old half, so a run over a large corpus never flushes everything it knows.
 */

import { TuneyardError } from '@tuneyard/core';
import { byteChar, toByteLevel } from './byte-level.js';
import type { BpeModelDefinition } from './definition.js';
import { VIRTUAL_SYMBOL_BASE } from './definition.js';
import { TOKENIZER_ERRORS } from './errors.js';
import type { IdBuffer } from './id-buffer.js';
import {
  createScratch,
  MERGE_SYMBOLS_MAX,
  type MergeScratch,
  mergeSymbols,
  reserveScratch,
} from './kernels/merge.js';
import { buildPairTable, type PairTable } from './kernels/pair-table.js';

/** Pieces up to this many UTF-16 units are cached; longer ones rarely come back. */
const CACHED_CHARS_MAX = 96;
/** Entries per generation: about 20 MB for the two when full. */
const CACHE_ENTRIES = 65_536;
const NO_SYMBOL = -1;

/** The working form of a {@link BpeModelDefinition}. */
export class BpeModel {
  readonly #definition: BpeModelDefinition;
  readonly #table: PairTable;
  /** Symbol of each byte in byte-level mode, -1 where the vocabulary lacks it; null otherwise. */
  readonly #byteSymbols: Int32Array | null;
  readonly #virtual: ReadonlyMap<number, string>;
  readonly #scratch: MergeScratch = createScratch(256);
  readonly #utf8 = new TextEncoder();
  #bytes = new Uint8Array(1024);
  #young = new Map<string, Int32Array>();
  #old = new Map<string, Int32Array>();

  /** `readsBytes`: pieces are text whose UTF-8 bytes are the symbols, as in GPT-2. */
  constructor(definition: BpeModelDefinition, readsBytes: boolean) {
    this.#definition = definition;
    this.#table = buildPairTable(definition.merges);
    this.#byteSymbols = readsBytes
      ? Int32Array.from({ length: 256 }, (_, b) => definition.symbols.get(byteChar(b)) ?? NO_SYMBOL)
      : null;
    const virtual = new Map<number, string>();
    for (const [text, id] of definition.symbols) {
      if (id >= VIRTUAL_SYMBOL_BASE) {
        virtual.set(id, text);
      }
    }
    this.#virtual = virtual;
  }

  /** Appends the ids of one piece to `out`. */
  encode(piece: string, out: IdBuffer): void {
    if (piece.length > CACHED_CHARS_MAX) {
      const count = this.#merge(piece);
      out.append(this.#scratch.symbols, count);
      return;
    }
    let ids = this.#young.get(piece);
    if (ids === undefined) {
      ids = this.#old.get(piece) ?? this.#mergedCopy(piece);
      this.#remember(piece, ids);
    }
    out.append(ids, ids.length);
  }

  #mergedCopy(piece: string): Int32Array {
    // Merge first: it may replace the scratch arrays.
    const count = this.#merge(piece);
    return this.#scratch.symbols.slice(0, count);
  }

  #remember(piece: string, ids: Int32Array): void {
    if (this.#young.size >= CACHE_ENTRIES) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(piece, ids);
  }

  /** Leaves the ids of `piece` in the scratch and returns their number. */
  #merge(piece: string): number {
    if (symbolsMax(piece) > MERGE_SYMBOLS_MAX) {
      throw new TuneyardError(
        TOKENIZER_ERRORS.TOKENIZER_TEXT_TOO_LONG,
        `A stretch of ${piece.length} characters without a split point needs more than the ${MERGE_SYMBOLS_MAX} symbols that can be merged at once`,
        { hint: 'Cut the document into smaller ones.' },
      );
    }
    if (this.#definition.ignoreMerges) {
      const spelled = this.#byteSymbols === null ? piece : toByteLevel(piece);
      const whole = this.#definition.symbols.get(spelled);
      if (whole !== undefined && whole < VIRTUAL_SYMBOL_BASE) {
        this.#scratch.symbols[0] = whole;
        return 1;
      }
    }
    const count = this.#byteSymbols === null ? this.#charSymbols(piece) : this.#readBytes(piece);
    const merged = mergeSymbols(this.#scratch, count, this.#table);
    return this.#virtual.size === 0 ? merged : this.#resolveVirtual(merged);
  }

  #readBytes(piece: string): number {
    if (this.#bytes.length < piece.length * 3) {
      this.#bytes = new Uint8Array(piece.length * 3);
    }
    const { written } = this.#utf8.encodeInto(piece, this.#bytes);
    reserveScratch(this.#scratch, written);
    let count = 0;
    for (let i = 0; i < written; i++) {
      const symbol = this.#byteSymbols?.[this.#bytes[i] ?? 0] ?? NO_SYMBOL;
      if (symbol !== NO_SYMBOL) {
        this.#scratch.symbols[count++] = symbol;
      } else if (this.#definition.unkId !== null) {
        count = this.#pushUnknown(count);
      }
    }
    return count;
  }

  #charSymbols(piece: string): number {
    reserveScratch(this.#scratch, symbolsMax(piece));
    let count = 0;
    for (const char of piece) {
      const symbol = this.#definition.symbols.get(char);
      if (symbol === undefined) {
        count = this.#pushFallback(char, count);
      } else {
        this.#scratch.symbols[count++] = symbol;
      }
    }
    return count;
  }

  /** Pushes the byte tokens of a character, or the unknown token when one of them is missing. */
  #pushFallback(char: string, count: number): number {
    const byteIds = this.#definition.byteFallback;
    const bytes = byteIds === null ? [] : [...this.#utf8.encode(char)];
    const ids = bytes.map((byte) => byteIds?.[byte] ?? NO_SYMBOL);
    if (ids.length === 0 || ids.includes(NO_SYMBOL)) {
      return this.#pushUnknown(count);
    }
    this.#scratch.symbols.set(ids, count);
    return count + ids.length;
  }

  #pushUnknown(count: number): number {
    const { unkId, fuseUnk } = this.#definition;
    if (unkId === null || (fuseUnk && count > 0 && this.#scratch.symbols[count - 1] === unkId)) {
      return count;
    }
    this.#scratch.symbols[count] = unkId;
    return count + 1;
  }

  /** Characters that are no tokens and met no merge become bytes or unknown after all. */
  #resolveVirtual(count: number): number {
    const merged = this.#scratch.symbols.slice(0, count);
    if (!merged.some((id) => id >= VIRTUAL_SYMBOL_BASE)) {
      return count;
    }
    reserveScratch(this.#scratch, count * 4);
    let length = 0;
    for (const id of merged) {
      const char = this.#virtual.get(id);
      if (char === undefined) {
        this.#scratch.symbols[length++] = id;
      } else {
        length = this.#pushFallback(char, length);
      }
    }
    return length;
  }
}

/** No character gives more symbols than it has UTF-8 bytes; counting those pays off for long text. */
function symbolsMax(piece: string): number {
  return piece.length < 1024 ? piece.length * 3 : Buffer.byteLength(piece);
}

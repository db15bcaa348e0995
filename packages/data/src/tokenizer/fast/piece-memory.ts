/** Builds what the encoding kernels keep: merge table, symbols, remembered pieces. */

import { byteChar, CHAR_TO_BYTE } from '../byte-level.js';
import type { BpeModelDefinition, TokenizerDefinition } from '../definition.js';
import { VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { buildCharTable } from '../kernels/char-table.js';
import type { PieceMemory, PieceParts } from '../kernels/encode-pieces.js';
import { createScratch, type MergeScratch } from '../kernels/merge.js';
import { buildPairTable, type PairTable } from '../kernels/pair-table.js';
import {
  createPieceTable,
  insertPiece,
  KEY_BYTES_MAX,
  type PieceTable,
  READ_AHEAD,
} from '../kernels/piece-cache.js';
import { bytePairSlots, type MergeModel, type SymbolSource } from '../kernels/piece-merge.js';
import { byteJoins, charSymbols, virtualSpellings } from './join-rules.js';
import type { ByteEncoderPlan } from './plan-byte-encoder.js';

const PARTS_AT_A_TIME = 256;

/** The memory of a definition, or null when its vocabulary cannot be looked up by bytes. */
export function createPieceMemory(
  definition: TokenizerDefinition,
  plan: ByteEncoderPlan,
  cacheSlots: number,
): PieceMemory | null {
  const { model } = definition;
  const scratch = createScratch(1024);
  const vocabulary = model.ignoreMerges ? vocabularyTable(model) : null;
  if (model.ignoreMerges && vocabulary === null) {
    return null;
  }
  const table = buildPairTable(model.merges);
  const source = plan.pieces.kind === 'cuts' ? characterSource(model) : byteSource(model, table);
  const merging = { source, table, scratch };
  return {
    young: createPieceTable(cacheSlots),
    old: null,
    vocabulary,
    model: merging,
    // A byte that is left out makes neighbours of what no rule's parts spell side by side.
    parts:
      source.kind === 'bytes' && source.pairs !== null
        ? pieceParts(model, merging, cacheSlots)
        : null,
    finish: finishVirtual(model, scratch),
  };
}

function pieceParts(
  model: BpeModelDefinition,
  merging: MergeModel,
  cacheSlots: number,
): PieceParts | null {
  const rules = byteJoins(model);
  return rules === null
    ? null
    : {
        rules,
        ends: new Int32Array(PARTS_AT_A_TIME),
        memory: {
          young: createPieceTable(Math.max(64, cacheSlots / 4)),
          old: null,
          vocabulary: null,
          model: merging,
          parts: null,
          finish: null,
        },
      };
}

function characterSource(model: BpeModelDefinition): SymbolSource {
  return {
    kind: 'characters',
    symbols: buildCharTable(charSymbols(model)),
    byteSymbols: model.byteFallback ?? new Int32Array(256),
  };
}

function byteSource(model: BpeModelDefinition, table: PairTable): SymbolSource {
  const symbols = Int32Array.from({ length: 256 }, (_, b) => model.symbols.get(byteChar(b)) ?? -1);
  const hasAll = symbols.every((symbol) => symbol >= 0);
  return { kind: 'bytes', symbols, pairs: hasAll ? bytePairSlots(symbols, table) : null };
}

/** Every token by its bytes. Null when one is too long to be a key or found no place. */
function vocabularyTable(model: BpeModelDefinition): PieceTable | null {
  let slots = 4096;
  while (slots < model.symbols.size * 4) {
    slots *= 2;
  }
  const table = createPieceTable(slots, slots);
  const bytes = new Uint8Array(KEY_BYTES_MAX + READ_AHEAD);
  const view = new DataView(bytes.buffer);
  const ids = new Int32Array(1);
  let count = 0;
  for (const [token, id] of model.symbols) {
    const length = spellBytes(token, bytes);
    if (length > KEY_BYTES_MAX) {
      return null;
    }
    if (length > 0) {
      ids[0] = id;
      insertPiece(table, view, 0, length, ids, 0, 1);
      count++;
    }
  }
  // Fewer used slots than tokens: one has pushed another out.
  return table.used === count ? table : null;
}

/** Writes the bytes of a token; 0 when it is not written in the byte alphabet. */
function spellBytes(token: string, bytes: Uint8Array): number {
  let length = 0;
  for (const char of token) {
    const byte = CHAR_TO_BYTE.get(char);
    if (byte === undefined) {
      return 0;
    }
    if (length < KEY_BYTES_MAX) {
      bytes[length] = byte;
    }
    length++;
  }
  return length;
}

/** Writes characters that are no tokens and met no merge as byte tokens. */
function finishVirtual(
  model: BpeModelDefinition,
  scratch: MergeScratch,
): ((count: number) => number) | null {
  const spellings = virtualSpellings(model);
  if (spellings.size === 0) {
    return null;
  }
  return (count) => {
    const merged = scratch.symbols.slice(0, count);
    if (merged.every((id) => id < VIRTUAL_SYMBOL_BASE)) {
      return count;
    }
    // There is room: the scratch has one place per byte of the piece.
    let length = 0;
    for (const id of merged) {
      const spelling = spellings.get(id);
      if (spelling === undefined) {
        scratch.symbols[length++] = id;
        continue;
      }
      for (const byte of spelling) {
        scratch.symbols[length++] = model.byteFallback?.[byte] ?? 0;
      }
    }
    return length;
  };
}

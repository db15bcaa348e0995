/**
 * The hot loop of encoding: pieces whose ids are known are copied out, the others are merged and
 * remembered.
 *
 * There are two generations of memory. When the young one is full it becomes the old one and what was
 * the old one is emptied; a piece found in the old one moves to the young one. So a run over a large
 * corpus never forgets at once all that it knows.
 *
 * Bounds: `ends` rise from piece to piece up to the end of a text that `READ_AHEAD` spare bytes
 * follow; `out` has room for one id per byte (`reserve`).
 */

import type { IdBuffer } from '../id-buffer.js';
import {
  clearPieceTable,
  createPieceTable,
  findPiece,
  insertPiece,
  KEY_BYTES_MAX,
  type PieceTable,
} from './piece-cache.js';
import { type MergeModel, mergePiece } from './piece-merge.js';
import { type JoinRules, scanCuts } from './scan-cuts.js';

/** Pieces of several parts are remembered as a whole up to this size; longer ones rarely come back. */
const WHOLE_BYTES_MAX = 24;

/** A text under work: its bytes twice, as the two views that the kernels read. */
export interface TextBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Everything that lives as long as the tokenizer. */
export interface PieceMemory {
  young: PieceTable;
  /** Null until the young one was full for the first time. */
  old: PieceTable | null;
  /** Whole tokens by their bytes, for models that look a piece up before merging; never evicted. */
  readonly vocabulary: PieceTable | null;
  readonly model: MergeModel;
  /** How an unknown piece falls into parts that are merged, and remembered, one by one. */
  readonly parts: PieceParts | null;
  /** Rewrites symbols that are no tokens, in the scratch; null when there are none. */
  readonly finish: ((count: number) => number) | null;
}

/** See {@link PieceMemory.parts}. */
export interface PieceParts {
  readonly rules: JoinRules;
  readonly ends: Int32Array;
  /** Of parts alone: a part that is a token is not always taken whole, as a piece may be. */
  readonly memory: PieceMemory;
}

/** Appends the ids of the first `count` pieces, the first of which begins at `from`. */
export function encodePieces(
  memory: PieceMemory,
  text: TextBytes,
  from: number,
  ends: Int32Array,
  count: number,
  out: IdBuffer,
): void {
  if (count === 0) {
    return;
  }
  out.reserve(ends[count - 1]! - from);
  let done = 0;
  while (done < count) {
    done = copyKnown(memory.young, text.view, from, ends, done, count, out);
    if (done < count) {
      const start = done === 0 ? from : ends[done - 1]!;
      encodeUnknown(memory, text, start, ends[done]!, out);
      done++;
    }
  }
}

/** Copies ids until a piece is not known; returns the number of that piece, or `count`. */
function copyKnown(
  table: PieceTable,
  view: DataView,
  from: number,
  ends: Int32Array,
  first: number,
  count: number,
  out: IdBuffer,
): number {
  const { slots, ids } = table;
  const target = out.ids;
  let length = out.length;
  let start = first === 0 ? from : ends[first - 1]!;
  let piece = first;
  for (; piece < count; piece++) {
    const end = ends[piece]!;
    const size = end - start;
    const slot = size <= KEY_BYTES_MAX ? findPiece(table, view, start, size) : -1;
    if (slot < 0) {
      break;
    }
    const idCount = slots[slot + 2]! >> 8;
    const value = slots[slot + 3]!;
    if (idCount === 1) {
      target[length++] = value;
    } else {
      for (let i = 0; i < idCount; i++) {
        target[length++] = ids[value + i]!;
      }
    }
    start = end;
  }
  out.length = length;
  return piece;
}

function encodeUnknown(
  memory: PieceMemory,
  text: TextBytes,
  from: number,
  to: number,
  out: IdBuffer,
): void {
  const size = to - from;
  const isKept = size <= KEY_BYTES_MAX;
  const { old, vocabulary, model } = memory;
  if (isKept && old !== null && appendFound(memory, old, text.view, from, size, out)) {
    return;
  }
  if (
    isKept &&
    vocabulary !== null &&
    appendFound(memory, vocabulary, text.view, from, size, out)
  ) {
    return;
  }
  const idsFrom = out.length;
  if (memory.parts !== null && encodeParts(memory.parts, text, from, to, out)) {
    if (size <= WHOLE_BYTES_MAX) {
      remember(memory, text.view, from, size, out.ids, idsFrom, out.length - idsFrom);
    }
    return;
  }
  let count = mergePiece(model, text.bytes, from, to);
  if (memory.finish !== null) {
    count = memory.finish(count);
  }
  const { symbols } = model.scratch;
  out.append(symbols, count);
  if (isKept) {
    remember(memory, text.view, from, size, symbols, 0, count);
  }
}

/** Returns false, with nothing done, when the piece is a single part. */
function encodeParts(
  parts: PieceParts,
  text: TextBytes,
  from: number,
  to: number,
  out: IdBuffer,
): boolean {
  const { rules, ends, memory } = parts;
  let at = from;
  while (at < to) {
    const count = scanCuts(text.bytes, at, to, rules, ends);
    if (at === from && ends[0]! === to) {
      return false;
    }
    encodePieces(memory, text, at, ends, count, out);
    at = ends[count - 1]!;
  }
  return true;
}

function appendFound(
  memory: PieceMemory,
  table: PieceTable,
  view: DataView,
  from: number,
  size: number,
  out: IdBuffer,
): boolean {
  const slot = findPiece(table, view, from, size);
  if (slot < 0) {
    return false;
  }
  const count = table.slots[slot + 2]! >> 8;
  const ids = count === 1 ? table.slots : table.ids;
  const idsFrom = count === 1 ? slot + 3 : table.slots[slot + 3]!;
  for (let i = 0; i < count; i++) {
    out.ids[out.length++] = ids[idsFrom + i]!;
  }
  remember(memory, view, from, size, ids, idsFrom, count);
  return true;
}

function remember(
  memory: PieceMemory,
  view: DataView,
  from: number,
  size: number,
  ids: Int32Array,
  idsFrom: number,
  count: number,
): void {
  if (insertPiece(memory.young, view, from, size, ids, idsFrom, count)) {
    return;
  }
  // What is being moved out of the old generation must be copied before that one is emptied.
  const copy = ids.slice(idsFrom, idsFrom + count);
  const next = memory.old ?? createPieceTable(memory.young.slotsMax);
  clearPieceTable(next);
  memory.old = memory.young;
  memory.young = next;
  insertPiece(memory.young, view, from, size, copy, 0, count);
}

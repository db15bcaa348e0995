/**
 * Remembers the ids of pieces by their UTF-8 bytes: open addressing over four words per slot.
 *
 * | word | keys up to 8 bytes | longer keys |
 * | --- | --- | --- |
 * | 0 | bytes 0 … 3, zero-padded | hash of the bytes |
 * | 1 | bytes 4 … 7, zero-padded | offset of the bytes in `keys` |
 * | 2 | key bytes + 256 * number of ids; 0 in an empty slot | the same |
 * | 3 | the id when there is one, else an offset in `ids` | the same |
 *
 * So most words of most languages are compared without leaving their slot. A probe ends after
 * `PROBES_MAX` slots, and a piece that finds no place there takes over its first slot: pieces made to
 * collide cost a miss each, never a long search.
 *
 * Bounds: slots are masked; texts and keys are read in words of four bytes, so their buffers have
 * `READ_AHEAD` spare bytes at the end.
 */

/** Spare bytes that must follow a text: words are read whole. */
export const READ_AHEAD = 8;
/** Longer pieces are not kept; they rarely come back. */
export const KEY_BYTES_MAX = 255;

/**
 * A table starts small on purpose: growing, slots and arenas alike, has then been seen before the code
 * that may grow is compiled for good.
 */
const FIRST_SLOTS = 1024;
const SHORT_MAX = 8;
const PROBES_MAX = 24;
const FIRST_WORD = Int32Array.of(0, 0xff, 0xffff, 0xffffff, -1, -1, -1, -1, -1);
const SECOND_WORD = Int32Array.of(0, 0, 0, 0, 0, 0xff, 0xffff, 0xffffff, -1);

/** One table with its arenas. */
export interface PieceTable {
  slots: Int32Array;
  /** Length of `slots` minus 4. */
  mask: number;
  used: number;
  keys: Uint8Array;
  keysView: DataView;
  keysUsed: number;
  ids: Int32Array;
  idsUsed: number;
  /** Slots it may grow to; a power of two. */
  readonly slotsMax: number;
}

/**
 * An empty table of `slots` slots that grows up to `slotsMax`; both are powers of two of at least 64.
 */
export function createPieceTable(
  slotsMax: number,
  slots: number = Math.min(slotsMax, FIRST_SLOTS),
): PieceTable {
  const keys = new Uint8Array(slots + READ_AHEAD);
  return {
    slots: new Int32Array(slots * 4),
    mask: slots * 4 - 4,
    used: 0,
    keys,
    keysView: new DataView(keys.buffer),
    keysUsed: 0,
    ids: new Int32Array(slots),
    idsUsed: 0,
    slotsMax,
  };
}

/** Forgets the contents and keeps the memory. */
export function clearPieceTable(table: PieceTable): void {
  table.slots.fill(0);
  table.used = 0;
  table.keysUsed = 0;
  table.idsUsed = 0;
}

function shortHash(first: number, second: number, length: number): number {
  let hash = Math.imul(first ^ length, 0x9e3779b1) ^ Math.imul(second, 0x85ebca6b);
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

function longHash(view: DataView, from: number, length: number): number {
  let hash = length;
  const last = from + length - 4;
  for (let at = from; at < last; at += 4) {
    hash = Math.imul(hash ^ view.getInt32(at, true), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  hash = Math.imul(hash ^ view.getInt32(last, true), 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return hash ^ (hash >>> 16);
}

function equalBytes(
  a: DataView,
  aFrom: number,
  b: DataView,
  bFrom: number,
  length: number,
): boolean {
  const last = length - 4;
  for (let i = 0; i < last; i += 4) {
    if (a.getInt32(aFrom + i, true) !== b.getInt32(bFrom + i, true)) {
      return false;
    }
  }
  return a.getInt32(aFrom + last, true) === b.getInt32(bFrom + last, true);
}

/** The slot that holds the piece of `length` bytes (1 … 255) at `from`, or -1. */
export function findPiece(table: PieceTable, view: DataView, from: number, length: number): number {
  return length <= SHORT_MAX
    ? findShort(table, view, from, length)
    : findLong(table, view, from, length);
}

function findShort(table: PieceTable, view: DataView, from: number, length: number): number {
  const { slots, mask } = table;
  const first = view.getInt32(from, true) & FIRST_WORD[length]!;
  const second = view.getInt32(from + 4, true) & SECOND_WORD[length]!;
  let slot = (shortHash(first, second, length) << 2) & mask;
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const meta = slots[slot + 2]!;
    if (slots[slot]! === first && slots[slot + 1]! === second && (meta & 0xff) === length) {
      return slot;
    }
    if (meta === 0) {
      return -1;
    }
    slot = (slot + 4) & mask;
  }
  return -1;
}

function findLong(table: PieceTable, view: DataView, from: number, length: number): number {
  const { slots, mask } = table;
  const hash = longHash(view, from, length);
  let slot = (hash << 2) & mask;
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    const meta = slots[slot + 2]!;
    if (
      slots[slot]! === hash &&
      (meta & 0xff) === length &&
      equalBytes(table.keysView, slots[slot + 1]!, view, from, length)
    ) {
      return slot;
    }
    if (meta === 0) {
      return -1;
    }
    slot = (slot + 4) & mask;
  }
  return -1;
}

/** Where a piece goes: an empty slot near its hash, else its first slot. */
function placeFor(slots: Int32Array, mask: number, hash: number): number {
  const home = (hash << 2) & mask;
  let slot = home;
  for (let probe = 0; probe < PROBES_MAX; probe++) {
    if (slots[slot + 2]! === 0) {
      return slot;
    }
    slot = (slot + 4) & mask;
  }
  return home;
}

/** True when one more piece of `length` bytes and `count` ids fits without passing the limits. */
function fits(table: PieceTable, length: number, count: number): boolean {
  return (
    table.used < table.slotsMax * 0.6 &&
    table.keysUsed + length <= table.slotsMax * 16 &&
    table.idsUsed + count <= table.slotsMax * 4
  );
}

/**
 * Stores the first `count` of `ids`, from `idsFrom` on, as those of a piece that is not in the table.
 * Returns false, with nothing changed, when the table is full.
 */
export function insertPiece(
  table: PieceTable,
  view: DataView,
  from: number,
  length: number,
  ids: Int32Array,
  idsFrom: number,
  count: number,
): boolean {
  if (!fits(table, length, count)) {
    return false;
  }
  growPieceTable(table, length, count);
  const { slots } = table;
  const isShort = length <= SHORT_MAX;
  const first = isShort
    ? view.getInt32(from, true) & FIRST_WORD[length]!
    : longHash(view, from, length);
  const second = isShort
    ? view.getInt32(from + 4, true) & SECOND_WORD[length]!
    : appendKey(table, view, from, length);
  const hash = isShort ? shortHash(first, second, length) : first;
  const slot = placeFor(slots, table.mask, hash);
  table.used += slots[slot + 2]! === 0 ? 1 : 0;
  slots[slot] = first;
  slots[slot + 1] = second;
  slots[slot + 2] = length + count * 256;
  if (count === 1) {
    slots[slot + 3] = ids[idsFrom]!;
    return true;
  }
  slots[slot + 3] = table.idsUsed;
  for (let i = 0; i < count; i++) {
    table.ids[table.idsUsed + i] = ids[idsFrom + i]!;
  }
  table.idsUsed += count;
  return true;
}

function appendKey(table: PieceTable, view: DataView, from: number, length: number): number {
  const at = table.keysUsed;
  // Whole words: what is written too far is free space, and written over by the next key.
  for (let i = 0; i < length; i += 4) {
    table.keysView.setInt32(at + i, view.getInt32(from + i, true), true);
  }
  table.keysUsed += length;
  return at;
}

function growPieceTable(table: PieceTable, length: number, count: number): void {
  if (table.used * 4 >= table.slots.length * 0.5 && table.slots.length < table.slotsMax * 4) {
    rehash(table);
  }
  if (table.keysUsed + length + READ_AHEAD > table.keys.length) {
    const keys = new Uint8Array(table.keys.length * 2 + KEY_BYTES_MAX);
    keys.set(table.keys);
    table.keys = keys;
    table.keysView = new DataView(keys.buffer);
  }
  if (table.idsUsed + count > table.ids.length) {
    const ids = new Int32Array(table.ids.length * 2 + KEY_BYTES_MAX);
    ids.set(table.ids);
    table.ids = ids;
  }
}

function rehash(table: PieceTable): void {
  const old = table.slots;
  const slots = new Int32Array(Math.min(old.length * 2, table.slotsMax * 4));
  const mask = slots.length - 4;
  for (let from = 0; from < old.length; from += 4) {
    const meta = old[from + 2]!;
    if (meta !== 0) {
      const length = meta & 0xff;
      const hash = length <= SHORT_MAX ? shortHash(old[from]!, old[from + 1]!, length) : old[from]!;
      const slot = placeFor(slots, mask, hash);
      slots[slot] = old[from]!;
      slots[slot + 1] = old[from + 1]!;
      slots[slot + 2] = meta;
      slots[slot + 3] = old[from + 3]!;
    }
  }
  table.slots = slots;
  table.mask = mask;
}

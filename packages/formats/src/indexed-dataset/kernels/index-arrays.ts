/**
 * Loops over the arrays of an index. Callers hand arrays whose lengths belong together; every index runs below the
 * length of the array it reads.
 */

/** Largest high half of an int64 that a double holds exactly. */
const HIGH_WORD_MAX = 0x1fffff;

/**
 * Turns little-endian int64 values into doubles in place. Returns the first that is negative or above 2^53 − 1, or −1
 * when all are fine.
 *
 * Mutates: the buffer under `bytes`, whose start is a multiple of 8.
 */
export function int64ToFloat64(bytes: Uint8Array): number {
  const count = bytes.length / 8;
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count * 2);
  const doubles = new Float64Array(bytes.buffer, bytes.byteOffset, count);
  for (let i = 0; i < count; i++) {
    const high = words[2 * i + 1]!;
    if (high > HIGH_WORD_MAX) return i;
    doubles[i] = high * 2 ** 32 + words[2 * i]!;
  }
  return -1;
}

/** Writes whole numbers from 0 to 2^53 − 1 as little-endian int64 values. Mutates: `words`, two per value. */
export function float64ToInt64(values: Float64Array, words: Uint32Array): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const high = Math.floor(value / 2 ** 32);
    words[2 * i] = value - high * 2 ** 32;
    words[2 * i + 1] = high;
  }
}

/** Index of the first negative length, or −1. */
export function findNegative(lengths: Int32Array): number {
  for (let i = 0; i < lengths.length; i++) {
    if (lengths[i]! < 0) return i;
  }
  return -1;
}

/** What {@link scanOffsets} found out about the sequences of a data set. */
export interface OffsetScan {
  /** First sequence that begins before the one before it ends, or −1. */
  overlapAt: number;
  /** First sequence that does not begin where the one before it ends, or −1. */
  holeAt: number;
  /** First sequence that ends beyond `limit`, or −1. */
  outsideAt: number;
  /** End of the last sequence in bytes. */
  end: number;
  /** Values of all sequences. */
  values: number;
}

/** Checks that sequences lie one after another within `limit` bytes; stops at an overlap or an end outside. */
export function scanOffsets(
  lengths: Int32Array,
  offsets: Float64Array,
  { valueBytes, limit }: { valueBytes: number; limit: number },
): OffsetScan {
  const scan: OffsetScan = { overlapAt: -1, holeAt: -1, outsideAt: -1, end: 0, values: 0 };
  for (let i = 0; i < lengths.length; i++) {
    const begin = offsets[i]!;
    if (begin < scan.end) {
      scan.overlapAt = i;
      return scan;
    }
    if (begin > scan.end && scan.holeAt < 0) scan.holeAt = i;
    scan.end = begin + lengths[i]! * valueBytes;
    scan.values += lengths[i]!;
    if (scan.end > limit) {
      scan.outsideAt = i;
      return scan;
    }
  }
  return scan;
}

/** Index of the first boundary below the one before it or above `last`, or −1. */
export function findDisorder(boundaries: Float64Array, last: number): number {
  let before = 0;
  for (let i = 0; i < boundaries.length; i++) {
    const boundary = boundaries[i]!;
    if (boundary < before || boundary > last) return i;
    before = boundary;
  }
  return -1;
}

/** Fills `offsets` with the offsets of sequences end to end from `start`; returns the end of the last. */
export function fillOffsets(
  lengths: Int32Array,
  offsets: Float64Array,
  { valueBytes, start }: { valueBytes: number; start: number },
): number {
  let at = start;
  for (let i = 0; i < lengths.length; i++) {
    offsets[i] = at;
    at += lengths[i]! * valueBytes;
  }
  return at;
}

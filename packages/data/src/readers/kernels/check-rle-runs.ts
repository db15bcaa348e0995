/**
 * Checks run-length and bit-packed hybrid data before it is decoded: a run may declare two thousand million values in
 * five bytes, and the decoder would write them all.
 *
 * Every index read is compared with the end before.
 */

/** A stretch of hybrid data [begin, end) of values of `width` bits, of which at most `count` are wanted. */
export interface HybridRuns {
  readonly begin: number;
  readonly end: number;
  readonly width: number;
  readonly count: number;
}

/** Whether no run among the wanted values declares more than are left. */
export function areRunsSound(bytes: Uint8Array, runs: HybridRuns): boolean {
  const { end, width, count } = runs;
  if (width > 32 || end > bytes.length) return false;
  const cursor = { at: runs.begin };
  let seen = 0;
  while (seen < count && cursor.at < end) {
    const header = readHeader(bytes, cursor, end);
    const amount = Math.floor(header / 2);
    // A bit-packed run is of eights, so that the last one passes the count.
    const isPacked = header % 2 === 1;
    if (header < 0 || amount > (isPacked ? count : count - seen)) return false;
    seen += isPacked ? amount * 8 : amount;
    cursor.at += isPacked ? amount * width : (width + 7) >> 3;
  }
  return true;
}

/** Reads a number in groups of seven bits, at most five; -1 when it does not end. */
function readHeader(bytes: Uint8Array, cursor: { at: number }, end: number): number {
  let header = 0;
  for (let scale = 1; scale <= 2 ** 28 && cursor.at < end; scale *= 128) {
    const byte = bytes[cursor.at++]!;
    header += (byte & 0x7f) * scale;
    if (byte < 0x80) return header;
  }
  return -1;
}

/** The largest of the indices, -1 of none. */
export function largestIndex(indices: ArrayLike<number>): number {
  let largest = -1;
  for (let i = 0; i < indices.length; i++) {
    if (indices[i]! > largest) largest = indices[i]!;
  }
  return largest;
}

/**
 * Unpacks one LZ4 block. Every index is compared with the length of the array it is used on before it is used; what
 * does not fit ends the work with -1.
 */

/** Appends the block's bytes to `out` at `filled`; returns where they end, or -1 when the block is damaged. */
export function unpackLz4Block(block: Uint8Array, out: Uint8Array, filled: number): number {
  const cursor = { at: 0 };
  let to = filled;
  while (cursor.at < block.length) {
    const token = block[cursor.at++]!;
    const literals = readLength(block, cursor, token >> 4);
    if (cursor.at + literals > block.length || to + literals > out.length) return -1;
    out.set(block.subarray(cursor.at, cursor.at + literals), to);
    cursor.at += literals;
    to += literals;
    // The last sequence has literals only.
    if (cursor.at === block.length) return to;
    if (cursor.at + 2 > block.length) return -1;
    const distance = block[cursor.at]! | (block[cursor.at + 1]! << 8);
    cursor.at += 2;
    const length = readLength(block, cursor, token & 15) + 4;
    if (distance === 0 || distance > to || to + length > out.length) return -1;
    copyMatch(out, to, distance, length);
    to += length;
  }
  return to;
}

function readLength(block: Uint8Array, cursor: { at: number }, nibble: number): number {
  if (nibble < 15) return nibble;
  let length = 15;
  while (cursor.at < block.length) {
    const byte = block[cursor.at++]!;
    length += byte;
    if (byte < 255) break;
  }
  return length;
}

/** A match may overlap what it writes: a short pattern is repeated. */
function copyMatch(out: Uint8Array, to: number, distance: number, length: number): void {
  if (distance >= length) {
    out.copyWithin(to, to - distance, to - distance + length);
    return;
  }
  for (let i = 0; i < length; i++) out[to + i] = out[to + i - distance]!;
}

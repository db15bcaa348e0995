/**
 * CRC-32 of a range from the CRCs of its segments, in any order.
 *
 * A CRC is linear: appending n bytes to a segment multiplies its CRC by x^(8n) modulo the polynomial, and the CRC of
 * the whole is the exclusive or of all segments, each shifted by the bytes that follow it. So segments need no order
 * and nothing is kept but one number.
 *
 * Source: the arithmetic of crc32_combine in zlib; polynomials are bit-reversed, the highest bit is x^0.
 * Bounds: table indexes are masked to the table's 32 or 256 entries.
 */
import * as zlib from 'node:zlib';

const POLYNOMIAL = 0xedb88320;

/** x^(2^n) for n = 0 to 31; after that the powers repeat. */
const POWERS = buildPowers();

/** Product of two polynomials modulo the CRC's. */
function multiply(a: number, b: number): number {
  let product = 0;
  let factor = b;
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= factor;
    factor = factor & 1 ? (factor >>> 1) ^ POLYNOMIAL : factor >>> 1;
  }
  return product >>> 0;
}

function buildPowers(): Uint32Array {
  const powers = new Uint32Array(32);
  powers[0] = 0x40000000;
  for (let n = 1; n < 32; n++) powers[n] = multiply(powers[n - 1]!, powers[n - 1]!);
  return powers;
}

/** The factor by which `bytes` following bytes shift a CRC: x^(8 · bytes). */
export function shiftFactor(bytes: number): number {
  let factor = 0x80000000;
  let rest = bytes;
  for (let n = 3; rest > 0; n++) {
    if (rest % 2 === 1) factor = multiply(POWERS[n & 31]!, factor);
    rest = Math.floor(rest / 2);
  }
  return factor;
}

/** The part of a segment with this CRC in the CRC of the whole, given the factor of what follows it. */
export function shiftCrc(crc: number, factor: number): number {
  return multiply(factor, crc);
}

/** CRC-32 of bytes (IEEE 802.3, as ZIP uses). */
export const crc32: (bytes: Uint8Array) => number =
  typeof zlib.crc32 === 'function' ? (bytes) => zlib.crc32(bytes) : crc32ByTable;

/** Four tables, so that a step takes four bytes: for Nodes before 20.15, which have no `zlib.crc32`. */
export function crc32ByTable(bytes: Uint8Array): number {
  const [t0, t1, t2, t3] = TABLES;
  const whole = bytes.length - (bytes.length % 4);
  let crc = 0xffffffff;
  let i = 0;
  for (; i < whole; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc = t3![crc & 255]! ^ t2![(crc >>> 8) & 255]! ^ t1![(crc >>> 16) & 255]! ^ t0![crc >>> 24]!;
  }
  for (; i < bytes.length; i++) crc = (crc >>> 8) ^ t0![(crc ^ bytes[i]!) & 255]!;
  return (crc ^ 0xffffffff) >>> 0;
}

const TABLES = buildTables();

function buildTables(): readonly Uint32Array[] {
  const tables = Array.from({ length: 4 }, () => new Uint32Array(256));
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    tables[0]![i] = crc;
  }
  for (let i = 0; i < 256; i++) {
    for (let t = 1; t < 4; t++) {
      const before = tables[t - 1]![i]!;
      tables[t]![i] = tables[0]![before & 255]! ^ (before >>> 8);
    }
  }
  return tables;
}

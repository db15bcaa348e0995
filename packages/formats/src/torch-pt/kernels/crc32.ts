/**
 * CRC-32 of ZIP: of bytes, and of two parts put together.
 *
 * Bounds: every table index is masked to 8 bits of a table of 256, every matrix row index is below 32.
 * Source: RFC 1952 §8; the combination is that of zlib 1.2 (multiplying by zero bytes in GF(2)).
 * Checked against: Node's zlib and the bitwise definition.
 */
import * as zlib from 'node:zlib';

const POLYNOMIAL = 0xedb88320;

const TABLE = crcTable();

// Node has it from 20.15 and 22.2 on; the oldest Node of this package does not.
const nativeCrc32: ((data: Uint8Array, value?: number) => number) | null =
  'crc32' in zlib && typeof zlib.crc32 === 'function' ? zlib.crc32 : null;

/** CRC-32 of bytes; `seed` is the CRC-32 of the bytes before them. Unsigned. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return nativeCrc32 === null ? tableCrc32(bytes, seed) : nativeCrc32(bytes, seed);
}

/** The same without Node's help. */
export function tableCrc32(bytes: Uint8Array, seed = 0): number {
  let crc = ~seed;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/**
 * CRC-32 of A followed by B from the CRC-32 of each and the length of B in bytes.
 *
 * Cost: some thousand steps, whatever the length; lengths to 2^53.
 */
export function crc32Combine(crcA: number, crcB: number, lengthB: number): number {
  if (lengthB === 0) return crcA >>> 0;
  // `power` is the operator that appends 2^k zero bits; start with one zero bit, square up to a byte.
  let power = zeroBitOperator();
  for (let i = 0; i < 3; i++) power = squared(power);
  let crc = crcA;
  let remaining = lengthB;
  while (remaining > 0) {
    if (remaining % 2 === 1) crc = applied(power, crc);
    remaining = Math.floor(remaining / 2);
    if (remaining > 0) power = squared(power);
  }
  return (crc ^ crcB) >>> 0;
}

function zeroBitOperator(): Uint32Array {
  const operator = new Uint32Array(32);
  operator[0] = POLYNOMIAL;
  for (let i = 1; i < 32; i++) operator[i] = 2 ** (i - 1);
  return operator;
}

function applied(operator: Uint32Array, vector: number): number {
  let sum = 0;
  for (let i = 0; i < 32; i++) {
    if ((vector >>> i) & 1) sum ^= operator[i]!;
  }
  return sum;
}

function squared(operator: Uint32Array): Uint32Array {
  const square = new Uint32Array(32);
  for (let i = 0; i < 32; i++) square[i] = applied(operator, operator[i]!);
  return square;
}

function crcTable(): Uint32Array {
  const table = new Uint32Array(256);
  for (let n = 0; n < 256; n++) {
    let crc = n;
    for (let k = 0; k < 8; k++) crc = crc & 1 ? POLYNOMIAL ^ (crc >>> 1) : crc >>> 1;
    table[n] = crc;
  }
  return table;
}

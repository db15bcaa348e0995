/** Decodes columns whose values have a fixed width: numbers, booleans, times, fixed binary. */
import { f16ToF32 } from '@tuneyard/core';
import { jsonValue } from '../column-values.js';
import { ARROW_TYPES, type ArrowType } from './arrow-schema.js';
import type { BufferSlice } from './column-cursor.js';

/**
 * Reads the values [begin, end) of a buffer. Integers beyond 2^53 become decimal texts, dates and timestamps ISO texts
 * to the millisecond, times of day and durations numbers of their unit, decimals numbers.
 *
 * Throws: `Error` when the buffer is short or the type is not read.
 */
export function readNumbers(
  type: ArrowType,
  buffer: BufferSlice,
  begin: number,
  end: number,
): unknown[] {
  if (type.id === ARROW_TYPES.Bool) return readBooleans(buffer, begin, end);
  const read = readerOf(type);
  const width = type.id === ARROW_TYPES.FixedBinary ? type.width : type.bitWidth / 8;
  if (read === null || !(width > 0))
    throw new Error(`a column is of type ${type.id}, which is not read`);
  const bytes = buffer.slice(begin * width, end * width);
  return Array.from({ length: end - begin }, (_, i) => read(bytes, i * width));
}

function readBooleans(buffer: BufferSlice, begin: number, end: number): unknown[] {
  if (begin === end) return [];
  const first = begin >> 3;
  const bits = buffer.slice(first, (end + 7) >> 3);
  return Array.from({ length: end - begin }, (_, i) => {
    const at = begin + i;
    return (((bits[(at >> 3) - first] ?? 0) >> (at & 7)) & 1) === 1;
  });
}

type NumberReader = (bytes: Buffer, at: number) => unknown;

function readerOf(type: ArrowType): NumberReader | null {
  switch (type.id) {
    case ARROW_TYPES.Int:
      return integerReader(type);
    case ARROW_TYPES.Time:
    case ARROW_TYPES.Duration:
      return integerReader({ ...type, isSigned: true });
    case ARROW_TYPES.Float:
      return floatReader(type.bitWidth);
    case ARROW_TYPES.Decimal:
      return (bytes, at) => readDecimal(bytes, at, type);
    case ARROW_TYPES.Date:
      return type.unit === 0
        ? (bytes, at) => isoDate(bytes.readInt32LE(at) * 86_400_000)
        : (bytes, at) => isoDate(Number(bytes.readBigInt64LE(at)));
    case ARROW_TYPES.Timestamp:
      return (bytes, at) => isoDate(milliseconds(bytes.readBigInt64LE(at), type.unit));
    case ARROW_TYPES.FixedBinary:
      return (bytes, at) => new Uint8Array(bytes.subarray(at, at + type.width));
    default:
      return null;
  }
}

function integerReader({ bitWidth, isSigned }: ArrowType): NumberReader | null {
  switch (bitWidth) {
    case 8:
      return isSigned ? (b, at) => b.readInt8(at) : (b, at) => b.readUInt8(at);
    case 16:
      return isSigned ? (b, at) => b.readInt16LE(at) : (b, at) => b.readUInt16LE(at);
    case 32:
      return isSigned ? (b, at) => b.readInt32LE(at) : (b, at) => b.readUInt32LE(at);
    case 64:
      return isSigned
        ? (b, at) => jsonValue(b.readBigInt64LE(at))
        : (b, at) => jsonValue(b.readBigUInt64LE(at));
    default:
      return null;
  }
}

function floatReader(bitWidth: number): NumberReader | null {
  switch (bitWidth) {
    case 16:
      return readHalf;
    case 32:
      return (bytes, at) => bytes.readFloatLE(at);
    case 64:
      return (bytes, at) => bytes.readDoubleLE(at);
    default:
      return null;
  }
}

function readHalf(bytes: Buffer, at: number): number {
  const value = new Float32Array(1);
  f16ToF32(Uint16Array.of(bytes.readUInt16LE(at)), value);
  return value[0] as number;
}

function readDecimal(bytes: Buffer, at: number, { bitWidth, scale }: ArrowType): number {
  let value = 0n;
  for (let i = bitWidth / 8 - 1; i >= 0; i--)
    value = (value << 8n) | BigInt(bytes.readUInt8(at + i));
  return Number(BigInt.asIntN(bitWidth, value)) * 10 ** -scale;
}

/** Rounds towards the past, as Parquet times are read. */
function milliseconds(value: bigint, unit: number): number {
  switch (unit) {
    case 0:
      return Number(value) * 1000;
    case 1:
      return Number(value);
    case 2:
      return Number(value / 1000n);
    default:
      return Number(value / 1_000_000n);
  }
}

function isoDate(time: number): string | null {
  return jsonValue(new Date(time)) as string | null;
}

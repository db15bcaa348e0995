/** Builds the header of a GGUF file in one growing buffer, refusing values that do not fit their type. */
import { TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { ARRAY_CODE, FIXED_TYPES, type GgufFixedType, STRING_CODE } from './layout.js';
import { ARRAY_CLASSES, type GgufArray, type GgufValue, INTEGER_RANGES } from './value.js';

/** Appends little-endian fields; `bytes()` gives what was appended. */
export class HeaderBuilder {
  #buffer = Buffer.alloc(4096);
  #length = 0;

  /** Appends one u32. */
  u32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  /** Appends one u64 given as a safe integer. */
  u64(value: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64LE(BigInt(value), at);
  }

  /** Appends a string with its length. Throws: `GGUF_BAD_UTF8` for a lone surrogate. */
  text(value: string, where: string): void {
    // A lone surrogate has no UTF-8 form; writing it would silently put U+FFFD in its place.
    if (/\p{Surrogate}/u.test(value)) {
      throw new TuneyardError(
        GGUF_ERRORS.GGUF_BAD_UTF8,
        `${where}: the string ${quoteName(value)} is not valid Unicode`,
      );
    }
    const byteLength = Buffer.byteLength(value);
    this.u64(byteLength);
    const at = this.#reserve(byteLength);
    this.#buffer.write(value, at);
  }

  /** Appends a value with its type. Throws: `GGUF_BAD_VALUE`, `GGUF_BAD_UTF8`. */
  value(value: GgufValue, where: string): void {
    if (value.type === 'array') {
      this.u32(ARRAY_CODE);
      this.#array(value, where);
    } else if (value.type === 'string') {
      this.u32(STRING_CODE);
      this.text(value.value, where);
    } else {
      this.u32(FIXED_TYPES[value.type].code);
      const at = this.#reserve(FIXED_TYPES[value.type].bytes);
      writeFixed(this.#buffer, at, { type: value.type, value: value.value, where });
    }
  }

  /** Appends zeros until the length is a multiple of `alignment`. */
  pad(alignment: number): void {
    this.#reserve((alignment - (this.#length % alignment)) % alignment);
  }

  /** What was appended. */
  bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  #array(array: GgufArray, where: string): void {
    if (array.itemType === 'string') {
      this.u32(STRING_CODE);
      this.u64(array.value.length);
      for (const text of array.value) this.text(text, where);
      return;
    }
    const { value, itemType } = array;
    if (!(value instanceof ARRAY_CLASSES[itemType])) {
      throw badValue(where, `an array of ${itemType} must be a ${ARRAY_CLASSES[itemType].name}`);
    }
    this.u32(FIXED_TYPES[itemType].code);
    this.u64(value.length);
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    if (itemType === 'bool' && bytes.some((byte) => byte > 1)) {
      throw badValue(where, 'a boolean must be 0 or 1');
    }
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
  }

  /** Makes room and returns where it starts. Call it before touching the buffer, which may be replaced. */
  #reserve(byteLength: number): number {
    const start = this.#length;
    this.#length += byteLength;
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(this.#length, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, start);
      this.#buffer = grown;
    }
    return start;
  }
}

/** A scalar on its way into the buffer. */
interface FixedField {
  readonly type: GgufFixedType;
  readonly value: number | bigint | boolean;
  readonly where: string;
}

function writeFixed(buffer: Buffer, at: number, { type, value, where }: FixedField): void {
  if (type === 'bool') {
    if (typeof value !== 'boolean') throw badValue(where, 'a bool must be true or false');
    buffer.writeUInt8(value ? 1 : 0, at);
    return;
  }
  if (typeof value === 'boolean') throw badValue(where, `a boolean does not fit ${type}`);
  if (type === 'f32') buffer.writeFloatLE(Number(value), at);
  else if (type === 'f64') buffer.writeDoubleLE(Number(value), at);
  else writeInteger(buffer, at, { type, value: checkedInteger(type, value, where) });
}

function writeInteger(
  buffer: Buffer,
  at: number,
  { type, value }: { type: keyof typeof INTEGER_RANGES; value: bigint },
): void {
  const { bytes } = FIXED_TYPES[type];
  const unsigned = BigInt.asUintN(bytes * 8, value);
  if (bytes === 8) buffer.writeBigUInt64LE(unsigned, at);
  else buffer.writeUIntLE(Number(unsigned), at, bytes);
}

function checkedInteger(
  type: keyof typeof INTEGER_RANGES,
  value: number | bigint,
  where: string,
): bigint {
  const [min, max] = INTEGER_RANGES[type];
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    throw badValue(where, `${value} is not an exact integer`);
  }
  const exact = BigInt(value);
  if (exact < min || exact > max) throw badValue(where, `${exact} does not fit ${type}`);
  return exact;
}

function badValue(where: string, reason: string): TuneyardError {
  return new TuneyardError(GGUF_ERRORS.GGUF_BAD_VALUE, `${where}: ${reason}`, {
    category: 'internal',
  });
}

/** Reads metadata strings and values from the header of a GGUF file. */
import { TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import type { ForwardReader } from '../io/forward-reader.js';
import {
  ARRAY_CODE,
  FIXED_TYPES,
  fixedTypeFromCode,
  type GgufFixedType,
  STRING_CODE,
} from './layout.js';
import {
  MAX_ARRAY_ITEMS,
  MAX_KEY_BYTES,
  MAX_STRING_BYTES,
  MAX_TENSOR_NAME_BYTES,
} from './limits.js';
import { ARRAY_CLASSES, type GgufArray, type GgufValue, readFixed } from './value.js';

const LENGTH_BYTES = 8;

/** Which code a string above its own limit raises: the limit tells keys and tensor names apart. */
const TOO_LONG_CODES = new Map<number, string>([
  [MAX_KEY_BYTES, GGUF_ERRORS.GGUF_BAD_KEY],
  [MAX_TENSOR_NAME_BYTES, GGUF_ERRORS.GGUF_BAD_TENSOR_NAME],
]);

/**
 * Reads one string with its length.
 *
 * Throws: `GGUF_STRING_TOO_LONG` (or the code of a key or tensor name), `GGUF_BAD_UTF8`, `GGUF_HEADER_TRUNCATED`.
 */
export async function readText(
  reader: ForwardReader,
  options: { readonly where: string; readonly maxBytes: number },
): Promise<string> {
  if (reader.available < LENGTH_BYTES) await reader.fill(LENGTH_BYTES);
  const byteLength = reader.takeU64();
  if (byteLength > options.maxBytes || byteLength > reader.remaining) {
    throw tooLong(reader, byteLength, options);
  }
  if (reader.available < byteLength) await reader.fill(byteLength);
  const text = reader.takeText(byteLength);
  if (text === null) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_BAD_UTF8,
      `${options.where}: the string before offset ${reader.offset} is not valid UTF-8`,
      { details: { offset: reader.offset, byteLength } },
    );
  }
  return text;
}

/** Reads a value with its type. Throws: `GGUF_BAD_VALUE_TYPE`, and as the parts of the value. */
export async function readValue(reader: ForwardReader, where: string): Promise<GgufValue> {
  await reader.fill(4);
  const code = reader.takeU32();
  if (code === STRING_CODE) {
    return { type: 'string', value: await readText(reader, { where, maxBytes: MAX_STRING_BYTES }) };
  }
  if (code === ARRAY_CODE) return await readArray(reader, where);
  const type = fixedTypeFromCode(code);
  if (type === undefined) throw badType(code, where);
  const { bytes } = FIXED_TYPES[type];
  await reader.fill(bytes);
  const value = reader.take(bytes, (view, at) => readFixed(type, view, at));
  if (value === null) throw badBoolean(where);
  return value;
}

async function readArray(reader: ForwardReader, where: string): Promise<GgufArray> {
  await reader.fill(4 + LENGTH_BYTES);
  const code = reader.takeU32();
  const count = reader.takeU64();
  if (code === ARRAY_CODE) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_NESTED_ARRAY,
      `${where} is an array of arrays, which no known model uses`,
    );
  }
  const itemType = fixedTypeFromCode(code);
  if (itemType === undefined && code !== STRING_CODE) throw badType(code, where);
  const itemBytesMin = itemType === undefined ? LENGTH_BYTES : FIXED_TYPES[itemType].bytes;
  if (count > MAX_ARRAY_ITEMS || count * itemBytesMin > reader.remaining) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_COUNT_TOO_LARGE,
      `${where} declares ${count} items of at least ${itemBytesMin} bytes; ` +
        `${reader.remaining} bytes of the file remain, and the limit is ${MAX_ARRAY_ITEMS} items`,
      { details: { count, remaining: reader.remaining } },
    );
  }
  if (itemType !== undefined) return await readNumericArray(reader, { itemType, count, where });
  return { type: 'array', itemType: 'string', value: await readStrings(reader, count, where) };
}

async function readStrings(reader: ForwardReader, count: number, where: string): Promise<string[]> {
  const strings: string[] = [];
  const options = { where, maxBytes: MAX_STRING_BYTES };
  for (let i = 0; i < count; i++) strings.push(await readText(reader, options));
  return strings;
}

async function readNumericArray(
  reader: ForwardReader,
  array: { readonly itemType: GgufFixedType; readonly count: number; readonly where: string },
): Promise<GgufArray> {
  const value = new ARRAY_CLASSES[array.itemType](array.count);
  const bytes = new Uint8Array(value.buffer);
  await reader.readInto(bytes);
  if (array.itemType === 'bool' && bytes.some((byte) => byte > 1)) throw badBoolean(array.where);
  return { type: 'array', itemType: array.itemType, value };
}

function tooLong(
  reader: ForwardReader,
  byteLength: number,
  { where, maxBytes }: { readonly where: string; readonly maxBytes: number },
): TuneyardError {
  const isBeyondFile = byteLength > reader.remaining;
  const code = isBeyondFile ? undefined : TOO_LONG_CODES.get(maxBytes);
  return new TuneyardError(
    code ?? GGUF_ERRORS.GGUF_STRING_TOO_LONG,
    `${where}: a string at offset ${reader.offset} declares ${byteLength} bytes; ` +
      `${reader.remaining} bytes of the file remain, and the limit is ${maxBytes}`,
    { details: { offset: reader.offset, byteLength, remaining: reader.remaining } },
  );
}

function badType(code: number, where: string): TuneyardError {
  return new TuneyardError(
    GGUF_ERRORS.GGUF_BAD_VALUE_TYPE,
    `${where} has the unknown value type ${code}`,
    { details: { code } },
  );
}

function badBoolean(where: string): TuneyardError {
  return new TuneyardError(
    GGUF_ERRORS.GGUF_BAD_VALUE,
    `${where} is a boolean stored as neither 0 nor 1`,
  );
}

/** How values of columnar files become those of JSON. */
import { isAscii, isUtf8 } from 'node:buffer';
import { MAX_RECORD_BYTES } from '../limits.js';
import { TOO_LARGE } from './guard-decoder.js';

/** Stands for a text that is not UTF-8; its record is malformed. */
export const BAD_TEXT: unique symbol = Symbol('bytes that are not UTF-8');

/** Decodes a text, or gives {@link BAD_TEXT}. */
export function decodeText(bytes: Uint8Array | undefined): string | typeof BAD_TEXT | undefined {
  if (bytes === undefined || bytes === null) return undefined;
  if (bytes.length > MAX_RECORD_BYTES)
    throw new Error(`a text has ${bytes.length} bytes`, { cause: TOO_LARGE });
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isAscii(buffer)) return buffer.toString('latin1');
  return isUtf8(buffer) ? buffer.toString('utf8') : BAD_TEXT;
}

/**
 * Makes a value one of JSON: integers beyond 2^53 become decimal texts, times ISO texts, missing values null. Bytes
 * and numbers that are not finite stay.
 */
export function jsonValue(value: unknown): unknown {
  switch (typeof value) {
    case 'undefined':
      return null;
    case 'bigint':
      return jsonInteger(value);
    case 'object':
      return value === null ? null : jsonObject(value);
    default:
      return value;
  }
}

function jsonInteger(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function jsonObject(value: object): unknown {
  // A copy: the original is a part of a page, which would stay in memory with it.
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(jsonValue);
  if (ArrayBuffer.isView(value))
    return Array.from(value as unknown as ArrayLike<unknown>, jsonValue);
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, jsonValue(inner)]));
}

/** Whether a value holds a text that was not UTF-8. */
export function hasBadText(value: unknown): boolean {
  if (value === BAD_TEXT) return true;
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return false;
  return Object.values(value).some(hasBadText);
}

/** Typed access to metadata values, with errors that name the key and the type found. */
import { TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import type { GgufValue } from './value.js';

/** A conversion that returns undefined for a value of the wrong type. */
type Convert<T> = (value: GgufValue) => T | undefined;

/** Finds and converts a value; undefined when the key is absent. Throws: `GGUF_KEY_TYPE`. */
export function findValue<T>(
  metadata: ReadonlyMap<string, GgufValue>,
  key: string,
  access: { readonly convert: Convert<T>; readonly wanted: string; readonly path: string },
): T | undefined {
  const value = metadata.get(key);
  if (value === undefined) return undefined;
  const converted = access.convert(value);
  if (converted === undefined) {
    const found = value.type === 'array' ? `array of ${value.itemType}` : value.type;
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_KEY_TYPE,
      `${access.path}: metadata key ${quoteName(key)} must be ${access.wanted}, found ${found}`,
      { details: { path: access.path, key, found } },
    );
  }
  return converted;
}

/** The error for a key that a caller cannot do without. */
export function missingKey(key: string, path: string): TuneyardError {
  return new TuneyardError(
    GGUF_ERRORS.GGUF_KEY_MISSING,
    `${path} lacks the metadata key ${quoteName(key)}`,
    { category: 'not_found', details: { path, key } },
  );
}

/** A string. */
export function toText(value: GgufValue): string | undefined {
  return value.type === 'string' ? value.value : undefined;
}

/** A boolean. */
export function toBoolean(value: GgufValue): boolean | undefined {
  return value.type === 'bool' ? value.value : undefined;
}

/** Any number that a JavaScript number holds exactly; 64-bit integers beyond 2^53 are refused. */
export function toNumber(value: GgufValue): number | undefined {
  if (value.type === 'array' || value.type === 'string' || value.type === 'bool') return undefined;
  if (typeof value.value === 'number') return value.value;
  const exact = Number(value.value);
  return Number.isSafeInteger(exact) ? exact : undefined;
}

/** An array of strings. */
export function toTexts(value: GgufValue): readonly string[] | undefined {
  return value.type === 'array' && value.itemType === 'string' ? value.value : undefined;
}

/** An array of numbers; 64-bit items must fit below 2^53. */
export function toNumbers(value: GgufValue): ArrayLike<number> | undefined {
  if (value.type !== 'array' || value.itemType === 'string') return undefined;
  const items = value.value;
  if (!(items instanceof BigInt64Array || items instanceof BigUint64Array)) return items;
  const exact = Array.from(items, Number);
  return exact.every(Number.isSafeInteger) ? exact : undefined;
}

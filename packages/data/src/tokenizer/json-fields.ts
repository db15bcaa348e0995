/** Typed access to parsed JSON of unknown shape, with errors that name the place. */

import { TuneyardError } from '@tuneyard/core';
import { TOKENIZER_ERRORS } from './errors.js';

/** A JSON object whose members are not yet checked. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** The error for a file whose content breaks its format. */
export function badFile(where: string, what: string): TuneyardError {
  return new TuneyardError(TOKENIZER_ERRORS.TOKENIZER_BAD_FILE, `${where}: ${what}`, {
    details: { where },
  });
}

/** The error for something a format allows and we do not do; lists what is known. */
export function unsupported(
  where: string,
  what: string,
  known: readonly string[] = [],
): TuneyardError {
  const list = known.length === 0 ? '' : `; known: ${known.join(', ')}`;
  return new TuneyardError(
    TOKENIZER_ERRORS.TOKENIZER_UNSUPPORTED,
    `${where}: ${what} is not supported${list}`,
    { details: { where, known } },
  );
}

/** True for a JSON object, false for arrays and null. */
export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Throws: `TOKENIZER_BAD_FILE` when `value` is not an object. */
export function asRecord(value: unknown, where: string): JsonRecord {
  if (!isRecord(value)) {
    throw badFile(where, `an object was expected, found ${describe(value)}`);
  }
  return value;
}

/** Throws: `TOKENIZER_BAD_FILE` when `value` is not an array. */
export function asArray(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) {
    throw badFile(where, `an array was expected, found ${describe(value)}`);
  }
  return value;
}

/** Throws: `TOKENIZER_BAD_FILE` when `value` is not a string. */
export function asString(value: unknown, where: string): string {
  if (typeof value !== 'string') {
    throw badFile(where, `a string was expected, found ${describe(value)}`);
  }
  return value;
}

/** True for a token id: an integer, 0 … 2^24 - 1. */
export function isTokenId(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 1 << 24;
}

/** Throws: `TOKENIZER_BAD_FILE` when `value` is not a token id. */
export function asTokenId(value: unknown, where: string): number {
  if (!isTokenId(value)) {
    throw badFile(where, `a token id was expected, found ${describe(value)}`);
  }
  return value;
}

/** A boolean member, or `fallback` when it is absent or null. */
export function booleanField(record: JsonRecord, key: string, fallback: boolean): boolean {
  const value = record[key];
  return typeof value === 'boolean' ? value : fallback;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) {
    return String(value);
  }
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

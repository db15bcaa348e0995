/**
 * Reads single fields of a JSON object with checks and one form of message.
 *
 * The object may come from anywhere: every number is checked to be one before it is used as a size.
 */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';

/** A JSON object whose fields are not trusted yet. */
export type RawObject = Readonly<Record<string, unknown>>;

/** Largest size that a field may state: far above any model, far below where products of two lose digits. */
export const MAX_SIZE_FIELD = 2 ** 26 - 1;

/** Reads fields of one object; `where` names the file in messages, `prefix` the enclosing field. */
export class FieldReader {
  readonly raw: RawObject;
  readonly where: string;
  readonly #prefix: string;

  constructor(raw: RawObject, where: string, prefix = '') {
    this.raw = raw;
    this.where = where;
    this.#prefix = prefix;
  }

  /** True when the field is there and not null. */
  has(key: string): boolean {
    return this.raw[key] !== undefined && this.raw[key] !== null;
  }

  /** A size of at least one that must be there. */
  size(key: string): number {
    return this.sizeOr(key, null) ?? this.#missing(key);
  }

  /** A size of at least one, or `absent`. */
  sizeOr<T extends number | null>(key: string, absent: T): number | T {
    const value = this.raw[key];
    if (value === undefined || value === null) return absent;
    if (!isIntegerWithin(value, 1, MAX_SIZE_FIELD)) {
      throw this.invalid(key, `an integer from 1 to ${MAX_SIZE_FIELD}`);
    }
    return value;
  }

  /** A finite number above zero that must be there. */
  positive(key: string): number {
    return this.positiveOr(key, null) ?? this.#missing(key);
  }

  /** A finite number above zero, or `absent`. */
  positiveOr<T extends number | null>(key: string, absent: T): number | T {
    const value = this.raw[key];
    if (value === undefined || value === null) return absent;
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
      throw this.invalid(key, 'a finite number above 0');
    }
    return value;
  }

  /** True or false, or `absent`. */
  flag(key: string, absent: boolean): boolean {
    const value = this.raw[key];
    if (value === undefined || value === null) return absent;
    if (typeof value !== 'boolean') throw this.invalid(key, 'true or false');
    return value;
  }

  /** A text, or null when absent. */
  text(key: string): string | null {
    const value = this.raw[key];
    if (value === undefined || value === null) return null;
    if (typeof value !== 'string') throw this.invalid(key, 'a text');
    return value;
  }

  /** A nested object, or null when absent. */
  object(key: string): FieldReader | null {
    const value = this.raw[key];
    if (value === undefined || value === null) return null;
    if (!isRawObject(value)) throw this.invalid(key, 'an object');
    return new FieldReader(value, this.where, `${this.#prefix}${key}.`);
  }

  /** The error for a field whose meaning is not computed here. */
  unsupported(key: string, what: string, hint?: string): TuneyardError {
    return new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_UNSUPPORTED_FEATURE,
      `${this.where}: ${this.#prefix}${key} ${what}`,
      {
        details: { file: this.where, field: `${this.#prefix}${key}` },
        ...(hint === undefined ? {} : { hint }),
      },
    );
  }

  /** The error for a field whose value is not allowed. */
  invalid(key: string, allowed: string): TuneyardError {
    const found = this.raw[key];
    return new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_CONFIG_FIELD,
      `${this.where}: ${this.#prefix}${key} is ${describe(found)}; it must be ${allowed}`,
      { details: { file: this.where, field: `${this.#prefix}${key}`, found: describe(found) } },
    );
  }

  #missing(key: string): never {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_CONFIG_FIELD,
      `${this.where}: ${this.#prefix}${key} is missing`,
      { details: { file: this.where, field: `${this.#prefix}${key}` } },
    );
  }
}

/** True for plain objects: not null, not an array. */
export function isRawObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** True for integers from `min` to `max`. */
export function isIntegerWithin(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function describe(value: unknown): string {
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'undefined');
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** Typed access to the fields of a record; every failure is a named rejection. */
import { isRejection, type Rejection, reject } from './conversation.js';

/** A JSON object. */
export type JsonRecord = { readonly [key: string]: unknown };

/** Narrows to a JSON object. */
export function isJsonRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A required text field. */
export function requiredText(record: JsonRecord, field: string): string | Rejection {
  const value = record[field];
  if (value === undefined || value === null) {
    const found = Object.keys(record).slice(0, 12).join(', ') || 'none';
    return reject('missing_field', `no field '${field}'; fields found: ${found}`);
  }
  return typeof value === 'string' ? value : wrongType(field, value, 'text');
}

/** An optional text field; absent and null count as empty. */
export function optionalText(record: JsonRecord, field: string): string | Rejection {
  const value = record[field];
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : wrongType(field, value, 'text');
}

/** A tool list: an array, or its JSON text. Absent, null and blank give undefined. */
export function toolList(
  record: JsonRecord,
  field: string,
): readonly unknown[] | undefined | Rejection {
  const value = record[field];
  if (value === undefined || value === null) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value;
  if (typeof value !== 'string') return wrongType(field, value, 'a list or its JSON text');
  if (value.trim() === '') return undefined;
  const parsed = parseJson(value);
  if (Array.isArray(parsed)) return parsed.length === 0 ? undefined : parsed;
  return reject('bad_tools', `'${field}' is not a JSON list of tools`);
}

/** Parses JSON text; undefined when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The caller names the field; JSON.parse has no other way to say "not JSON".
    return undefined;
  }
}

/** A rejection that names a field's found and expected types. */
export function wrongType(field: string, value: unknown, expected: string): Rejection {
  return reject('wrong_type', `'${field}' is ${typeName(value)}; expected ${expected}`);
}

/** The first rejection among parsed fields. */
export function firstRejection(...values: readonly unknown[]): Rejection | undefined {
  return values.find(isRejection);
}

function typeName(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

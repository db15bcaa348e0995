/** JSON with one spelling for each value, so that equal values have equal hashes. */
import { createHash } from 'node:crypto';
import { assert } from '@tuneyard/core';

/**
 * Writes a value as JSON with sorted keys and no spaces; keys whose value is undefined are left out.
 *
 * Throws: `ASSERTION_FAILED` for a number that JSON cannot hold and for values that are no data.
 */
export function canonicalJson(value: unknown): string {
  if (typeof value === 'number') {
    assert(Number.isFinite(value), `canonicalJson: ${value} is not finite`);
    return JSON.stringify(value === 0 ? 0 : value);
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') {
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  assert(typeof value === 'object', `canonicalJson: a ${typeof value} is no data`);
  const entries = Object.entries(value)
    .filter(([, inner]) => inner !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`).join(',')}}`;
}

/** SHA-256 of the canonical JSON, as 64 hex digits. */
export function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

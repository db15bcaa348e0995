/**
 * Scans over stored float values, by bit pattern.
 *
 * Bounds: every loop runs over the length of the array it reads; the second array of a comparison is
 * asserted to be as long.
 */
import { assert } from '@tuneyard/core';

/** Element types whose bit patterns are scanned here. */
export type PlainType = 'f32' | 'f16' | 'bf16';

const EXPONENT_MASK: { readonly [T in PlainType]: number } = {
  f32: 0x7f800000,
  f16: 0x7c00,
  bf16: 0x7f80,
};

/** Finds the first infinity or NaN; -1 when all values are finite. */
export function firstNonFinite(bytes: Uint8Array, type: PlainType): number {
  const mask = EXPONENT_MASK[type];
  const units = unitsOf(bytes, type);
  for (let i = 0; i < units.length; i++) {
    if ((units[i]! & mask) === mask) return i;
  }
  return -1;
}

/** Counts the elements whose bits differ between two tensors of one type. */
export function countChanged(before: Uint8Array, after: Uint8Array, type: PlainType): number {
  assert(before.byteLength === after.byteLength, 'countChanged: lengths differ');
  const x = unitsOf(before, type);
  const y = unitsOf(after, type);
  let changed = 0;
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) changed++;
  return changed;
}

function unitsOf(bytes: Uint8Array, type: PlainType): Uint16Array | Uint32Array {
  const size = type === 'f32' ? 4 : 2;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  return size === 4
    ? new Uint32Array(buffer, byteOffset, byteLength / 4)
    : new Uint16Array(buffer, byteOffset, byteLength / 2);
}

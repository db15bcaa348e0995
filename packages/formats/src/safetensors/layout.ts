/**
 * Layout of a safetensors file: u64 little-endian header length, JSON header, tensor bytes.
 *
 * Source: safetensors README and the rules of its reference crate 0.6. Checked against: test/fixtures/safetensors.
 */
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';

/** Bytes of the header length at the start of the file. */
export const LENGTH_BYTES = 8;

/** The writer pads the header with spaces so that tensor bytes start at a multiple of this. */
export const DATA_ALIGNMENT = 8;

/** Header key that holds free-form strings instead of a tensor. */
export const METADATA_KEY = '__metadata__';

/** File name of unsharded weights in a model directory. */
export const SINGLE_FILE_NAME = 'model.safetensors';

/** File name of the index of sharded weights in a model directory. */
export const INDEX_FILE_NAME = 'model.safetensors.index.json';

/** Bits per element of every element type of the format. Pure data table. */
export const SAFETENSORS_DTYPE_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** Element type as safetensors spells it. */
export type SafetensorsDtype = keyof typeof SAFETENSORS_DTYPE_BITS;

/** True when the string names an element type of the format. */
export function isSafetensorsDtype(name: string): name is SafetensorsDtype {
  return Object.hasOwn(SAFETENSORS_DTYPE_BITS, name);
}

/** Name, element type and shape of one tensor. */
export interface TensorSpec {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/**
 * Bytes that a tensor of the shape fills; 1 element for rank 0, 0 bytes when a dimension is 0.
 *
 * Throws: `SAFETENSORS_SHAPE_OVERFLOW` above 2^53 bits, `SAFETENSORS_NOT_WHOLE_BYTES` when elements
 * narrower than a byte leave part of the last byte unused.
 */
export function tensorByteLength(spec: TensorSpec, where: string): number {
  let bits: number = SAFETENSORS_DTYPE_BITS[spec.dtype];
  for (const dimension of spec.shape) {
    bits *= dimension;
    // A product of safe integers that is itself below 2^53 is exact, so the check after each step suffices.
    if (!Number.isSafeInteger(dimension) || !Number.isSafeInteger(bits)) {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_SHAPE_OVERFLOW,
        `${where}: tensor ${quoteName(spec.name)} of shape [${shapeText(spec.shape)}] is too large to address`,
        { details: { tensor: spec.name } },
      );
    }
  }
  if (bits % 8 !== 0) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_NOT_WHOLE_BYTES,
      `${where}: tensor ${quoteName(spec.name)} of type ${spec.dtype} has ${bits} bits, not a whole number of bytes`,
      { details: { tensor: spec.name, bits } },
    );
  }
  return bits / 8;
}

/** The dimensions for a message, cut after the first eight. */
export function shapeText(shape: readonly number[]): string {
  const shown = shape.slice(0, 8).join(', ');
  return shape.length > 8 ? `${shown}, …` : shown;
}

/**
 * Layout of a GGUF file: magic, version, counts, metadata, tensor infos, padding, tensor data; all
 * numbers little-endian.
 *
 * Source: ggml docs/gguf.md, version 3, and the checks of llama.cpp's reader. Versions 2 and 3 share
 * this layout; version 1 had 32-bit counts. Checked against: test/fixtures/gguf.
 */
import { GGML_TYPES, type GgmlTypeName, rowBytes, TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';

/** The letters GGUF as a little-endian u32. */
export const MAGIC = 0x46554747;

/** Version that the writer writes. */
export const WRITTEN_VERSION = 3;

/** Versions that the reader reads. */
export const READABLE_VERSIONS: readonly number[] = [2, 3];

/** Magic, version, tensor count, key count. */
export const PREFIX_BYTES = 24;

/** Fewest bytes of a key with its value: length, one letter, type, one byte. */
export const KEY_BYTES_MIN = 14;

/** Fewest bytes of a tensor info: empty name, no dimensions, type, offset. */
export const TENSOR_INFO_BYTES_MIN = 24;

/** Alignment of tensor data when the metadata name none. */
export const DEFAULT_ALIGNMENT = 32;

/** Metadata key that names another alignment. */
export const ALIGNMENT_KEY = 'general.alignment';

/** Code and bytes of each numeric or boolean value type. Pure data table. */
export const FIXED_TYPES = {
  u8: { code: 0, bytes: 1 },
  i8: { code: 1, bytes: 1 },
  u16: { code: 2, bytes: 2 },
  i16: { code: 3, bytes: 2 },
  u32: { code: 4, bytes: 4 },
  i32: { code: 5, bytes: 4 },
  f32: { code: 6, bytes: 4 },
  bool: { code: 7, bytes: 1 },
  u64: { code: 10, bytes: 8 },
  i64: { code: 11, bytes: 8 },
  f64: { code: 12, bytes: 8 },
} as const;

/** Code of the value type string. */
export const STRING_CODE = 8;

/** Code of the value type array. */
export const ARRAY_CODE = 9;

/** A value type of fixed size. */
export type GgufFixedType = keyof typeof FIXED_TYPES;

const FIXED_TYPE_BY_CODE = new Map<number, GgufFixedType>(
  Object.entries(FIXED_TYPES).map(([name, { code }]) => [code, name as GgufFixedType]),
);

/** Looks a fixed-size value type up by its code; undefined for string, array and unknown codes. */
export function fixedTypeFromCode(code: number): GgufFixedType | undefined {
  return FIXED_TYPE_BY_CODE.get(code);
}

/** Rounds `offset` up to a multiple of `alignment`. By modulo: bit masks fail above 2^31. */
export function alignUp(offset: number, alignment: number): number {
  const over = offset % alignment;
  return over === 0 ? offset : offset + (alignment - over);
}

/** Name, element type and shape of one tensor. */
export interface TensorSpec {
  readonly name: string;
  readonly type: GgmlTypeName;
  /** Dimensions in ggml order: the contiguous one, `ne0`, first; empty for a single value. */
  readonly shape: readonly number[];
}

/**
 * Bytes that a tensor of the shape fills.
 *
 * Throws: `GGUF_SHAPE_OVERFLOW` when bytes or elements pass 2^53, `GGUF_NOT_WHOLE_BLOCKS` when the rows
 * of a quantized type end inside a block.
 */
export function tensorByteLength(spec: TensorSpec, where: string): number {
  const at = `${where}: tensor ${quoteName(spec.name)}`;
  const rowElements = spec.shape[0] ?? 1;
  const { blockElements } = GGML_TYPES[spec.type];
  if (rowElements % blockElements !== 0) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_NOT_WHOLE_BLOCKS,
      `${at} of type ${spec.type} has rows of ${rowElements} values, not a multiple of ${blockElements}`,
      { details: { tensor: spec.name, rowElements, blockElements } },
    );
  }
  let elements = 1;
  let bytes = rowBytes(spec.type, rowElements);
  for (const [axis, dimension] of spec.shape.entries()) {
    elements *= dimension;
    if (axis > 0) bytes *= dimension;
    if (![dimension, elements, bytes].every(Number.isSafeInteger)) {
      throw new TuneyardError(
        GGUF_ERRORS.GGUF_SHAPE_OVERFLOW,
        `${at} of shape [${spec.shape.join(', ')}] is too large to address`,
        { details: { tensor: spec.name } },
      );
    }
  }
  return bytes;
}

/** Refuses an alignment that is not a power of two up to the limit. */
export function checkAlignment(alignment: number, max: number, where: string): number {
  const isPowerOfTwo = Number.isInteger(Math.log2(alignment)) && alignment >= 1;
  if (isPowerOfTwo && alignment <= max) return alignment;
  throw new TuneyardError(
    GGUF_ERRORS.GGUF_BAD_ALIGNMENT,
    `${where}: ${ALIGNMENT_KEY} is ${alignment}; it must be a power of two from 1 to ${max}`,
    { details: { alignment } },
  );
}

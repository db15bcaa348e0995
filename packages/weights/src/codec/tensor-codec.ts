/** Conversion of whole tensors between f32 and stored element types. */
import {
  assert,
  bf16ToF32,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  type GgmlTypeName,
  rowBytes,
  TuneyardError,
} from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';

/** Converts tensors; quantized types come from the package that owns the quantizers. */
export interface TensorCodec {
  /** Widens `elements` values stored as `type`; the result owns its memory. */
  toF32(type: GgmlTypeName, bytes: Uint8Array, elements: number): Float32Array;
  /** Narrows values row by row; `rowElements` values in a row. */
  fromF32(type: GgmlTypeName, values: Float32Array, rowElements: number): Uint8Array;
}

/** Knows f32, f16 and bf16 only. Throws: `WEIGHTS_CODEC_UNSUPPORTED` for any other type. */
export const plainCodec: TensorCodec = { toF32, fromF32 };

/** True for the element types that every model directory may store. */
export function isPlainType(type: GgmlTypeName): type is 'f32' | 'f16' | 'bf16' {
  return type === 'f32' || type === 'f16' || type === 'bf16';
}

function toF32(type: GgmlTypeName, bytes: Uint8Array, elements: number): Float32Array {
  if (!isPlainType(type)) throw unsupported(type);
  assert(bytes.byteLength === rowBytes(type, elements), `${type}: bytes do not hold the elements`);
  const out = new Float32Array(elements);
  if (type === 'f32') new Uint8Array(out.buffer).set(bytes);
  else if (type === 'f16') f16ToF32(halves(bytes), out);
  else bf16ToF32(halves(bytes), out);
  return out;
}

function fromF32(type: GgmlTypeName, values: Float32Array): Uint8Array {
  if (!isPlainType(type)) throw unsupported(type);
  if (type === 'f32') return new Uint8Array(values.slice().buffer);
  const out = new Uint16Array(values.length);
  if (type === 'f16') f32ToF16(values, out);
  else f32ToBf16(values, out);
  return new Uint8Array(out.buffer);
}

function halves(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 2);
}

function unsupported(type: GgmlTypeName): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CODEC_UNSUPPORTED,
    `Tensors of type ${type} need a codec that knows quantized types`,
    { details: { type }, hint: 'Pass the codec of @tuneyard/ggml.' },
  );
}

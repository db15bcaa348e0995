/**
 * Between f32 and every ggml element type, through the library's own quantizers.
 *
 * The plain types go through core's kernels (same bits, no FFI); quantized ones through
 * `ggml_quantize_chunk` and the type's `to_float`.
 */
import {
  assert,
  bf16ToF32,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  GGML_TYPES,
  type GgmlTypeName,
  rowBytes,
  TuneyardError,
} from '@tuneyard/core';
import { GGML_ERRORS } from './errors.js';
import { loadGgml } from './raw/load.js';

/** Converts whole tensors between f32 and a ggml type. */
export interface GgmlCodec {
  /** Widens `elements` values stored as `type`. Throws: `GGML_TYPE_UNSUPPORTED`. */
  toF32(type: GgmlTypeName, bytes: Uint8Array, elements: number): Float32Array;
  /**
   * Narrows values to `type`, row by row.
   *
   * Units: `rowElements` values in a row; quantized types need a multiple of their block.
   * Throws: `GGML_TYPE_UNSUPPORTED`.
   */
  fromF32(type: GgmlTypeName, values: Float32Array, rowElements: number): Uint8Array;
}

/** The codec backed by the ggml library. */
export const ggmlCodec: GgmlCodec = { toF32, fromF32 };

function toF32(type: GgmlTypeName, bytes: Uint8Array, elements: number): Float32Array {
  assert(
    bytes.byteLength === rowBytes(type, elements),
    `${type}: ${bytes.byteLength} bytes for ${elements}`,
  );
  const out = new Float32Array(elements);
  if (type === 'f32') new Uint8Array(out.buffer).set(bytes);
  else if (type === 'bf16') bf16ToF32(halves(bytes), out);
  else if (type === 'f16') f16ToF32(halves(bytes), out);
  else if (!loadGgml().toFloat(GGML_TYPES[type].code, bytes, out)) throw unsupported(type, 'read');
  return out;
}

function fromF32(type: GgmlTypeName, values: Float32Array, rowElements: number): Uint8Array {
  if (type === 'f32') return new Uint8Array(values.slice().buffer);
  if (type === 'bf16' || type === 'f16') {
    const out = new Uint16Array(values.length);
    if (type === 'bf16') f32ToBf16(values, out);
    else f32ToF16(values, out);
    return new Uint8Array(out.buffer);
  }
  const { blockElements, code } = GGML_TYPES[type];
  if (blockElements === 1) throw unsupported(type, 'written from f32');
  if (rowElements % blockElements !== 0) {
    throw new TuneyardError(
      GGML_ERRORS.GGML_TYPE_UNSUPPORTED,
      `${type} stores blocks of ${blockElements} elements; a row of ${rowElements} does not divide into them`,
      {
        details: { type, rowElements, blockElements },
        hint: 'Use q8_0 (blocks of 32), bf16 or f16 for this model.',
      },
    );
  }
  assert(values.length % rowElements === 0, 'fromF32: the last row is incomplete');
  const out = new Uint8Array(rowBytes(type, values.length));
  loadGgml().ggml_quantize_chunk(
    code,
    values,
    out,
    0,
    values.length / rowElements,
    rowElements,
    null,
  );
  return out;
}

function halves(bytes: Uint8Array): Uint16Array {
  if (bytes.byteOffset % 2 === 0)
    return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return new Uint16Array(bytes.slice().buffer);
}

function unsupported(type: GgmlTypeName, verb: string): TuneyardError {
  return new TuneyardError(
    GGML_ERRORS.GGML_TYPE_UNSUPPORTED,
    `Tensors of type ${type} cannot be ${verb}`,
    {
      details: { type },
    },
  );
}

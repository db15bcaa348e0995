/** Bytes of tensors as numbers, for statistics and comparisons. */
import { bf16ToF32, f16ToF32, TuneyardError } from '@tuneyard/core';
import type { SafetensorsDtype } from '@tuneyard/formats';
import { CLI_ERRORS } from '../errors.js';

const DECODERS: { readonly [T in SafetensorsDtype]?: (b: Uint8Array) => Iterable<number> } = {
  F64: (b) => new Float64Array(b.buffer, b.byteOffset, b.byteLength / 8),
  F32: (b) => new Float32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  F16: (b) => widen(b, f16ToF32),
  BF16: (b) => widen(b, bf16ToF32),
  I32: (b) => new Int32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  I16: (b) => new Int16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  I8: (b) => new Int8Array(b.buffer, b.byteOffset, b.byteLength),
  U32: (b) => new Uint32Array(b.buffer, b.byteOffset, b.byteLength / 4),
  U16: (b) => new Uint16Array(b.buffer, b.byteOffset, b.byteLength / 2),
  U8: (b) => b,
  BOOL: (b) => b,
  I64: (b) => Float64Array.from(new BigInt64Array(b.buffer, b.byteOffset, b.length / 8), Number),
  U64: (b) => Float64Array.from(new BigUint64Array(b.buffer, b.byteOffset, b.length / 8), Number),
};

/** The values of a tensor as numbers. Throws: `CLI_INVALID_VALUE` for a type that has none, such as 8-bit floats. */
export function decodeValues(
  tensor: { readonly name: string; readonly dtype: SafetensorsDtype },
  bytes: Uint8Array,
): Float32Array | Float64Array {
  const decode = DECODERS[tensor.dtype];
  if (decode === undefined) {
    throw new TuneyardError(
      CLI_ERRORS.CLI_INVALID_VALUE,
      `Statistics of ${tensor.dtype} tensors are not supported`,
      { details: { tensor: tensor.name, allowed: Object.keys(DECODERS) } },
    );
  }
  const numbers = decode(bytes);
  return numbers instanceof Float32Array ? numbers : Float64Array.from(numbers);
}

function widen(
  bytes: Uint8Array,
  kernel: (source: Uint16Array, target: Float32Array) => void,
): Float32Array {
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  const values = new Float32Array(halves.length);
  kernel(halves, values);
  return values;
}

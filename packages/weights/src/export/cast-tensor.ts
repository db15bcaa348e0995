/** Conversion of one stored tensor to another element type, with a check of the result. */
import { type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { isPlainType, type TensorCodec } from '../codec/tensor-codec.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { firstNonFinite } from '../kernels/value-checks.js';

/** A tensor's values and what they are. */
export interface NamedTensor {
  readonly name: string;
  readonly type: GgmlTypeName;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  /** Where in the tensor the values begin, when they are a part of it; for messages. */
  readonly firstElement?: number;
}

/** Number of elements of a shape. */
export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, 1);
}

/** Converts a tensor; bytes of the same type pass through. Throws: `WEIGHTS_NON_FINITE`. */
export function castTensor(
  tensor: NamedTensor,
  type: GgmlTypeName,
  codec: TensorCodec,
): Uint8Array {
  if (tensor.type === type) return tensor.bytes;
  const values = codec.toF32(tensor.type, tensor.bytes, elementsOf(tensor.shape));
  return narrowTensor({ ...tensor, values }, type, codec);
}

/** Narrows f32 values to a type. Throws: `WEIGHTS_NON_FINITE` when a value is, or becomes, infinite or NaN. */
export function narrowTensor(
  tensor: {
    readonly name: string;
    readonly shape: readonly number[];
    readonly values: Float32Array;
    readonly firstElement?: number;
  },
  type: GgmlTypeName,
  codec: TensorCodec,
): Uint8Array {
  const { values } = tensor;
  if (!isPlainType(type)) {
    const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    requireFinite(tensor, firstNonFinite(raw, 'f32'), type);
  }
  const bytes = codec.fromF32(type, values, tensor.shape.at(-1) ?? 1);
  if (isPlainType(type)) requireFinite(tensor, firstNonFinite(bytes, type), type);
  return bytes;
}

function requireFinite(
  tensor: {
    readonly name: string;
    readonly values: Float32Array;
    readonly firstElement?: number;
  },
  found: number,
  type: GgmlTypeName,
): void {
  if (found < 0) return;
  const { name, values, firstElement = 0 } = tensor;
  const value = values[found] ?? Number.NaN;
  const index = firstElement + found;
  const isOverflow = Number.isFinite(value);
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_NON_FINITE,
    `${name}: element ${index} is ${value}, which ${isOverflow ? `does not fit in ${type}` : 'is not a finite number'}`,
    {
      details: { tensor: name, index, value: String(value), type },
      ...(isOverflow ? { hint: 'Write bf16 or f32, whose range is wider.' } : {}),
    },
  );
}

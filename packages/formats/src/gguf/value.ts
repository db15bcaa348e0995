/** Metadata values: their types in memory, and each fixed-size type read and written. */
import type { GgufFixedType } from './layout.js';

/** A numeric or boolean array in memory; booleans as 0 and 1. */
export type GgufNumericArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | BigUint64Array
  | BigInt64Array
  | Float64Array;

/** A value that is not an array. The reader gives 64-bit integers as bigint; the writer takes both. */
export type GgufScalar =
  | {
      readonly type: 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'f32' | 'f64';
      readonly value: number;
    }
  | { readonly type: 'u64' | 'i64'; readonly value: number | bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string };

/** An array value: strings, or a typed array of the item type. Arrays of arrays are refused. */
export type GgufArray =
  | { readonly type: 'array'; readonly itemType: 'string'; readonly value: readonly string[] }
  | {
      readonly type: 'array';
      readonly itemType: GgufFixedType;
      readonly value: GgufNumericArray;
    };

/** One metadata value with its type as stored. */
export type GgufValue = GgufScalar | GgufArray;

/** Array class of each item type. */
export const ARRAY_CLASSES = {
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  f32: Float32Array,
  bool: Uint8Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
  f64: Float64Array,
} as const;

/** Smallest and largest value of each integer type. */
export const INTEGER_RANGES = {
  u8: [0n, 255n],
  i8: [-128n, 127n],
  u16: [0n, 65_535n],
  i16: [-32_768n, 32_767n],
  u32: [0n, 4_294_967_295n],
  i32: [-2_147_483_648n, 2_147_483_647n],
  u64: [0n, 2n ** 64n - 1n],
  i64: [-(2n ** 63n), 2n ** 63n - 1n],
} as const;

/** Reads one fixed-size value; null for a boolean byte other than 0 and 1. */
export function readFixed(type: GgufFixedType, view: DataView, at: number): GgufScalar | null {
  switch (type) {
    case 'u8':
      return { type, value: view.getUint8(at) };
    case 'i8':
      return { type, value: view.getInt8(at) };
    case 'u16':
      return { type, value: view.getUint16(at, true) };
    case 'i16':
      return { type, value: view.getInt16(at, true) };
    case 'u32':
      return { type, value: view.getUint32(at, true) };
    case 'i32':
      return { type, value: view.getInt32(at, true) };
    case 'f32':
      return { type, value: view.getFloat32(at, true) };
    case 'f64':
      return { type, value: view.getFloat64(at, true) };
    case 'u64':
      return { type, value: view.getBigUint64(at, true) };
    case 'i64':
      return { type, value: view.getBigInt64(at, true) };
    case 'bool': {
      const byte = view.getUint8(at);
      return byte > 1 ? null : { type, value: byte === 1 };
    }
  }
}

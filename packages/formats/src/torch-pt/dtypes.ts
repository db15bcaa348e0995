/**
 * Element types and storage classes of torch. Pure data.
 *
 * Source: torch/storage.py and c10/core/ScalarType.h of torch 2.13. Checked against: test/fixtures/torch.
 */

/** One element type. */
export interface TorchDtypeFacts {
  /** Bytes of an element. */
  readonly bytes: number;
  /** Storage class of archives; null where archives use an untyped storage. */
  readonly storage: string | null;
  /** The same type in safetensors; null where it has none. */
  readonly safetensors: string | null;
}

const dtype = (
  bytes: number,
  storage: string | null,
  safetensors: string | null,
): TorchDtypeFacts => ({ bytes, storage, safetensors });

/** Facts by name as torch spells it, without `torch.`. */
export const TORCH_DTYPES: ReadonlyMap<string, TorchDtypeFacts> = new Map([
  ['float64', dtype(8, 'DoubleStorage', 'F64')],
  ['float32', dtype(4, 'FloatStorage', 'F32')],
  ['float16', dtype(2, 'HalfStorage', 'F16')],
  ['bfloat16', dtype(2, 'BFloat16Storage', 'BF16')],
  ['int64', dtype(8, 'LongStorage', 'I64')],
  ['int32', dtype(4, 'IntStorage', 'I32')],
  ['int16', dtype(2, 'ShortStorage', 'I16')],
  ['int8', dtype(1, 'CharStorage', 'I8')],
  ['uint8', dtype(1, 'ByteStorage', 'U8')],
  ['bool', dtype(1, 'BoolStorage', 'BOOL')],
  ['complex128', dtype(16, 'ComplexDoubleStorage', null)],
  ['complex64', dtype(8, 'ComplexFloatStorage', 'C64')],
  ['quint8', dtype(1, 'QUInt8Storage', null)],
  ['qint8', dtype(1, 'QInt8Storage', null)],
  ['qint32', dtype(4, 'QInt32Storage', null)],
  ['quint4x2', dtype(1, 'QUInt4x2Storage', null)],
  ['quint2x4', dtype(1, 'QUInt2x4Storage', null)],
  ['complex32', dtype(4, null, null)],
  ['uint16', dtype(2, null, 'U16')],
  ['uint32', dtype(4, null, 'U32')],
  ['uint64', dtype(8, null, 'U64')],
  ['float8_e4m3fn', dtype(1, null, 'F8_E4M3')],
  ['float8_e5m2', dtype(1, null, 'F8_E5M2')],
  ['float8_e4m3fnuz', dtype(1, null, 'F8_E4M3FNUZ')],
  ['float8_e5m2fnuz', dtype(1, null, 'F8_E5M2FNUZ')],
  ['float8_e8m0fnu', dtype(1, null, 'F8_E8M0')],
  ['float4_e2m1fn_x2', dtype(1, null, null)],
  ['bits8', dtype(1, null, null)],
  ['bits16', dtype(2, null, null)],
]);

/** Class of storages that are bytes alone. */
export const UNTYPED_STORAGE = 'UntypedStorage';

const DTYPE_OF_STORAGE = new Map(
  [...TORCH_DTYPES].flatMap(([name, { storage }]) =>
    storage === null ? [] : [[storage, name] as const],
  ),
);

/** Element type of a storage class such as `BFloat16Storage`; null for an untyped or unknown one. */
export function dtypeOfStorage(storageClass: string): string | null {
  return DTYPE_OF_STORAGE.get(storageClass) ?? null;
}

/** Bytes of an element of a storage class, 1 for an untyped one; null for an unknown one. */
export function storageElementBytes(storageClass: string): number | null {
  if (storageClass === UNTYPED_STORAGE) return 1;
  const name = dtypeOfStorage(storageClass);
  return name === null ? null : (TORCH_DTYPES.get(name)?.bytes ?? null);
}

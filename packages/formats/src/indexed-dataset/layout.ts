/**
 * Layout of an indexed data set: `<prefix>.bin` with the values of all sequences end to end and no header, and
 * `<prefix>.idx` that says where each sequence lies and which sequences make a document.
 *
 * `.idx`, little-endian: magic (9 bytes), version u64, type code u8, sequence count S u64, document index length D u64,
 * S × i32 lengths, S × i64 byte offsets in `.bin`, D × i64 document boundaries from 0 to S, and in multimodal data sets
 * S × i8 modes.
 *
 * Source: Megatron-LM core_v0.12.1, `indexed_dataset.py`. Checked against: test/fixtures/indexed-dataset.
 */

/** First bytes of every `.idx` file. */
export const MAGIC = Uint8Array.of(0x4d, 0x4d, 0x49, 0x44, 0x49, 0x44, 0x58, 0, 0);

/** The one version that exists. */
export const VERSION = 1n;

/** Offsets of the fields of the header, and its size. */
export const HEADER = {
  version: 9,
  dtypeCode: 17,
  sequenceCount: 18,
  documentIndexLength: 26,
  bytes: 34,
} as const;

/** Bytes that one sequence takes in `.idx`: length and offset. */
export const SEQUENCE_INDEX_BYTES = 12;

/** Bytes that one document boundary takes in `.idx`. */
export const BOUNDARY_BYTES = 8;

/** Element types: code in the file, bytes of one value. Pure data table. */
export const INDEXED_DTYPES = {
  uint8: { code: 1, bytes: 1 },
  int8: { code: 2, bytes: 1 },
  int16: { code: 3, bytes: 2 },
  int32: { code: 4, bytes: 4 },
  int64: { code: 5, bytes: 8 },
  float64: { code: 6, bytes: 8 },
  float32: { code: 7, bytes: 4 },
  uint16: { code: 8, bytes: 2 },
} as const;

/** Element type as numpy spells it. */
export type IndexedDtype = keyof typeof INDEXED_DTYPES;

/** Values of a sequence in the type that the file has. */
export type IndexedValues =
  | Uint8Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float64Array
  | Float32Array
  | Uint16Array;

/** The type of a code; null when the format defines none. */
export function dtypeOfCode(code: number): IndexedDtype | null {
  const found = Object.entries(INDEXED_DTYPES).find(([, entry]) => entry.code === code);
  return found === undefined ? null : (found[0] as IndexedDtype);
}

/** Views bytes as values. `bytes` starts at a multiple of the size of a value and holds whole values. */
export function viewValues(dtype: IndexedDtype, bytes: Uint8Array): IndexedValues {
  const { buffer, byteOffset } = bytes;
  const length = bytes.length / INDEXED_DTYPES[dtype].bytes;
  switch (dtype) {
    case 'uint8':
      return new Uint8Array(buffer, byteOffset, length);
    case 'int8':
      return new Int8Array(buffer, byteOffset, length);
    case 'int16':
      return new Int16Array(buffer, byteOffset, length);
    case 'int32':
      return new Int32Array(buffer, byteOffset, length);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, length);
    case 'float64':
      return new Float64Array(buffer, byteOffset, length);
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'uint16':
      return new Uint16Array(buffer, byteOffset, length);
  }
}

/** Paths of the two files of a data set; a prefix may be given with either extension. */
export function indexedDatasetPaths(prefix: string): { prefix: string; bin: string; idx: string } {
  const bare = prefix.replace(/\.(?:bin|idx)$/, '');
  return { prefix: bare, bin: `${bare}.bin`, idx: `${bare}.idx` };
}

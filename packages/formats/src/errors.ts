/** Codes that the formats package raises, one table per area. */

/** Codes of plain file input and output. */
export const FILE_ERRORS = {
  /** The path names nothing. */
  FILE_NOT_FOUND: 'FILE_NOT_FOUND',
  /** The path names a directory, pipe or device where a regular file is needed. */
  FILE_NOT_REGULAR: 'FILE_NOT_REGULAR',
  /** The operating system denies access to the path. */
  FILE_NOT_PERMITTED: 'FILE_NOT_PERMITTED',
  /** The disk, or the quota on it, is full. */
  FILE_DISK_FULL: 'FILE_DISK_FULL',
  /** The operating system reported another failure of input or output. */
  FILE_IO_FAILED: 'FILE_IO_FAILED',
  /** The file gave fewer bytes than its size had promised when it was opened. */
  FILE_SHORT_READ: 'FILE_SHORT_READ',
  /** The file was read after its reader had been closed. */
  FILE_CLOSED: 'FILE_CLOSED',
  /** A destination for tensor bytes is shorter than the tensor. */
  FILE_BAD_DESTINATION: 'FILE_BAD_DESTINATION',
  /** A tensor is larger than one buffer of this runtime can be. */
  FILE_BUFFER_TOO_LARGE: 'FILE_BUFFER_TOO_LARGE',
  /** An entry to be written produced more or fewer bytes than it had declared. */
  FILE_ENTRY_SIZE_MISMATCH: 'FILE_ENTRY_SIZE_MISMATCH',
} as const;

/** Codes of the safetensors codec. */
export const SAFETENSORS_ERRORS = {
  /** The file is shorter than the eight bytes of its header length. */
  SAFETENSORS_TOO_SMALL: 'SAFETENSORS_TOO_SMALL',
  /** The header length is zero. */
  SAFETENSORS_HEADER_EMPTY: 'SAFETENSORS_HEADER_EMPTY',
  /** The header length is above the limit of the format. */
  SAFETENSORS_HEADER_TOO_LARGE: 'SAFETENSORS_HEADER_TOO_LARGE',
  /** The header length reaches past the end of the file. */
  SAFETENSORS_HEADER_TRUNCATED: 'SAFETENSORS_HEADER_TRUNCATED',
  /** The header is not valid UTF-8. */
  SAFETENSORS_HEADER_NOT_UTF8: 'SAFETENSORS_HEADER_NOT_UTF8',
  /** The header does not start with an opening brace. */
  SAFETENSORS_HEADER_START: 'SAFETENSORS_HEADER_START',
  /** The header is not valid JSON, or is nested too deeply. */
  SAFETENSORS_HEADER_NOT_JSON: 'SAFETENSORS_HEADER_NOT_JSON',
  /** A name appears twice in one object of the header. */
  SAFETENSORS_DUPLICATE_KEY: 'SAFETENSORS_DUPLICATE_KEY',
  /** The `__metadata__` entry is not an object of strings. */
  SAFETENSORS_BAD_METADATA: 'SAFETENSORS_BAD_METADATA',
  /** A tensor entry lacks a field, or a field has the wrong type. */
  SAFETENSORS_BAD_ENTRY: 'SAFETENSORS_BAD_ENTRY',
  /** A tensor has an element type that the format does not define. */
  SAFETENSORS_UNKNOWN_DTYPE: 'SAFETENSORS_UNKNOWN_DTYPE',
  /** The size that a shape asks for is too large for exact arithmetic. */
  SAFETENSORS_SHAPE_OVERFLOW: 'SAFETENSORS_SHAPE_OVERFLOW',
  /** A tensor of a type narrower than a byte does not fill whole bytes. */
  SAFETENSORS_NOT_WHOLE_BYTES: 'SAFETENSORS_NOT_WHOLE_BYTES',
  /** The byte range of a tensor has another length than its shape and type ask for. */
  SAFETENSORS_SIZE_MISMATCH: 'SAFETENSORS_SIZE_MISMATCH',
  /** The byte range of a tensor ends before it begins. */
  SAFETENSORS_OFFSETS_REVERSED: 'SAFETENSORS_OFFSETS_REVERSED',
  /** The byte ranges of two tensors share bytes. */
  SAFETENSORS_OFFSETS_OVERLAP: 'SAFETENSORS_OFFSETS_OVERLAP',
  /** Bytes between two tensors, or before the first, belong to none. */
  SAFETENSORS_OFFSETS_HOLE: 'SAFETENSORS_OFFSETS_HOLE',
  /** The byte range of a tensor reaches past the end of the file. */
  SAFETENSORS_DATA_TRUNCATED: 'SAFETENSORS_DATA_TRUNCATED',
  /** Bytes follow the last tensor. */
  SAFETENSORS_TRAILING_BYTES: 'SAFETENSORS_TRAILING_BYTES',
  /** A directory holds no safetensors weights. */
  SAFETENSORS_NO_WEIGHTS: 'SAFETENSORS_NO_WEIGHTS',
  /** A directory holds several weight files and nothing says which to read. */
  SAFETENSORS_AMBIGUOUS: 'SAFETENSORS_AMBIGUOUS',
  /** The shard index is malformed. */
  SAFETENSORS_BAD_INDEX: 'SAFETENSORS_BAD_INDEX',
  /** The shard index and the shards disagree about which tensor lies where. */
  SAFETENSORS_INDEX_MISMATCH: 'SAFETENSORS_INDEX_MISMATCH',
  /** No tensor of that name is in the file. */
  SAFETENSORS_TENSOR_NOT_FOUND: 'SAFETENSORS_TENSOR_NOT_FOUND',
  /** Two entries to be written have one name, or a name that the format reserves. */
  SAFETENSORS_BAD_NAME: 'SAFETENSORS_BAD_NAME',
  /** The output directory holds other weights that a reader could take for the new ones. */
  SAFETENSORS_OUTPUT_CONFLICT: 'SAFETENSORS_OUTPUT_CONFLICT',
  /** The shard size is not a positive number of bytes, or gives too many shards. */
  SAFETENSORS_BAD_SHARD_SIZE: 'SAFETENSORS_BAD_SHARD_SIZE',
} as const;

/** Codes of the GGUF codec. */
export const GGUF_ERRORS = {
  /** The file does not start with the four letters GGUF. */
  GGUF_BAD_MAGIC: 'GGUF_BAD_MAGIC',
  /** The file was written for a machine of the other byte order. */
  GGUF_WRONG_BYTE_ORDER: 'GGUF_WRONG_BYTE_ORDER',
  /** The version of the file is not one that this reader knows. */
  GGUF_BAD_VERSION: 'GGUF_BAD_VERSION',
  /** The file ends inside its header. */
  GGUF_HEADER_TRUNCATED: 'GGUF_HEADER_TRUNCATED',
  /** A count is larger than the rest of the file could hold, or above its limit. */
  GGUF_COUNT_TOO_LARGE: 'GGUF_COUNT_TOO_LARGE',
  /** A string is longer than the rest of the file, or above its limit. */
  GGUF_STRING_TOO_LONG: 'GGUF_STRING_TOO_LONG',
  /** A string is not valid UTF-8. */
  GGUF_BAD_UTF8: 'GGUF_BAD_UTF8',
  /** A metadata key is empty or too long. */
  GGUF_BAD_KEY: 'GGUF_BAD_KEY',
  /** A metadata key appears twice. */
  GGUF_DUPLICATE_KEY: 'GGUF_DUPLICATE_KEY',
  /** A metadata value has a type that the format does not define. */
  GGUF_BAD_VALUE_TYPE: 'GGUF_BAD_VALUE_TYPE',
  /** A metadata value does not fit its type, such as a boolean other than 0 or 1. */
  GGUF_BAD_VALUE: 'GGUF_BAD_VALUE',
  /** A metadata array holds arrays. */
  GGUF_NESTED_ARRAY: 'GGUF_NESTED_ARRAY',
  /** The alignment is not a power of two, or its key has the wrong type. */
  GGUF_BAD_ALIGNMENT: 'GGUF_BAD_ALIGNMENT',
  /** A tensor name is too long. */
  GGUF_BAD_TENSOR_NAME: 'GGUF_BAD_TENSOR_NAME',
  /** A tensor name appears twice. */
  GGUF_DUPLICATE_TENSOR: 'GGUF_DUPLICATE_TENSOR',
  /** A tensor has more dimensions than the format allows, or a dimension is not a count. */
  GGUF_BAD_DIMENSIONS: 'GGUF_BAD_DIMENSIONS',
  /** The size that a shape asks for is too large for exact arithmetic. */
  GGUF_SHAPE_OVERFLOW: 'GGUF_SHAPE_OVERFLOW',
  /** A tensor has an element type that this build does not know. */
  GGUF_UNKNOWN_TENSOR_TYPE: 'GGUF_UNKNOWN_TENSOR_TYPE',
  /** The rows of a quantized tensor do not fill whole blocks. */
  GGUF_NOT_WHOLE_BLOCKS: 'GGUF_NOT_WHOLE_BLOCKS',
  /** The offset of a tensor is not a multiple of the alignment. */
  GGUF_OFFSET_UNALIGNED: 'GGUF_OFFSET_UNALIGNED',
  /** Two tensors share bytes. */
  GGUF_OFFSETS_OVERLAP: 'GGUF_OFFSETS_OVERLAP',
  /** More bytes than padding needs lie between two tensors, or before the first. */
  GGUF_OFFSETS_HOLE: 'GGUF_OFFSETS_HOLE',
  /** A tensor reaches past the end of the file. */
  GGUF_DATA_TRUNCATED: 'GGUF_DATA_TRUNCATED',
  /** More bytes than padding needs follow the last tensor. */
  GGUF_TRAILING_BYTES: 'GGUF_TRAILING_BYTES',
  /** The metadata lacks a key that the caller needs. */
  GGUF_KEY_MISSING: 'GGUF_KEY_MISSING',
  /** A metadata value has another type than the caller needs. */
  GGUF_KEY_TYPE: 'GGUF_KEY_TYPE',
  /** No tensor of that name is in the file. */
  GGUF_TENSOR_NOT_FOUND: 'GGUF_TENSOR_NOT_FOUND',
} as const;

/** Codes of the indexed data set codec. */
export const INDEXED_DATASET_ERRORS = {
  /** The index is shorter than its header. */
  INDEXED_DATASET_TOO_SMALL: 'INDEXED_DATASET_TOO_SMALL',
  /** The index does not start with the letters of the format. */
  INDEXED_DATASET_BAD_MAGIC: 'INDEXED_DATASET_BAD_MAGIC',
  /** The index has a version other than 1, or the other byte order. */
  INDEXED_DATASET_BAD_VERSION: 'INDEXED_DATASET_BAD_VERSION',
  /** The values have an element type that the format does not define. */
  INDEXED_DATASET_UNKNOWN_DTYPE: 'INDEXED_DATASET_UNKNOWN_DTYPE',
  /** A data set has more sequences than can be numbered. */
  INDEXED_DATASET_COUNT_TOO_LARGE: 'INDEXED_DATASET_COUNT_TOO_LARGE',
  /** The index ends before the tables that its header announces. */
  INDEXED_DATASET_INDEX_TRUNCATED: 'INDEXED_DATASET_INDEX_TRUNCATED',
  /** Bytes follow the tables of the index. */
  INDEXED_DATASET_INDEX_TRAILING_BYTES: 'INDEXED_DATASET_INDEX_TRAILING_BYTES',
  /** A sequence has a negative length. */
  INDEXED_DATASET_BAD_LENGTH: 'INDEXED_DATASET_BAD_LENGTH',
  /** An offset or a document boundary is negative or too large to be exact. */
  INDEXED_DATASET_OFFSET_OUT_OF_RANGE: 'INDEXED_DATASET_OFFSET_OUT_OF_RANGE',
  /** A sequence begins before the one before it ends. */
  INDEXED_DATASET_OFFSETS_OVERLAP: 'INDEXED_DATASET_OFFSETS_OVERLAP',
  /** Bytes between two sequences, or before the first, belong to none. */
  INDEXED_DATASET_OFFSETS_HOLE: 'INDEXED_DATASET_OFFSETS_HOLE',
  /** A sequence reaches past the end of the values. */
  INDEXED_DATASET_DATA_TRUNCATED: 'INDEXED_DATASET_DATA_TRUNCATED',
  /** Values follow the last sequence. */
  INDEXED_DATASET_TRAILING_BYTES: 'INDEXED_DATASET_TRAILING_BYTES',
  /** The document index is empty, out of order, or does not run from 0 to the number of sequences. */
  INDEXED_DATASET_BAD_DOCUMENTS: 'INDEXED_DATASET_BAD_DOCUMENTS',
  /** Values are read as token ids and are none: floating point, or beyond 32 bits. */
  INDEXED_DATASET_NOT_TOKENS: 'INDEXED_DATASET_NOT_TOKENS',
  /** A value to be written does not fit the element type of the data set. */
  INDEXED_DATASET_VALUE_RANGE: 'INDEXED_DATASET_VALUE_RANGE',
  /** Data sets of different element types, or with and without modes, are put together. */
  INDEXED_DATASET_DTYPE_MISMATCH: 'INDEXED_DATASET_DTYPE_MISMATCH',
  /** An output would overwrite one of its own inputs, or another output. */
  INDEXED_DATASET_OUTPUT_CONFLICT: 'INDEXED_DATASET_OUTPUT_CONFLICT',
  /** The parts of a split are not positive, or ask for more documents than there are. */
  INDEXED_DATASET_BAD_SPLIT: 'INDEXED_DATASET_BAD_SPLIT',
} as const;

/** Codes of the torch archive codec: the pickle in it, the ZIP around it, and the tensors. */
export const TORCH_ERRORS = {
  /** A pickle ends in the middle of an opcode, or before its last one. */
  TORCH_PICKLE_TRUNCATED: 'TORCH_PICKLE_TRUNCATED',
  /** A pickle has an opcode or a protocol that is unknown, or one that needs things outside of it. */
  TORCH_PICKLE_BAD_OPCODE: 'TORCH_PICKLE_BAD_OPCODE',
  /** A pickle does what no writer does: it takes values that are not there, or of the wrong kind. */
  TORCH_PICKLE_MALFORMED: 'TORCH_PICKLE_MALFORMED',
  /** A pickle asks for more values, nesting or digits than any checkpoint needs. */
  TORCH_PICKLE_LIMIT: 'TORCH_PICKLE_LIMIT',
  /** A pickle names a function that would run code, reach the system or load other files. */
  TORCH_PICKLE_FORBIDDEN_GLOBAL: 'TORCH_PICKLE_FORBIDDEN_GLOBAL',
  /** A dictionary has a key twice, or two tensors have one key path. */
  TORCH_PICKLE_DUPLICATE_KEY: 'TORCH_PICKLE_DUPLICATE_KEY',
  /** A pickle refers to something outside of it that is no storage, or to a storage in two ways. */
  TORCH_PICKLE_BAD_PERSISTENT_ID: 'TORCH_PICKLE_BAD_PERSISTENT_ID',
  /** A tensor has a shape, strides or an offset that its storage cannot hold, or an unknown type. */
  TORCH_PICKLE_BAD_TENSOR: 'TORCH_PICKLE_BAD_TENSOR',
  /** The file is neither a torch archive nor a torch file of the older kind. */
  TORCH_ARCHIVE_BAD_MAGIC: 'TORCH_ARCHIVE_BAD_MAGIC',
  /** The file is of a kind that is recognised and not read: a tar of torch 0.1, a TorchScript program. */
  TORCH_ARCHIVE_UNSUPPORTED: 'TORCH_ARCHIVE_UNSUPPORTED',
  /** The ZIP has no list of entries at its end: it was cut, or is none. */
  TORCH_ARCHIVE_NO_DIRECTORY: 'TORCH_ARCHIVE_NO_DIRECTORY',
  /** The list of entries of the ZIP contradicts itself, or could be read in two ways. */
  TORCH_ARCHIVE_BAD_DIRECTORY: 'TORCH_ARCHIVE_BAD_DIRECTORY',
  /** An entry of the ZIP is encrypted, compressed in an unknown way, or differs from what the list says. */
  TORCH_ARCHIVE_BAD_ENTRY: 'TORCH_ARCHIVE_BAD_ENTRY',
  /** The name of an entry leads out of the archive, appears twice, or is not valid. */
  TORCH_ARCHIVE_BAD_NAME: 'TORCH_ARCHIVE_BAD_NAME',
  /** Two entries of the ZIP share bytes. */
  TORCH_ARCHIVE_OFFSETS_OVERLAP: 'TORCH_ARCHIVE_OFFSETS_OVERLAP',
  /** Bytes between two entries of the ZIP belong to none. */
  TORCH_ARCHIVE_OFFSETS_HOLE: 'TORCH_ARCHIVE_OFFSETS_HOLE',
  /** A compressed entry is larger than allowed, or grows to another size than it declares. */
  TORCH_ARCHIVE_INFLATED_SIZE: 'TORCH_ARCHIVE_INFLATED_SIZE',
  /** The bytes of an entry do not have the checksum that the ZIP gives. */
  TORCH_ARCHIVE_CRC_MISMATCH: 'TORCH_ARCHIVE_CRC_MISMATCH',
  /** The ZIP lacks an entry that a torch archive has, or has one with content that is not allowed. */
  TORCH_ARCHIVE_BAD_LAYOUT: 'TORCH_ARCHIVE_BAD_LAYOUT',
  /** The archive was written by a machine of the other byte order. */
  TORCH_ARCHIVE_WRONG_BYTE_ORDER: 'TORCH_ARCHIVE_WRONG_BYTE_ORDER',
  /** A storage that the pickle names is not in the archive, or has another size. */
  TORCH_ARCHIVE_STORAGE_MISMATCH: 'TORCH_ARCHIVE_STORAGE_MISMATCH',
  /** No tensor of that name is in the archive. */
  TORCH_ARCHIVE_TENSOR_NOT_FOUND: 'TORCH_ARCHIVE_TENSOR_NOT_FOUND',
  /** A tensor that repeats a few elements is too large to be read out in full. */
  TORCH_ARCHIVE_EXPANDED_TOO_LARGE: 'TORCH_ARCHIVE_EXPANDED_TOO_LARGE',
  /** A value to be written has no place in a torch archive. */
  TORCH_ARCHIVE_BAD_VALUE: 'TORCH_ARCHIVE_BAD_VALUE',
} as const;

/** Codes of the reader of distributed checkpoints. */
export const DCP_ERRORS = {
  /** The directory holds no distributed checkpoint. */
  DCP_NOT_FOUND: 'DCP_NOT_FOUND',
  /** The metadata of a distributed checkpoint are malformed. */
  DCP_BAD_METADATA: 'DCP_BAD_METADATA',
  /** The checkpoint is in a form that is not read: another backend, compressed items. */
  DCP_UNSUPPORTED: 'DCP_UNSUPPORTED',
  /** A file of a distributed checkpoint has a name that could lead out of its directory. */
  DCP_BAD_PATH: 'DCP_BAD_PATH',
  /** A file that the metadata of a distributed checkpoint name is not there. */
  DCP_FILE_MISSING: 'DCP_FILE_MISSING',
  /** An entry of a distributed checkpoint reaches past the end of its file. */
  DCP_ITEM_OUT_OF_FILE: 'DCP_ITEM_OUT_OF_FILE',
  /** Two entries of a distributed checkpoint share bytes of a file. */
  DCP_OFFSETS_OVERLAP: 'DCP_OFFSETS_OVERLAP',
  /** The metadata do not say where a tensor's chunk, or an object, is stored. */
  DCP_ITEM_MISSING: 'DCP_ITEM_MISSING',
  /** A chunk reaches out of the shape of its tensor. */
  DCP_CHUNK_OUT_OF_BOUNDS: 'DCP_CHUNK_OUT_OF_BOUNDS',
  /** Two chunks of a tensor have elements in common. */
  DCP_CHUNKS_OVERLAP: 'DCP_CHUNKS_OVERLAP',
  /** The chunks of a tensor do not cover it. */
  DCP_CHUNKS_INCOMPLETE: 'DCP_CHUNKS_INCOMPLETE',
  /** The chunks of a tensor are cut in a way that cannot be checked with bounded work. */
  DCP_CHUNKS_IRREGULAR: 'DCP_CHUNKS_IRREGULAR',
  /** What an entry's bytes hold differs in type or shape from what the metadata say. */
  DCP_CHUNK_MISMATCH: 'DCP_CHUNK_MISMATCH',
  /** Parts of one tensor disagree about its type or shape. */
  DCP_PARTS_DISAGREE: 'DCP_PARTS_DISAGREE',
  /** No tensor or object of that name is in the checkpoint. */
  DCP_ENTRY_NOT_FOUND: 'DCP_ENTRY_NOT_FOUND',
} as const;

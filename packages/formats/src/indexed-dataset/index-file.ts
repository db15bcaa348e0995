/** Reads and checks a `.idx` file: nothing is allocated before the counts agree with the size of the file. */
import { TuneyardError } from '@tuneyard/core';
import { INDEXED_DATASET_ERRORS } from '../errors.js';
import type { RandomAccessFile } from '../io/random-access-file.js';
import { findDisorder, findNegative, int64ToFloat64, scanOffsets } from './kernels/index-arrays.js';
import {
  BOUNDARY_BYTES,
  dtypeOfCode,
  HEADER,
  INDEXED_DTYPES,
  type IndexedDtype,
  MAGIC,
  SEQUENCE_INDEX_BYTES,
  VERSION,
} from './layout.js';
import { MAX_SEQUENCES } from './limits.js';

/** An index, checked. */
export interface DatasetIndex {
  readonly dtype: IndexedDtype;
  /** Values of each sequence. */
  readonly lengths: Int32Array;
  /** Offset of each sequence in `.bin`, in bytes. */
  readonly offsets: Float64Array;
  /** Document d is the sequences `boundaries[d]` to `boundaries[d + 1] - 1`. */
  readonly boundaries: Float64Array;
  /** One per sequence in multimodal data sets, else null. */
  readonly modes: Int8Array | null;
  /** Values of all sequences. */
  readonly values: number;
  /** Bytes of `.bin` that belong to no sequence; 0 unless the caller allowed them. */
  readonly unusedBytes: number;
}

/** Sizes that a header declares, already held against the size of the file. */
interface Counts {
  readonly dtype: IndexedDtype;
  readonly sequences: number;
  readonly boundaries: number;
  readonly hasModes: boolean;
}

/**
 * Reads the index of a data set.
 *
 * Throws: `INDEXED_DATASET_…`, `FILE_…`. Cost: the size of the file.
 */
export async function readIndex(
  file: RandomAccessFile,
  bin: { readonly path: string; readonly size: number },
  options: { readonly allowUnusedBytes: boolean },
): Promise<DatasetIndex> {
  const { dtype, sequences, boundaries: boundaryCount, hasModes } = await readHeader(file);
  let at: number = HEADER.bytes;
  const take = async (bytes: number): Promise<Uint8Array> => {
    const taken = await file.readFresh(bytes, at);
    at += bytes;
    return taken;
  };
  const lengthBytes = await take(4 * sequences);
  const lengths = new Int32Array(lengthBytes.buffer, lengthBytes.byteOffset, sequences);
  checkLengths(lengths, file.path);
  const offsets = toDoubles(await take(8 * sequences), {
    path: file.path,
    what: 'offset of sequence',
  });
  const { values, end } = checkOffsets({ dtype, lengths, offsets }, bin, options);
  const boundaries = toDoubles(await take(8 * boundaryCount), {
    path: file.path,
    what: 'document boundary',
  });
  checkBoundaries(boundaries, sequences, file.path);
  const modeBytes = hasModes ? await take(sequences) : null;
  const modes = modeBytes && new Int8Array(modeBytes.buffer, modeBytes.byteOffset, sequences);
  const unusedBytes = bin.size - values * INDEXED_DTYPES[dtype].bytes;
  if (end < bin.size && !options.allowUnusedBytes) throw trailingData(bin, end);
  return { dtype, lengths, offsets, boundaries, modes, values, unusedBytes };
}

async function readHeader(file: RandomAccessFile): Promise<Counts> {
  const { path, size } = file;
  if (size < HEADER.bytes) {
    throw indexError('INDEXED_DATASET_TOO_SMALL', path, {
      offset: 0,
      what: `the file has ${size} bytes; an index has at least ${HEADER.bytes}`,
      hint: 'The file was cut or its copy did not finish; copy it again.',
    });
  }
  const header = await file.readFresh(HEADER.bytes, 0);
  const view = new DataView(header.buffer, header.byteOffset, header.length);
  if (MAGIC.some((byte, i) => header[i] !== byte)) {
    throw indexError('INDEXED_DATASET_BAD_MAGIC', path, {
      offset: 0,
      what: 'the file does not start with MMIDIDX and two zero bytes',
      hint: 'Only the mmap form of Megatron data sets is read; older forms must be prepared again.',
    });
  }
  checkVersion(view, path);
  const code = view.getUint8(HEADER.dtypeCode);
  const dtype = dtypeOfCode(code);
  if (dtype === null) {
    throw indexError('INDEXED_DATASET_UNKNOWN_DTYPE', path, {
      offset: HEADER.dtypeCode,
      what: `element type ${code} is none; known are 1 to 8`,
    });
  }
  return { dtype, ...readCounts(view, file) };
}

function checkVersion(view: DataView, path: string): void {
  const version = view.getBigUint64(HEADER.version, true);
  if (version === VERSION) return;
  const isSwapped = view.getBigUint64(HEADER.version, false) === VERSION;
  throw indexError('INDEXED_DATASET_BAD_VERSION', path, {
    offset: HEADER.version,
    what: isSwapped ? 'the file is big-endian' : `version ${version}; the one that is known is 1`,
  });
}

/** Counts stay bigint until they are known to fit the file. */
function readCounts(
  view: DataView,
  { path, size }: { readonly path: string; readonly size: number },
): Omit<Counts, 'dtype'> {
  const sequences = view.getBigUint64(HEADER.sequenceCount, true);
  const boundaries = view.getBigUint64(HEADER.documentIndexLength, true);
  if (sequences > BigInt(MAX_SEQUENCES)) {
    throw indexError('INDEXED_DATASET_COUNT_TOO_LARGE', path, {
      offset: HEADER.sequenceCount,
      what: `${sequences} sequences; the limit is ${MAX_SEQUENCES}`,
    });
  }
  if (boundaries === 0n) {
    throw indexError('INDEXED_DATASET_BAD_DOCUMENTS', path, {
      offset: HEADER.documentIndexLength,
      what: 'the document index is empty; it has at least its first boundary, 0',
    });
  }
  const bytes =
    BigInt(HEADER.bytes) +
    sequences * BigInt(SEQUENCE_INDEX_BYTES) +
    boundaries * BigInt(BOUNDARY_BYTES);
  const found = BigInt(size);
  const counts = `${sequences} sequences and ${boundaries} document boundaries`;
  if (bytes > found) {
    throw indexError('INDEXED_DATASET_INDEX_TRUNCATED', path, {
      offset: HEADER.sequenceCount,
      what: `${counts} take ${bytes} bytes; the file has ${size}`,
      hint: 'The file was cut or its copy did not finish; copy it again.',
    });
  }
  if (bytes !== found && bytes + sequences !== found) {
    throw indexError('INDEXED_DATASET_INDEX_TRAILING_BYTES', path, {
      offset: Number(bytes),
      what: `${counts} take ${bytes} bytes (${bytes + sequences} with modes); the file has ${size}`,
    });
  }
  return {
    sequences: Number(sequences),
    boundaries: Number(boundaries),
    hasModes: bytes !== found,
  };
}

function checkLengths(lengths: Int32Array, path: string): void {
  const at = findNegative(lengths);
  if (at < 0) return;
  throw indexError('INDEXED_DATASET_BAD_LENGTH', path, {
    offset: HEADER.bytes + 4 * at,
    what: `sequence ${at} has the length ${lengths[at]}`,
  });
}

function toDoubles(bytes: Uint8Array, where: { path: string; what: string }): Float64Array {
  const bad = int64ToFloat64(bytes);
  if (bad >= 0) {
    throw indexError('INDEXED_DATASET_OFFSET_OUT_OF_RANGE', where.path, {
      what: `${where.what} ${bad} is negative or above 2^53`,
    });
  }
  return new Float64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
}

function checkOffsets(
  index: Pick<DatasetIndex, 'dtype' | 'lengths' | 'offsets'>,
  bin: { readonly path: string; readonly size: number },
  options: { readonly allowUnusedBytes: boolean },
): { values: number; end: number } {
  const { lengths, offsets } = index;
  const valueBytes = INDEXED_DTYPES[index.dtype].bytes;
  const scan = scanOffsets(lengths, offsets, { valueBytes, limit: bin.size });
  const placeOf = (at: number) => `sequence ${at} of ${lengths[at]} values at byte ${offsets[at]}`;
  const fail = (code: IndexErrorCode, at: number, what: string, hint?: string): never => {
    const offset = offsets[at] ?? 0;
    throw indexError(code, bin.path, {
      offset,
      what: `${placeOf(at)} ${what}`,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  if (scan.overlapAt >= 0) {
    fail('INDEXED_DATASET_OFFSETS_OVERLAP', scan.overlapAt, `begins before byte ${scan.end}`);
  }
  if (scan.outsideAt >= 0) {
    const hint = 'The .bin file was cut, or it belongs to another .idx file.';
    const what = `ends at byte ${scan.end}; the file has ${bin.size}`;
    fail('INDEXED_DATASET_DATA_TRUNCATED', scan.outsideAt, what, hint);
  }
  if (scan.holeAt >= 0 && !options.allowUnusedBytes) {
    const what = 'does not begin where the one before it ends';
    fail('INDEXED_DATASET_OFFSETS_HOLE', scan.holeAt, what);
  }
  return scan;
}

function checkBoundaries(boundaries: Float64Array, sequences: number, path: string): void {
  const tableStart = HEADER.bytes + SEQUENCE_INDEX_BYTES * sequences;
  const bad = findDisorder(boundaries, sequences);
  const first = boundaries[0];
  const last = boundaries[boundaries.length - 1];
  const fail = (at: number, what: string): never => {
    throw indexError('INDEXED_DATASET_BAD_DOCUMENTS', path, { offset: tableStart + 8 * at, what });
  };
  if (first !== 0) fail(0, `the document index starts with ${first}, not with 0`);
  if (bad >= 0) {
    const before = boundaries[bad - 1];
    fail(bad, `document boundary ${bad} is ${boundaries[bad]} after ${before}, of ${sequences}`);
  }
  if (last !== sequences) {
    fail(boundaries.length - 1, `the document index ends with ${last}, not with ${sequences}`);
  }
}

function trailingData(bin: { readonly path: string; readonly size: number }, end: number) {
  return indexError('INDEXED_DATASET_TRAILING_BYTES', bin.path, {
    offset: end,
    what: `the sequences end at byte ${end}; the file has ${bin.size}`,
    hint: 'The .bin file belongs to another .idx file, or its writer did not finish.',
  });
}

type IndexErrorCode = keyof typeof INDEXED_DATASET_ERRORS;

/** Makes an error that names file and offset. */
export function indexError(
  code: IndexErrorCode,
  path: string,
  about: { readonly what: string; readonly offset?: number; readonly hint?: string },
): TuneyardError {
  const where = about.offset === undefined ? path : `${path}, byte ${about.offset}`;
  return new TuneyardError(INDEXED_DATASET_ERRORS[code], `${where}: ${about.what}`, {
    details: { path, offset: about.offset ?? null },
    ...(about.hint === undefined ? {} : { hint: about.hint }),
  });
}

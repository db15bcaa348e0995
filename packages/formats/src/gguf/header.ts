/**
 * Reads and checks the header of a GGUF file: metadata and tensor infos. Tensor data are not touched.
 */
import { type GgmlTypeName, ggmlTypeFromCode, TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import { ForwardReader } from '../io/forward-reader.js';
import { quoteName } from '../io/quote-name.js';
import type { RandomAccessFile } from '../io/random-access-file.js';
import { checkDataLayout, type TensorInfo } from './data-layout.js';
import {
  ALIGNMENT_KEY,
  checkAlignment,
  DEFAULT_ALIGNMENT,
  KEY_BYTES_MIN,
  MAGIC,
  PREFIX_BYTES,
  READABLE_VERSIONS,
  TENSOR_INFO_BYTES_MIN,
  type TensorSpec,
  tensorByteLength,
} from './layout.js';
import {
  MAX_ALIGNMENT,
  MAX_DIMENSIONS,
  MAX_KEY_BYTES,
  MAX_KEYS,
  MAX_TENSOR_NAME_BYTES,
  MAX_TENSORS,
} from './limits.js';
import { readText, readValue } from './read-value.js';
import type { GgufValue } from './value.js';

/** A tensor with its byte range in the file. */
export interface GgufTensor extends TensorSpec {
  /** Offset of the first byte from the start of the file. */
  readonly begin: number;
  readonly byteLength: number;
}

/** A checked header. */
export interface GgufHeader {
  readonly version: number;
  readonly alignment: number;
  /** In the order of the file. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** In the order of the file. */
  readonly tensors: readonly GgufTensor[];
}

/**
 * Reads the header of an open file.
 *
 * Throws: `GGUF_…`, see errors.ts. Cost: one pass over the header in chunks of up to 4 MiB.
 */
export async function readGgufHeader(file: RandomAccessFile): Promise<GgufHeader> {
  const { path } = file;
  const reader = new ForwardReader(
    file,
    (wanted, offset) =>
      new TuneyardError(
        GGUF_ERRORS.GGUF_HEADER_TRUNCATED,
        `${path} ends inside its header: wanted ${wanted} bytes at offset ${offset}, the file has ${file.size}`,
        {
          details: { path, wanted, offset, size: file.size },
          hint: 'The file was cut or its download did not finish; get it again.',
        },
      ),
  );
  const { version, tensorCount, keyCount } = await readPrefix(reader, path);
  const metadata = await readMetadata(reader, keyCount, path);
  const alignment = alignmentOf(metadata, path);
  const infos = await readTensorInfos(reader, tensorCount, path);
  const dataStart = checkDataLayout(infos, {
    headerBytes: reader.offset,
    alignment,
    fileBytes: file.size,
    path,
  });
  const tensors = infos.map(({ name, type, shape, offset, byteLength }) => {
    return { name, type, shape, begin: dataStart + offset, byteLength };
  });
  return { version, alignment, metadata, tensors };
}

/** Alignment that the metadata name, or the default. Throws: `GGUF_BAD_ALIGNMENT`. */
export function alignmentOf(metadata: ReadonlyMap<string, GgufValue>, where: string): number {
  const value = metadata.get(ALIGNMENT_KEY);
  if (value === undefined) return DEFAULT_ALIGNMENT;
  if (value.type !== 'u32') {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_BAD_ALIGNMENT,
      `${where}: ${ALIGNMENT_KEY} must have type u32, found ${value.type}`,
    );
  }
  return checkAlignment(value.value, MAX_ALIGNMENT, where);
}

async function readPrefix(
  reader: ForwardReader,
  path: string,
): Promise<{ version: number; tensorCount: number; keyCount: number }> {
  await reader.fill(4);
  const magic = reader.takeU32();
  if (magic !== MAGIC) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_BAD_MAGIC,
      `${path} does not start with GGUF; its first bytes are 0x${hex(magic)} as a little-endian number`,
      { details: { path }, hint: 'Check that this is a GGUF file and not one of another format.' },
    );
  }
  await reader.fill(PREFIX_BYTES - 4);
  const version = reader.takeU32();
  checkVersion(version, path);
  const tensorCount = reader.takeU64();
  const keyCount = reader.takeU64();
  checkCount('tensors', tensorCount, MAX_TENSORS, path);
  checkCount('metadata keys', keyCount, MAX_KEYS, path);
  const bytesMin = tensorCount * TENSOR_INFO_BYTES_MIN + keyCount * KEY_BYTES_MIN;
  if (bytesMin > reader.remaining) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_COUNT_TOO_LARGE,
      `${path} declares ${tensorCount} tensors and ${keyCount} keys, at least ${bytesMin} bytes, ` +
        `but has ${reader.remaining} after its first fields`,
      { details: { path, tensorCount, keyCount } },
    );
  }
  return { version, tensorCount, keyCount };
}

function checkVersion(version: number, path: string): void {
  if (READABLE_VERSIONS.includes(version)) return;
  if (version !== 0 && version % 0x10000 === 0) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_WRONG_BYTE_ORDER,
      `${path} has version 0x${hex(version)}: it was written big-endian, and only little-endian files are read`,
      { details: { path, version } },
    );
  }
  throw new TuneyardError(
    GGUF_ERRORS.GGUF_BAD_VERSION,
    `${path} has GGUF version ${version}; versions ${READABLE_VERSIONS.join(' and ')} can be read`,
    { details: { path, version }, hint: 'Convert the model again with a current converter.' },
  );
}

async function readMetadata(
  reader: ForwardReader,
  count: number,
  path: string,
): Promise<Map<string, GgufValue>> {
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < count; i++) {
    const at = `${path}: key ${i + 1} of ${count}`;
    const key = await readText(reader, { where: at, maxBytes: MAX_KEY_BYTES });
    if (key === '') throw new TuneyardError(GGUF_ERRORS.GGUF_BAD_KEY, `${at} is empty`);
    if (metadata.has(key)) {
      throw new TuneyardError(
        GGUF_ERRORS.GGUF_DUPLICATE_KEY,
        `${path}: the metadata key ${quoteName(key)} appears twice`,
        { details: { path, key } },
      );
    }
    metadata.set(key, await readValue(reader, `${path}: metadata key ${quoteName(key)}`));
  }
  return metadata;
}

async function readTensorInfos(
  reader: ForwardReader,
  count: number,
  path: string,
): Promise<TensorInfo[]> {
  const infos: TensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const at = `${path}: tensor ${i + 1} of ${count}`;
    const name = await readText(reader, { where: at, maxBytes: MAX_TENSOR_NAME_BYTES });
    if (names.has(name)) {
      throw new TuneyardError(
        GGUF_ERRORS.GGUF_DUPLICATE_TENSOR,
        `${path}: the tensor name ${quoteName(name)} appears twice`,
        { details: { path, tensor: name } },
      );
    }
    names.add(name);
    infos.push(await readTensorInfo(reader, name, path));
  }
  return infos;
}

async function readTensorInfo(
  reader: ForwardReader,
  name: string,
  path: string,
): Promise<TensorInfo> {
  await reader.fill(4);
  const dimensions = reader.takeU32();
  if (dimensions > MAX_DIMENSIONS) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_BAD_DIMENSIONS,
      `${path}: tensor ${quoteName(name)} has ${dimensions} dimensions; the limit is ${MAX_DIMENSIONS}`,
      { details: { path, tensor: name, dimensions } },
    );
  }
  await reader.fill(dimensions * 8 + 12);
  const shape = Array.from({ length: dimensions }, () => reader.takeU64());
  const type = typeOf(reader.takeU32(), name, path);
  const offset = reader.takeU64();
  const byteLength = tensorByteLength({ name, type, shape }, path);
  return { name, type, shape, offset, byteLength };
}

function typeOf(code: number, name: string, path: string): GgmlTypeName {
  const type = ggmlTypeFromCode(code);
  if (type !== undefined) return type;
  throw new TuneyardError(
    GGUF_ERRORS.GGUF_UNKNOWN_TENSOR_TYPE,
    `${path}: tensor ${quoteName(name)} has the unknown element type ${code}`,
    { details: { path, tensor: name, code } },
  );
}

function checkCount(what: string, count: number, max: number, path: string): void {
  if (count <= max) return;
  throw new TuneyardError(
    GGUF_ERRORS.GGUF_COUNT_TOO_LARGE,
    `${path} declares ${count} ${what}; the limit is ${max}`,
    { details: { path, count, max } },
  );
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}

/**
 * Reads what `.metadata` says: a pickle of `torch.distributed.checkpoint.metadata.Metadata`, taken as plain data.
 *
 * The classes are known by name and by the attributes that their pickles carry; none of them is made. Attributes that
 * a reader does not need (the planner's own, plans that Megatron keeps for its next save) are passed over.
 * Source: torch/distributed/checkpoint/{metadata,filesystem}.py of torch 2.13; the forms of 2.0 to 2.12 are the same.
 */
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { RandomAccessFile } from '../io/random-access-file.js';
import { MAX_PICKLE_BYTES } from '../torch-pt/limits.js';
import { parsePickle } from '../torch-pt/pickle/pickle-reader.js';
import type { TorchValue } from '../torch-pt/value.js';
import { MAX_CHUNKS, MAX_DIMENSIONS } from './limits.js';

/** A box of a tensor, by element offsets and sizes. */
export interface Box {
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
}

/** A tensor as the metadata describe it. */
export interface TensorMetadata {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly chunks: readonly Box[];
}

/** Where an item lies, as the metadata say. */
export interface StorageInfo {
  readonly relativePath: string;
  readonly offset: number;
  readonly byteLength: number;
  /** Descriptors of transformations (compression) of the bytes. */
  readonly transforms: readonly string[];
}

/** The metadata of a checkpoint, or of one rank. */
export interface DcpMetadata {
  readonly tensors: readonly TensorMetadata[];
  readonly objectNames: readonly string[];
  /** By {@link storageKey}. */
  readonly storage: ReadonlyMap<string, StorageInfo>;
}

/** Key of the item that holds a chunk, or an object when `offsets` is null. */
export function storageKey(name: string, offsets: readonly number[] | null): string {
  return offsets === null ? name : `${name}\u0000${offsets.join(',')}`;
}

/**
 * Reads one metadata file.
 *
 * Throws: `DCP_BAD_METADATA`, `TORCH_PICKLE_…`, `FILE_…`. Cost: the file in memory.
 */
export async function readMetadata(path: string): Promise<DcpMetadata> {
  const file = await RandomAccessFile.open(path);
  try {
    if (file.size > MAX_PICKLE_BYTES) {
      throw badMetadata(path, `it has ${file.size} bytes, above the limit of ${MAX_PICKLE_BYTES}`);
    }
    const bytes = await file.readFresh(file.size, 0);
    const { value, end } = parsePickle(bytes, { where: path });
    if (end !== bytes.length)
      throw badMetadata(path, `${bytes.length - end} bytes follow its pickle`);
    return parseMetadata(value, path);
  } finally {
    await file.close();
  }
}

/** Takes the unpickled object apart. Throws: `DCP_BAD_METADATA`. */
export function parseMetadata(value: TorchValue, where: string): DcpMetadata {
  const fields = attributes(value, 'Metadata', where);
  const tensors: TensorMetadata[] = [];
  const objectNames: string[] = [];
  let chunks = 0;
  for (const [key, item] of dictEntries(fields, 'state_dict_metadata', where)) {
    if (typeof key !== 'string')
      throw badMetadata(where, 'a key of state_dict_metadata is no string');
    if (classOf(item) === 'BytesStorageMetadata') {
      objectNames.push(key);
      continue;
    }
    const tensor = parseTensor(key, item, where);
    chunks += tensor.chunks.length;
    if (chunks > MAX_CHUNKS) throw badMetadata(where, `it lists more than ${MAX_CHUNKS} chunks`);
    tensors.push(tensor);
  }
  return { tensors, objectNames, storage: parseStorage(fields, where) };
}

function parseTensor(name: string, value: TorchValue, where: string): TensorMetadata {
  const at = `${where}: tensor ${quoteName(name)}`;
  const fields = attributes(value, 'TensorStorageMetadata', at);
  const shape = dimensions(fields.get('size'), 'size', at);
  const list = fields.get('chunks');
  if (list === undefined || !isNode(list) || list.kind !== 'list') {
    throw badMetadata(at, 'it lacks its list of chunks');
  }
  const chunks = list.items.map((item): Box => {
    const chunk = attributes(item, 'ChunkStorageMetadata', at);
    const offsets = dimensions(chunk.get('offsets'), 'offsets', at);
    const sizes = dimensions(chunk.get('sizes'), 'sizes', at);
    if (offsets.length !== shape.length || sizes.length !== shape.length) {
      throw badMetadata(at, `a chunk has not the ${shape.length} dimensions of the tensor`);
    }
    return { offsets, sizes };
  });
  return { name, dtype: dtypeOf(fields.get('properties'), at), shape, chunks };
}

/** `TensorProperties` keep their attributes as a tuple, the element type first. */
function dtypeOf(value: TorchValue | undefined, at: string): string {
  if (
    value !== undefined &&
    isNode(value) &&
    value.kind === 'object' &&
    classOf(value) === 'TensorProperties'
  ) {
    const state = value.state;
    const first =
      state !== undefined && isNode(state) && state.kind === 'tuple'
        ? state.items[0]
        : stateEntry(state, 'dtype');
    if (
      first !== undefined &&
      isNode(first) &&
      first.kind === 'global' &&
      first.module === 'torch'
    ) {
      return first.name;
    }
  }
  throw badMetadata(at, 'its properties do not name an element type');
}

function parseStorage(
  fields: ReadonlyMap<string, TorchValue>,
  where: string,
): ReadonlyMap<string, StorageInfo> {
  const storage = new Map<string, StorageInfo>();
  for (const [key, value] of dictEntries(fields, 'storage_data', where)) {
    const index = attributes(key, 'MetadataIndex', where);
    const name = index.get('fqn');
    if (typeof name !== 'string') throw badMetadata(where, 'a key of storage_data names no entry');
    const at = `${where}: entry ${quoteName(name)}`;
    const offset = index.get('offset') ?? null;
    const offsets = offset === null ? null : dimensions(offset, 'offset', at);
    const identity = storageKey(name, offsets);
    if (storage.has(identity)) throw badMetadata(at, 'it is stored twice');
    storage.set(identity, parseInfo(value, at));
  }
  return storage;
}

function parseInfo(value: TorchValue, at: string): StorageInfo {
  const info = attributes(value, '_StorageInfo', at);
  const relativePath = info.get('relative_path');
  if (typeof relativePath !== 'string') throw badMetadata(at, 'its relative_path is no string');
  return {
    relativePath,
    offset: count(info.get('offset'), 'offset', at),
    byteLength: count(info.get('length'), 'length', at),
    transforms: transformsOf(info.get('transform_descriptors'), at),
  };
}

function transformsOf(value: TorchValue | undefined, at: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (isNode(value) && (value.kind === 'list' || value.kind === 'tuple')) {
    return value.items.map((item) => (typeof item === 'string' ? item : '?'));
  }
  throw badMetadata(at, 'its transform_descriptors are no list');
}

/** A `torch.Size`, or a plain tuple or list of counts. */
function dimensions(value: TorchValue | undefined, field: string, at: string): readonly number[] {
  let list = value;
  if (list !== undefined && isNode(list) && list.kind === 'object' && classOf(list) === 'Size') {
    const args: TorchValue = list.args;
    list = isNode(args) && args.kind === 'tuple' ? args.items[0] : undefined;
  }
  if (list === undefined || !isNode(list) || (list.kind !== 'tuple' && list.kind !== 'list')) {
    throw badMetadata(at, `its ${field} is no torch.Size`);
  }
  if (list.items.length > MAX_DIMENSIONS) {
    throw badMetadata(at, `its ${field} has ${list.items.length} dimensions`);
  }
  return list.items.map((item) => count(item, field, at));
}

function count(value: TorchValue | undefined, field: string, at: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  const found = typeof value === 'number' || typeof value === 'bigint' ? `${value}` : 'no number';
  throw badMetadata(at, `its ${field} must be a count, found ${found}`);
}

/** Attributes of an object of a class that the checkpoint package of torch defines. */
function attributes(
  value: TorchValue,
  className: string,
  where: string,
): ReadonlyMap<string, TorchValue> {
  const found = classOf(value);
  if (found !== className) {
    throw badMetadata(
      where,
      `a ${className} is expected, found ${quoteName(found ?? kindOf(value))}`,
    );
  }
  const state = isNode(value) && value.kind === 'object' ? value.state : undefined;
  // A class without attributes of its own has no state.
  if (state === undefined || state === null) return new Map();
  if (!isNode(state) || state.kind !== 'dict') {
    throw badMetadata(where, `a ${className} has no attributes`);
  }
  const fields = new Map<string, TorchValue>();
  for (const [key, item] of state.entries) if (typeof key === 'string') fields.set(key, item);
  return fields;
}

function dictEntries(
  fields: ReadonlyMap<string, TorchValue>,
  name: string,
  where: string,
): readonly (readonly [TorchValue, TorchValue])[] {
  const dict = fields.get(name);
  if (dict !== undefined && isNode(dict) && dict.kind === 'dict') return dict.entries;
  throw badMetadata(where, `it lacks the dictionary ${name}`);
}

function stateEntry(state: TorchValue | undefined, name: string): TorchValue | undefined {
  if (state === undefined || !isNode(state) || state.kind !== 'dict') return undefined;
  return state.entries.find(([key]) => key === name)?.[1];
}

/** Name of the class of an object, when it is one of torch's. */
function classOf(value: TorchValue): string | null {
  if (!isNode(value) || value.kind !== 'object') return null;
  const { callable } = value;
  if (!isNode(callable) || callable.kind !== 'global') return null;
  const isTorch = callable.module === 'torch' || callable.module.startsWith('torch.distributed.');
  return isTorch ? callable.name : `${callable.module}.${callable.name}`;
}

function kindOf(value: TorchValue): string {
  return isNode(value) ? value.kind : value === null ? 'None' : typeof value;
}

function isNode(value: TorchValue): value is Extract<TorchValue, object> {
  return typeof value === 'object' && value !== null;
}

function badMetadata(where: string, reason: string): TuneyardError {
  return new TuneyardError(
    DCP_ERRORS.DCP_BAD_METADATA,
    `${where}: the metadata of the checkpoint cannot be used: ${reason}`,
    { hint: 'The file was cut, or another program wrote it.' },
  );
}

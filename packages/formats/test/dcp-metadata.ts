/** Builds `.metadata` files from plain facts, also such that no writer would make. */
import {
  type TorchObject,
  type TorchValue,
  torchDict,
  torchDtype,
  torchList,
  torchTuple,
} from '../src/index.js';
import { formatPickle } from '../src/torch-pt/pickle/pickle-writer.js';

/** Where a chunk or an object is said to lie. */
export interface PlainPlace {
  readonly path: TorchValue;
  readonly offset: TorchValue;
  readonly length: TorchValue;
  readonly transforms?: readonly string[];
}

export interface PlainChunk extends PlainPlace {
  readonly offsets: readonly TorchValue[];
  readonly sizes: readonly TorchValue[];
  /** Offsets under which it is stored, when they are others. */
  readonly storedAs?: readonly number[];
}

export interface PlainTensor {
  readonly name: string;
  readonly dtype: TorchValue;
  readonly shape: readonly TorchValue[];
  readonly chunks: readonly PlainChunk[];
}

export interface PlainMetadata {
  readonly tensors: readonly PlainTensor[];
  readonly objects?: readonly (PlainPlace & { readonly name: string })[];
}

const METADATA = 'torch.distributed.checkpoint.metadata';

function objectOf(
  module: string,
  name: string,
  attributes: readonly (readonly [string, TorchValue])[],
): TorchObject {
  return {
    kind: 'object',
    construction: 'newobj',
    callable: { kind: 'global', module, name },
    args: torchTuple([]),
    state: torchDict([...attributes]),
  };
}

export const sizeOf = (items: readonly TorchValue[]): TorchObject => ({
  kind: 'object',
  construction: 'reduce',
  callable: { kind: 'global', module: 'torch', name: 'Size' },
  args: torchTuple([torchTuple(items)]),
});

function properties(dtype: TorchValue): TorchObject {
  return {
    kind: 'object',
    construction: 'newobj',
    callable: { kind: 'global', module: METADATA, name: 'TensorProperties' },
    args: torchTuple([]),
    state: torchTuple([dtype, null, false, null, false]),
  };
}

/** The value of the pickle. */
export function metadataValue({ tensors, objects = [] }: PlainMetadata): TorchValue {
  const storage: [TorchValue, TorchValue][] = [];
  const place = (name: string, offset: TorchValue, at: PlainPlace): void => {
    const transforms = at.transforms;
    storage.push([
      objectOf(METADATA, 'MetadataIndex', [
        ['fqn', name],
        ['index', null],
        ['offset', offset],
      ]),
      objectOf('torch.distributed.checkpoint.filesystem', '_StorageInfo', [
        ['relative_path', at.path],
        ['offset', at.offset],
        ['length', at.length],
        ...(transforms === undefined
          ? []
          : ([['transform_descriptors', torchList([...transforms])]] as const)),
      ]),
    ]);
  };
  const entries: [TorchValue, TorchValue][] = [];
  for (const { name, dtype, shape, chunks } of tensors) {
    for (const chunk of chunks) place(name, sizeOf(chunk.storedAs ?? chunk.offsets), chunk);
    const boxes = chunks.map(({ offsets, sizes }) =>
      objectOf(METADATA, 'ChunkStorageMetadata', [
        ['offsets', sizeOf(offsets)],
        ['sizes', sizeOf(sizes)],
      ]),
    );
    entries.push([
      name,
      objectOf(METADATA, 'TensorStorageMetadata', [
        ['properties', properties(typeof dtype === 'string' ? torchDtype(dtype) : dtype)],
        ['size', sizeOf(shape)],
        ['chunks', torchList(boxes)],
      ]),
    ]);
  }
  for (const object of objects) {
    place(object.name, null, object);
    entries.push([object.name, objectOf(METADATA, 'BytesStorageMetadata', [])]);
  }
  return objectOf(METADATA, 'Metadata', [
    ['state_dict_metadata', torchDict(entries)],
    ['planner_data', null],
    ['storage_data', torchDict(storage)],
  ]);
}

/** The bytes of a `.metadata` file. */
export function metadataBytes(metadata: PlainMetadata): Uint8Array {
  return formatPickle(metadataValue(metadata), 4).bytes;
}

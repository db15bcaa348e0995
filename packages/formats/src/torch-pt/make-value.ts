/** Makes the values that a torch archive of weights needs, with the parts that torch expects filled in. */
import { assert, defined } from '@tuneyard/core';
import { TORCH_DTYPES, UNTYPED_STORAGE } from './dtypes.js';
import type {
  TorchDict,
  TorchEntry,
  TorchFloat,
  TorchGlobal,
  TorchList,
  TorchNamespace,
  TorchTensorValue,
  TorchTuple,
  TorchValue,
} from './value.js';

/** A float, which stays one when its value is whole. */
export function torchFloat(value: number): TorchFloat {
  return { kind: 'float', value };
}

/** A list. */
export function torchList(items: readonly TorchValue[]): TorchList {
  return { kind: 'list', items: [...items] };
}

/** A tuple. */
export function torchTuple(items: readonly TorchValue[]): TorchTuple {
  return { kind: 'tuple', items };
}

/** A dictionary; entries keep their order. */
export function torchDict(
  entries: Iterable<TorchEntry>,
  type: 'dict' | 'OrderedDict' = 'dict',
): TorchDict {
  return { kind: 'dict', type, entries: [...entries] };
}

/** An `argparse.Namespace`; attributes keep their order. */
export function torchNamespace(
  attributes: Iterable<readonly [string, TorchValue]>,
): TorchNamespace {
  return { kind: 'namespace', type: 'argparse.Namespace', attributes: torchDict(attributes) };
}

/** An element type as a value, such as `bfloat16`. */
export function torchDtype(name: string): TorchGlobal {
  assert(TORCH_DTYPES.has(name), `${name} is not an element type of torch`);
  return { kind: 'global', module: 'torch', name };
}

/** A row-major tensor with a storage of its own, on the CPU and without gradient. */
export function torchTensor(options: {
  /** Name as torch spells it, without `torch.`. */
  readonly dtype: string;
  readonly shape: readonly number[];
}): TorchTensorValue {
  const { dtype, shape } = options;
  const facts = defined(TORCH_DTYPES.get(dtype), `The element type ${dtype}`);
  const strides = new Array<number>(shape.length).fill(1);
  let elements = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    // torch counts an empty dimension as one when it makes strides.
    strides[d] = elements;
    elements *= Math.max(1, shape[d] ?? 1);
  }
  const numel = shape.includes(0) ? 0 : elements;
  const isTyped = facts.storage !== null;
  return {
    kind: 'tensor',
    dtype,
    shape,
    strides,
    storageOffset: 0,
    requiresGrad: false,
    hooks: torchDict([], 'OrderedDict'),
    storage: {
      kind: 'storage',
      storageClass: facts.storage ?? UNTYPED_STORAGE,
      module: isTyped ? 'torch' : 'torch.storage',
      key: '',
      location: 'cpu',
      numel: isTyped ? numel : numel * facts.bytes,
      byteLength: numel * facts.bytes,
    },
  };
}

/** The functions of torch that make tensors from storages, as data. */
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { dtypeOfStorage, storageElementBytes, TORCH_DTYPES } from '../dtypes.js';
import { MAX_DIMENSIONS } from '../limits.js';
import type { TorchStorage, TorchTensorValue, TorchValue } from '../value.js';
import type { PickleMachine } from './pickle-reader.js';

const EMPTY_HOOKS = { kind: 'dict', type: 'OrderedDict', entries: [] } as const;

/**
 * `_rebuild_tensor(storage, offset, size, stride)`, `_v2(…, requires_grad, hooks, metadata?)` and
 * `_v3(…, requires_grad, hooks, dtype, metadata?)`. The view must lie within its storage.
 *
 * Throws: `TORCH_PICKLE_BAD_TENSOR`.
 */
export function rebuildTensor(
  machine: PickleMachine,
  args: readonly TorchValue[],
): TorchTensorValue {
  const [storage, storageOffset, size, stride, requiresGrad = false, hooks, sixth, seventh] = args;
  if (!isStorage(storage)) throw bad(machine, 'has no storage');
  if (!isCount(storageOffset)) throw bad(machine, 'has an offset that is no count');
  const shape = countsOf(machine, size, 'shape');
  const strides = countsOf(machine, stride, 'strides');
  if (shape.length !== strides.length) {
    throw bad(machine, `has ${shape.length} dimensions and ${strides.length} strides`);
  }
  if (typeof requiresGrad !== 'boolean')
    throw bad(machine, 'does not say whether it has a gradient');
  // A dtype in seventh place tells version 3 from version 2.
  const named = isDtype(sixth) ? sixth.name : null;
  const dtype = named ?? dtypeOfStorage(storage.storageClass) ?? 'uint8';
  const metadata = named === null ? sixth : seventh;
  const tensor: TorchTensorValue = {
    kind: 'tensor',
    storage,
    dtype,
    storageOffset,
    shape,
    strides,
    requiresGrad,
    hooks: hooks ?? { ...EMPTY_HOOKS, entries: [] },
    ...(metadata === undefined ? {} : { metadata }),
  };
  checkView(machine, tensor);
  return tensor;
}

/** `_rebuild_parameter(data, requires_grad, hooks)`, also with a state; null unless it is around a tensor. */
export function rebuildParameter(_: PickleMachine, args: readonly TorchValue[]): TorchValue | null {
  const [data, requiresGrad, hooks, state] = args;
  if (data === undefined || data === null || typeof data !== 'object') return null;
  if (data.kind !== 'tensor' || typeof requiresGrad !== 'boolean' || hooks === undefined)
    return null;
  return {
    kind: 'parameter',
    data,
    requiresGrad,
    hooks,
    ...(state === undefined ? {} : { state }),
  };
}

/** `_rebuild_from_type_v2(function, type, args, state)`; null unless the function makes a tensor. */
export function rebuildSubclass(
  machine: PickleMachine,
  args: readonly TorchValue[],
): TorchValue | null {
  const [callable, type, inner, state] = args;
  if (callable === null || typeof callable !== 'object' || callable.kind !== 'global') return null;
  if (!callable.name.startsWith('_rebuild_tensor_v') || callable.module !== 'torch._utils')
    return null;
  if (inner === null || typeof inner !== 'object' || inner.kind !== 'tuple') return null;
  if (type === undefined || state === undefined) return null;
  return { ...rebuildTensor(machine, inner.items), subclass: { type, state } };
}

function countsOf(
  machine: PickleMachine,
  value: TorchValue | undefined,
  what: string,
): readonly number[] {
  const items = sequenceOf(value);
  if (items === null || !items.every(isCount)) throw bad(machine, `has ${what} that are no counts`);
  if (items.length > MAX_DIMENSIONS) {
    throw bad(machine, `has ${items.length} dimensions; the limit is ${MAX_DIMENSIONS}`);
  }
  return items;
}

/** Items of a tuple or list, or of a `torch.Size` around one. */
function sequenceOf(value: TorchValue | undefined): readonly TorchValue[] | null {
  if (value === undefined || value === null || typeof value !== 'object') return null;
  if (value.kind === 'tuple' || value.kind === 'list') return value.items;
  if (value.kind !== 'object' || typeof value.callable !== 'object') return null;
  if (value.callable?.kind !== 'global' || value.callable.name !== 'Size') return null;
  const { args } = value;
  if (args === null || typeof args !== 'object' || args.kind !== 'tuple') return null;
  const [inner] = args.items;
  if (inner === undefined || inner === null || typeof inner !== 'object') return null;
  return inner.kind === 'tuple' || inner.kind === 'list' ? inner.items : null;
}

function checkView(machine: PickleMachine, tensor: TorchTensorValue): void {
  const { storage, shape, strides, storageOffset, dtype } = tensor;
  const elementBytes = TORCH_DTYPES.get(dtype)?.bytes;
  if (elementBytes === undefined) throw bad(machine, `has the unknown type ${quoteName(dtype)}`);
  let elements = 1;
  let last = storageOffset;
  for (const [d, length] of shape.entries()) {
    elements *= length;
    if (!Number.isSafeInteger(elements)) throw bad(machine, 'is too large to address');
    last += (length - 1) * (strides[d] ?? 0);
  }
  if (elements === 0) return;
  const storageElements = Math.floor(storage.byteLength / elementBytes);
  if (!Number.isSafeInteger(last) || last >= storageElements) {
    throw bad(
      machine,
      `of shape [${shape.slice(0, 8).join(', ')}] reaches element ${last} of storage ` +
        `${quoteName(storage.key)}, which has ${storageElements}`,
    );
  }
}

function isStorage(value: TorchValue | undefined): value is TorchStorage {
  if (typeof value !== 'object' || value === null || value.kind !== 'storage') return false;
  return storageElementBytes(value.storageClass) !== null;
}

function isCount(value: TorchValue | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isDtype(
  value: TorchValue | undefined,
): value is { kind: 'global'; module: string; name: string } {
  return (
    typeof value === 'object' &&
    value !== null &&
    value.kind === 'global' &&
    value.module === 'torch'
  );
}

function bad(machine: PickleMachine, message: string): Error {
  return machine.cursor.error(TORCH_ERRORS.TORCH_PICKLE_BAD_TENSOR, `a tensor ${message}`);
}

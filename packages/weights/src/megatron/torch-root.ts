/**
 * The object that a converted `model_optim_rng.pt` holds besides the bytes of its tensors: arguments, versions, and the
 * dictionaries of the model with a view of a storage of its own for every tensor.
 */
import type { TorchDict, TorchValue } from '@tuneyard/formats';
import type { ConvertedDtype, TargetTensor } from '../convert/logical-model.js';
import { targetBytes } from '../convert/plan-shards.js';
import { type ArgumentValue, FLOAT_ARGUMENTS, type MegatronArguments } from './arguments.js';
import { KEY_SEPARATOR } from './rank-names.js';

/** The order that QKV rows have had since this version. */
export const CHECKPOINT_VERSION = 3;

const TORCH_DTYPES: {
  readonly [D in ConvertedDtype]: { readonly dtype: string; readonly storageClass: string };
} = {
  F64: { dtype: 'float64', storageClass: 'DoubleStorage' },
  F32: { dtype: 'float32', storageClass: 'FloatStorage' },
  F16: { dtype: 'float16', storageClass: 'HalfStorage' },
  BF16: { dtype: 'bfloat16', storageClass: 'BFloat16Storage' },
  I64: { dtype: 'int64', storageClass: 'LongStorage' },
  I32: { dtype: 'int32', storageClass: 'IntStorage' },
  I16: { dtype: 'int16', storageClass: 'ShortStorage' },
  I8: { dtype: 'int8', storageClass: 'CharStorage' },
  U8: { dtype: 'uint8', storageClass: 'ByteStorage' },
  BOOL: { dtype: 'bool', storageClass: 'BoolStorage' },
  F8_E4M3: { dtype: 'float8_e4m3fn', storageClass: 'UntypedStorage' },
  F8_E5M2: { dtype: 'float8_e5m2', storageClass: 'UntypedStorage' },
};

/** What a root holds besides tensors. */
export interface TorchRootOptions {
  readonly args: MegatronArguments;
  /** `model`, or `model0` …: dictionaries that are there even without tensors. */
  readonly chunkKeys: readonly string[];
  readonly iteration: number;
}

/** The root of a rank's file; tensor names are key paths below it. */
export function torchRoot(
  tensors: readonly TargetTensor[],
  { args, chunkKeys, iteration }: TorchRootOptions,
): TorchDict {
  const root = dict([
    ['args', { kind: 'namespace', type: 'argparse.Namespace', attributes: attributesOf(args) }],
    ['checkpoint_version', { kind: 'float', value: CHECKPOINT_VERSION }],
    ['iteration', iteration],
  ]);
  for (const key of chunkKeys) childDict(root, key);
  for (const [at, tensor] of tensors.entries()) {
    const path = tensor.name.split(KEY_SEPARATOR);
    const last = path.pop() ?? '';
    const parent = path.reduce(childDict, root);
    parent.entries.push([last, tensorValue(tensor, String(at))]);
  }
  return root;
}

function childDict(parent: TorchDict, key: string): TorchDict {
  const found = parent.entries.find(([name]) => name === key)?.[1];
  if (found !== undefined) return found as TorchDict;
  const child = dict([]);
  parent.entries.push([key, child]);
  return child;
}

function tensorValue(tensor: TargetTensor, key: string): TorchValue {
  const { dtype, storageClass } = TORCH_DTYPES[tensor.dtype];
  const byteLength = targetBytes(tensor);
  const elements = tensor.rows * tensor.cols;
  return {
    kind: 'tensor',
    storage: {
      kind: 'storage',
      storageClass,
      module: storageClass === 'UntypedStorage' ? 'torch.storage' : 'torch',
      key,
      location: 'cpu',
      numel: storageClass === 'UntypedStorage' ? byteLength : elements,
      byteLength,
    },
    dtype,
    storageOffset: 0,
    shape: tensor.shape,
    strides: rowMajorStrides(tensor.shape),
    requiresGrad: false,
    hooks: { kind: 'dict', type: 'OrderedDict', entries: [] },
  };
}

function rowMajorStrides(shape: readonly number[]): readonly number[] {
  const strides: number[] = [];
  let step = 1;
  for (const size of [...shape].reverse()) {
    strides.unshift(step);
    step *= Math.max(1, size);
  }
  return strides;
}

function attributesOf(args: MegatronArguments): TorchDict {
  return dict(
    Object.entries(args).map(([name, value]) => [
      name,
      pythonValue(value, FLOAT_ARGUMENTS.has(name)),
    ]),
  );
}

function pythonValue(value: ArgumentValue, isFloat: boolean): TorchValue {
  if (Array.isArray(value)) {
    return { kind: 'list', items: value.map((item) => pythonValue(item, isFloat)) };
  }
  if (typeof value === 'number' && (isFloat || !Number.isInteger(value))) {
    return { kind: 'float', value };
  }
  return value as string | number | boolean | null;
}

function dict(entries: [string, TorchValue][]): TorchDict {
  return { kind: 'dict', type: 'dict', entries };
}

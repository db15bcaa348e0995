/**
 * The object that a converted `model_optim_rng.pt` holds besides the bytes of its tensors: arguments, versions, and the
 * dictionaries of the model.
 */
import {
  type TorchDict,
  type TorchValue,
  torchDict,
  torchFloat,
  torchList,
  torchNamespace,
  torchTensor,
} from '@tuneyard/formats';
import type { ConvertedDtype, TargetTensor } from '../convert/logical-model.js';
import { type ArgumentValue, FLOAT_ARGUMENTS, type MegatronArguments } from './arguments.js';
import { KEY_SEPARATOR } from './rank-names.js';

/** The order that QKV rows have had since this version. */
export const CHECKPOINT_VERSION = 3;

const TORCH_NAMES: { readonly [D in ConvertedDtype]: string } = {
  F64: 'float64',
  F32: 'float32',
  F16: 'float16',
  BF16: 'bfloat16',
  I64: 'int64',
  I32: 'int32',
  I16: 'int16',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
  F8_E4M3: 'float8_e4m3fn',
  F8_E5M2: 'float8_e5m2',
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
  const root = torchDict([
    ['args', torchNamespace(attributesOf(args))],
    ['checkpoint_version', torchFloat(CHECKPOINT_VERSION)],
    ['iteration', iteration],
  ]);
  for (const key of chunkKeys) childDict(root, key);
  for (const { name, dtype, shape } of tensors) {
    const path = name.split(KEY_SEPARATOR);
    const last = path.pop() ?? '';
    const parent = path.reduce(childDict, root);
    parent.entries.push([last, torchTensor({ dtype: TORCH_NAMES[dtype], shape })]);
  }
  return root;
}

function childDict(parent: TorchDict, key: string): TorchDict {
  const found = parent.entries.find(([name]) => name === key)?.[1];
  if (found !== undefined) return found as TorchDict;
  const child = torchDict([]);
  parent.entries.push([key, child]);
  return child;
}

function attributesOf(args: MegatronArguments): readonly [string, TorchValue][] {
  return Object.entries(args).map(([name, value]) => [
    name,
    pythonValue(value, FLOAT_ARGUMENTS.has(name)),
  ]);
}

function pythonValue(value: ArgumentValue, isFloat: boolean): TorchValue {
  if (Array.isArray(value)) return torchList(value.map((item) => pythonValue(item, isFloat)));
  if (typeof value === 'number' && (isFloat || !Number.isInteger(value))) return torchFloat(value);
  return value as string | number | boolean | null;
}

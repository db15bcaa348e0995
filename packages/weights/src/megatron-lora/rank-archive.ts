/** One rank's `model_optim_rng.pt` of a checkpoint with adapters. */
import { basename, dirname, join } from 'node:path';
import {
  TORCH_DTYPES,
  TorchArchiveReader,
  type TorchTensor,
  type TorchValue,
  torchEntries,
  torchGet,
  torchToJson,
} from '@tuneyard/formats';
import { widen } from '../adapter/factor-tensors.js';
import type { ArgumentValue, MegatronArguments } from '../megatron/arguments.js';
import { KEY_SEPARATOR } from '../megatron/rank-names.js';

/** File name within the directory of a rank. */
export const RANK_FILE = 'model_optim_rng.pt';

/** An open file. */
export interface RankArchive {
  readonly path: string;
  /** `mp_rank_00_001`. */
  readonly directory: string;
  readonly root: TorchValue;
  /** Tensors below `model`, `model0`, …, by key path from the root. */
  readonly tensors: ReadonlyMap<string, TorchTensor>;
  readonly args: MegatronArguments;
  readonly reader: TorchArchiveReader;
}

/** Opens a rank's file. Throws: `TORCH_…`, `FILE_…`. */
export async function openRankArchive(rankDirectory: string): Promise<RankArchive> {
  const path = join(rankDirectory, RANK_FILE);
  const reader = await TorchArchiveReader.open(path);
  const tensors = new Map(
    [...reader.tensors].filter(([name]) => isModelKey(name.split(KEY_SEPARATOR)[0] ?? '')),
  );
  return {
    path,
    directory: basename(dirname(path)),
    root: reader.root,
    tensors,
    args: plainArguments(torchGet(reader.root, 'args')),
    reader,
  };
}

/** True for the keys of the model's dictionaries: `model`, or `model0`, `model1` … with virtual stages. */
export function isModelKey(key: unknown): key is string {
  return typeof key === 'string' && /^model\d*$/.test(key);
}

/** Reads a tensor, widened to f32. Throws: `WEIGHTS_ADAPTER_TENSOR` for other types than 16 and 32 bit floats. */
export async function readWide(archive: RankArchive, name: string): Promise<Float32Array> {
  const bytes = await archive.reader.read(name);
  const { dtype = '', shape = [] } = archive.tensors.get(name) ?? {};
  const plain = TORCH_DTYPES.get(dtype)?.safetensors ?? dtype;
  const tensor = { name: name.replaceAll(KEY_SEPARATOR, '/'), shape, dtype: plain };
  return widen(archive.path, tensor, bytes);
}

/** Scalars and lists; what a training keeps besides (enum members, element types) becomes text. */
function plainArguments(namespace: TorchValue | undefined): MegatronArguments {
  const args: Record<string, ArgumentValue> = {};
  for (const [name, value] of torchEntries(namespace ?? null)) {
    if (typeof name !== 'string') continue;
    const json = torchToJson(value);
    if (json === null || typeof json !== 'object' || Array.isArray(json)) {
      args[name] = json as ArgumentValue;
    }
  }
  return args;
}

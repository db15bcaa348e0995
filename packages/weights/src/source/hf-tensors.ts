/** The tensors of a Hugging Face directory, in whichever of the two forms its files have. */
import { readdir } from 'node:fs/promises';
import { SafetensorsReader } from '@tuneyard/formats';
import { notAModel } from './not-a-model.js';
import { hasTorchWeights, openTorchTensors } from './torch-source.js';

/** A tensor as a file holds it. */
export interface HfTensor {
  readonly name: string;
  /** As safetensors spells it; torch's own name for types that safetensors does not have. */
  readonly dtype: string;
  /** Row-major dimensions, outermost first. */
  readonly shape: readonly number[];
  readonly file: string;
  /** Offset in the file of the first element. */
  readonly begin: number;
  /** Bytes of all elements. */
  readonly byteLength: number;
  /**
   * Null when the bytes at `begin` are the elements in row-major order. Otherwise steps in elements, and only
   * {@link HfTensors.read} gives them in that order.
   */
  readonly strides: readonly number[] | null;
}

/** An opened directory. */
export interface HfTensors {
  readonly form: 'safetensors' | 'torch';
  readonly tensors: ReadonlyMap<string, HfTensor>;
  readonly files: readonly string[];
  /** Reads one tensor in row-major order. */
  read(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Opens the weights of a directory: safetensors where there are any, else `pytorch_model*.bin`.
 *
 * A directory with `pytorch_model.bin` whose only safetensors belong to an adapter counts as torch files.
 * Throws: `WEIGHTS_MODEL_NOT_FOUND`, `WEIGHTS_SHARD_…`, `SAFETENSORS_…`, `TORCH_…`, `FILE_…`. Cost: headers.
 */
export async function openHfTensors(directory: string): Promise<HfTensors> {
  const names = await readdir(directory);
  const safetensors = names.filter((name) => /\.safetensors(\.index\.json)?$/.test(name));
  const isTorch = hasTorchWeights(names);
  const isOfModel = safetensors.some((name) => !name.startsWith('adapter_'));
  if (isOfModel || (safetensors.length > 0 && !isTorch)) return await openSafetensors(directory);
  if (isTorch) return await openTorchTensors(directory, names);
  throw notAModel(
    directory,
    'it has no .safetensors files and no pytorch_model.bin',
    'Is the download complete?',
  );
}

async function openSafetensors(directory: string): Promise<HfTensors> {
  const reader = await SafetensorsReader.open(directory);
  return {
    form: 'safetensors',
    tensors: new Map([...reader.tensors].map(([name, t]) => [name, { ...t, strides: null }])),
    files: reader.files,
    read: (name) => reader.read(name),
    close: () => reader.close(),
  };
}

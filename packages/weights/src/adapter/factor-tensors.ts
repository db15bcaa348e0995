/** The tensors of an adapter file, one at a time, with the errors that name them. */
import { type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { SafetensorsReader, TORCH_DTYPES, TorchArchiveReader } from '@tuneyard/formats';
import { plainCodec } from '../codec/tensor-codec.js';
import { WEIGHTS_ERRORS } from '../errors.js';

/** A tensor of an adapter file, not read yet. */
export interface FactorTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: string;
}

/** An adapter file opened for reading. */
export interface FactorFile {
  readonly path: string;
  readonly tensors: readonly FactorTensor[];
  /** Reads a tensor, widened to f32. Throws: `WEIGHTS_ADAPTER_TENSOR` for other types than F32, F16, BF16. */
  read(tensor: FactorTensor): Promise<Float32Array>;
  close(): Promise<void>;
}

const PLAIN_TYPES: Readonly<Record<string, GgmlTypeName>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};

/** Opens `adapter_model.safetensors` or, as data, `adapter_model.bin`. Throws: the codes of the format. */
export async function openFactorFile(path: string): Promise<FactorFile> {
  if (path.endsWith('.bin')) return await openTorchFactors(path);
  const reader = await SafetensorsReader.open(path);
  return {
    path,
    tensors: [...reader.tensors.values()],
    read: async (tensor) => widen(path, tensor, await reader.read(tensor.name)),
    close: async () => await reader.close(),
  };
}

async function openTorchFactors(path: string): Promise<FactorFile> {
  const reader = await TorchArchiveReader.open(path);
  return {
    path,
    tensors: [...reader.tensors.values()].map(({ name, shape, dtype }) => ({
      name,
      shape,
      dtype: TORCH_DTYPES.get(dtype)?.safetensors ?? dtype,
    })),
    read: async (tensor) => widen(path, tensor, await reader.read(tensor.name)),
    close: async () => await reader.close(),
  };
}

/** Widens stored factors to f32. Throws: `WEIGHTS_ADAPTER_TENSOR`. */
export function widen(file: string, tensor: FactorTensor, bytes: Uint8Array): Float32Array {
  const type = PLAIN_TYPES[tensor.dtype];
  if (type === undefined) {
    throw tensorError(
      file,
      tensor.name,
      `is stored as ${tensor.dtype}; F32, F16 and BF16 are read`,
    );
  }
  const elements = tensor.shape.reduce((product, n) => product * n, 1);
  return plainCodec.toF32(type, bytes, elements);
}

/** The two sizes of a factor. Throws: `WEIGHTS_ADAPTER_TENSOR` when it is not a matrix. */
export function matrixShape(file: string, tensor: FactorTensor): readonly [number, number] {
  const [rows, columns] = tensor.shape;
  if (tensor.shape.length !== 2 || !rows || !columns) {
    throw tensorError(
      file,
      tensor.name,
      `has shape [${tensor.shape.join(', ')}]; LoRA factors of linear modules are matrices`,
    );
  }
  return [rows, columns];
}

/** The error about one tensor of an adapter file. */
export function tensorError(file: string, tensor: string, what: string): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR, `${file}: ${tensor} ${what}`, {
    details: { file, tensor },
  });
}

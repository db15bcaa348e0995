/** Tensors of files as sources of a conversion: where their numbers lie. */
import { TuneyardError } from '@tuneyard/core';
import {
  SafetensorsReader,
  type SafetensorsTensor,
  TorchArchiveReader,
  type TorchTensor,
} from '@tuneyard/formats';
import type { ConvertedDtype, SourceTensor } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';

/** Element types by their names in torch. */
const TORCH_DTYPE: { readonly [name: string]: ConvertedDtype } = {
  float64: 'F64',
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int64: 'I64',
  int32: 'I32',
  int16: 'I16',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
  float8_e4m3fn: 'F8_E4M3',
  float8_e5m2: 'F8_E5M2',
};

const CONVERTED: ReadonlySet<string> = new Set(Object.values(TORCH_DTYPE));

/** Tensors of a safetensors file or a directory of them. Throws: `SAFETENSORS_…`, `WEIGHTS_TENSOR_DTYPE`. */
export async function safetensorsSources(path: string): Promise<SourceTensor[]> {
  await using reader = await SafetensorsReader.open(path);
  return [...reader.tensors.values()].map(sourceOf);
}

function sourceOf({ name, file, begin, dtype, shape }: SafetensorsTensor): SourceTensor {
  if (!CONVERTED.has(dtype)) throw unknownDtype(name, file, dtype);
  return { name, file, begin, dtype: dtype as ConvertedDtype, ...viewOf(shape) };
}

/** Tensors of torch archives, by key path. Throws: `TORCH_…`, `WEIGHTS_TENSOR_DTYPE`, `WEIGHTS_TENSOR_SHAPE`. */
export async function torchSources(files: readonly string[]): Promise<SourceTensor[]> {
  const sources: SourceTensor[] = [];
  for (const file of files) {
    const reader = await TorchArchiveReader.open(file);
    try {
      for (const tensor of reader.tensors.values()) sources.push(torchSource(tensor, file));
    } finally {
      await reader.close();
    }
  }
  return sources;
}

/** One tensor of a torch archive. Throws: as {@link torchSources}. */
export function torchSource(tensor: TorchTensor, file: string): SourceTensor {
  const { name, begin, contiguous, shape } = tensor;
  const dtype = TORCH_DTYPE[tensor.dtype];
  if (dtype === undefined) throw unknownDtype(name, file, tensor.dtype);
  if (!contiguous) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_TENSOR_SHAPE,
      `${file}: tensor '${shown(name)}' is a strided view; conversions read tensors whose rows lie one after the other`,
      { details: { file, tensor: shown(name) }, hint: 'Save it again after .contiguous().' },
    );
  }
  return { name, file, begin, dtype, ...viewOf(shape) };
}

/** Vectors are [n, 1]; of more dimensions all but the last count as rows. */
function viewOf(shape: readonly number[]): { rows: number; cols: number } {
  const cols = shape.length < 2 ? 1 : (shape.at(-1) ?? 1);
  const elements = shape.reduce((product, size) => product * size, 1);
  return { rows: cols === 0 ? 0 : elements / cols, cols };
}

function unknownDtype(name: string, file: string, dtype: string): TuneyardError {
  const known = [...CONVERTED].join(', ');
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TENSOR_DTYPE,
    `${file}: tensor '${shown(name)}' is ${dtype}; conversions move ${known}`,
    { details: { file, tensor: shown(name), dtype } },
  );
}

/** Keys of nested dictionaries are parted by a control character inside. */
function shown(name: string): string {
  return name.replaceAll('\u001f', '/');
}

/** Tensors of torch archives as sources of a conversion: where their numbers lie. */
import { TuneyardError } from '@tuneyard/core';
import type { TorchTensor } from '@tuneyard/formats';
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

/** One tensor of a torch archive. Throws: `WEIGHTS_TENSOR_DTYPE`, `WEIGHTS_TENSOR_SHAPE`. */
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
  const known = Object.keys(TORCH_DTYPE).join(', ');
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

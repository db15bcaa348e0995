/**
 * The tensors of a Hugging Face directory as sources of a conversion, torch files with transposed matrices included.
 */
import type { LocatedTensor } from '@tuneyard/formats';
import { TORCH_DTYPES } from '@tuneyard/formats';
import type { StoredSource } from '../convert/compose-plan.js';
import { hfLayout, hfStyleOf } from '../convert/hf-layout.js';
import { ignorableTensors } from '../convert/hf-tensor-check.js';
import type { LogicalModel } from '../convert/logical-model.js';
import { pairLayout } from './distributed/pair-layout.js';
import { type BlockTensor, blocksOf } from './distributed/tensor-blocks.js';
import type { HfTensor, HfTensors } from './hf-tensors.js';

const TORCH_NAMES: ReadonlyMap<string, string> = new Map(
  [...TORCH_DTYPES].flatMap(([name, { safetensors }]) =>
    safetensors === null ? [] : [[safetensors, name] as const],
  ),
);

/**
 * Finds a model's tensors among those of a directory.
 *
 * `directory` names it in messages. Throws: `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`,
 * `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`, `WEIGHTS_TENSOR_STRIDES`.
 */
export function hfDirectorySources(
  directory: string,
  model: LogicalModel,
  { tensors }: Pick<HfTensors, 'tensors'>,
): readonly StoredSource[] {
  const layout = hfLayout(model, { style: hfStyleOf(model, tensors.keys()) });
  const isIgnorable = ignorableTensors(model);
  const needed = new Set(layout.map(({ name }) => name));
  const found = new Map<string, BlockTensor>();
  for (const [name, tensor] of tensors) {
    // What carries nothing may be of a type that conversions do not move.
    if (needed.has(name) || !isIgnorable(name)) found.set(name, blocksOf(locatedOf(tensor)));
  }
  return pairLayout(directory, { layout, tensors: found, isIgnored: isIgnorable });
}

/** A whole tensor is a checkpoint's tensor of one chunk. */
function locatedOf(tensor: HfTensor): LocatedTensor {
  const { name, shape, file, begin } = tensor;
  const strides = tensor.strides ?? rowMajorStrides(shape);
  const isContiguous = tensor.strides === null;
  const chunk = { offsets: shape.map(() => 0), sizes: shape, file, begin, strides, isContiguous };
  return { name, dtype: TORCH_NAMES.get(tensor.dtype) ?? tensor.dtype, shape, chunks: [chunk] };
}

function rowMajorStrides(shape: readonly number[]): readonly number[] {
  let step = 1;
  return shape
    .toReversed()
    .map((size) => {
      const stride = step;
      step *= size;
      return stride;
    })
    .reverse();
}

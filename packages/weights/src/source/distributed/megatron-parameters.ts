/** The parameters of a Megatron model as a distributed checkpoint holds them: stacks parted, parts put together. */
import { TuneyardError } from '@tuneyard/core';
import type { LocatedTensor } from '@tuneyard/formats';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { type MegatronKey, parseMegatronKey } from './megatron-names.js';
import { type BlockTensor, blocksOf, sliceLeading } from './tensor-blocks.js';

interface Part {
  readonly part: number;
  readonly tensor: BlockTensor;
}

/**
 * Parameters by name, as a model of one rank has them: layers and experts numbered through, whole.
 *
 * Throws: `WEIGHTS_TENSOR_DTYPE`, `WEIGHTS_TENSOR_STRIDES`, `WEIGHTS_UNEXPECTED_TENSOR` when two keys give one
 * parameter, `WEIGHTS_TENSOR_SHAPE` when its parts do not fit.
 */
export function megatronParameters(
  tensors: Iterable<LocatedTensor>,
): ReadonlyMap<string, BlockTensor> {
  const parts = new Map<string, Part[]>();
  for (const tensor of tensors) {
    const key = parseMegatronKey(tensor.name);
    for (const [name, slice] of slices(tensor, key)) {
      const list = parts.get(name) ?? [];
      list.push({ part: key.part, tensor: blocksOf(slice) });
      parts.set(name, list);
    }
  }
  return new Map([...parts].map(([name, list]) => [name, joinParts(name, list)]));
}

function* slices(tensor: LocatedTensor, key: MegatronKey): Generator<[string, LocatedTensor]> {
  const [axis, ...rest] = key.stacked;
  if (axis === undefined) {
    yield [key.name, tensor];
    return;
  }
  for (const [index, slice] of sliceLeading(tensor).entries()) {
    const name = key.name.replace(`{${axis}}`, String(index));
    yield* slices(slice, { name, stacked: rest, part: key.part });
  }
}

/** Parts follow each other in rows. */
function joinParts(name: string, parts: readonly Part[]): BlockTensor {
  const sorted = [...parts].sort((a, b) => a.part - b.part);
  const [first] = sorted;
  if (first === undefined || sorted.some(({ part }, index) => part !== index)) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_UNEXPECTED_TENSOR,
      `${name} is stored ${parts.length === 1 ? 'in part' : 'more than once'}: ` +
        parts.map(({ tensor }) => tensor.name).join(', '),
      { details: { parameter: name } },
    );
  }
  const [, ...columns] = first.tensor.shape;
  const isFitting = sorted.every(
    ({ tensor }) =>
      tensor.dtype === first.tensor.dtype &&
      tensor.shape.slice(1).join() === columns.join() &&
      tensor.shape.length === first.tensor.shape.length,
  );
  if (!isFitting) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_TENSOR_SHAPE,
      `The parts of ${name} differ in type or in columns: ` +
        sorted.map(({ tensor }) => `${tensor.dtype} [${tensor.shape.join(', ')}]`).join(' and '),
      { details: { parameter: name } },
    );
  }
  let row = 0;
  const blocks = sorted.flatMap(({ tensor }) => {
    const above = row;
    row += tensor.shape[0] ?? 1;
    return tensor.blocks.map((block) => ({ ...block, row: block.row + above }));
  });
  const shape = sorted.length === 1 ? first.tensor.shape : [row, ...columns];
  return { name, dtype: first.tensor.dtype, shape, blocks };
}

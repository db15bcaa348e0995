/**
 * Cuts the layout of a whole tensor into that of the blocks that files hold.
 *
 * Each block becomes a stored tensor of its own, so that a sharded checkpoint is a layout as any other.
 */
import { TuneyardError } from '@tuneyard/core';
import type { StoredSource } from '../../convert/compose-plan.js';
import { storedView } from '../../convert/compose-plan.js';
import type { Rectangle, StoredSpec } from '../../convert/logical-model.js';
import { type Block, intersect, storedBlock } from '../../convert/plan-rectangles.js';
import { WEIGHTS_ERRORS } from '../../errors.js';
import type { BlockTensor, TensorBlock } from './tensor-blocks.js';

/**
 * Pairs the parts of `spec` with the blocks of the tensor that has its numbers.
 *
 * Throws: `WEIGHTS_TENSOR_SHAPE` when the shapes differ; axes of one element in front do not count.
 */
export function cutSpec(spec: StoredSpec, tensor: BlockTensor): readonly StoredSource[] {
  const { rows, cols } = storedView(spec);
  const found = storedView({ ...spec, shape: tensor.shape });
  if (rows !== found.rows || cols !== found.cols) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_TENSOR_SHAPE,
      `${tensor.name} has shape [${tensor.shape.join(', ')}]; the configuration implies [${spec.shape.join(', ')}]`,
      {
        details: { tensor: tensor.name, found: [...tensor.shape], expected: [...spec.shape] },
      },
    );
  }
  return tensor.blocks.map((block) => sourceOf(spec, tensor, block));
}

function sourceOf(spec: StoredSpec, tensor: BlockTensor, block: TensorBlock): StoredSource {
  const rectangles = spec.rectangles.flatMap((rectangle) => within(rectangle, block) ?? []);
  const [rows, cols] = block.isTransposed ? [block.cols, block.rows] : [block.rows, block.cols];
  const name = `${spec.name}[${block.row}, ${block.col}]`;
  return {
    spec: {
      shard: spec.shard,
      name,
      shape: [rows, cols],
      rectangles: block.isTransposed ? rectangles.map(turned) : rectangles,
    },
    tensor: { name, file: block.file, begin: block.begin, dtype: tensor.dtype, rows, cols },
  };
}

/** The part of a rectangle that the block has, in the block's coordinates. */
function within(rectangle: Rectangle, block: Block): Rectangle | null {
  const whole = storedBlock(rectangle);
  const common = intersect(whole, block);
  if (common === null) return null;
  const down = common.row - whole.row;
  const right = common.col - whole.col;
  const { transpose } = rectangle;
  return {
    ...rectangle,
    logicalRow: rectangle.logicalRow + (transpose ? right : down),
    logicalCol: rectangle.logicalCol + (transpose ? down : right),
    rows: transpose ? common.cols : common.rows,
    cols: transpose ? common.rows : common.cols,
    storedRow: common.row - block.row,
    storedCol: common.col - block.col,
  };
}

function turned(rectangle: Rectangle): Rectangle {
  return {
    ...rectangle,
    storedRow: rectangle.storedCol,
    storedCol: rectangle.storedRow,
    transpose: !rectangle.transpose,
  };
}

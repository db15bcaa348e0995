/**
 * Chunks of a tensor as rectangles of its 2-D view, each one range of bytes: what conversions can address.
 *
 * Vectors are [n, 1]; of more dimensions all but the last are rows. A chunk may lie in its file row by row, or column
 * by column (a transposed matrix that was saved as it was).
 */
import { TuneyardError } from '@tuneyard/core';
import { type LocatedChunk, type LocatedTensor, TORCH_DTYPES } from '@tuneyard/formats';
import type { ConvertedDtype } from '../../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../../errors.js';

/** Element types that conversions move. */
const CONVERTED: ReadonlySet<string> = new Set<ConvertedDtype>([
  'F32',
  'F16',
  'BF16',
  'F64',
  'I64',
  'I32',
  'I16',
  'I8',
  'U8',
  'BOOL',
  'F8_E4M3',
  'F8_E5M2',
]);

/** A rectangle of a tensor's 2-D view with the bytes that hold it. */
export interface TensorBlock {
  readonly row: number;
  readonly col: number;
  readonly rows: number;
  readonly cols: number;
  readonly file: string;
  readonly begin: number;
  /** The bytes are cols × rows, row-major: the block turned. */
  readonly isTransposed: boolean;
}

/** A tensor, or one layer of a stack of them, in blocks. */
export interface BlockTensor {
  readonly name: string;
  readonly dtype: ConvertedDtype;
  readonly shape: readonly number[];
  readonly blocks: readonly TensorBlock[];
}

/**
 * Parts the tensor along its first axis: one tensor of one dimension less for each index.
 *
 * Chunks are addressed in place; nothing is read.
 */
export function sliceLeading(tensor: LocatedTensor): readonly LocatedTensor[] {
  const [count = 0, ...shape] = tensor.shape;
  const { bytes } = convertedType(tensor);
  const slices = Array.from({ length: count }, (_, index) => ({
    name: `${tensor.name}[${index}]`,
    dtype: tensor.dtype,
    shape,
    chunks: [] as LocatedChunk[],
  }));
  for (const chunk of tensor.chunks) {
    const [first = 0, ...offsets] = chunk.offsets;
    const [size = 0, ...sizes] = chunk.sizes;
    const [step = 0, ...strides] = chunk.strides;
    for (let i = 0; i < size; i++) {
      const begin = chunk.begin + i * step * bytes;
      const isContiguous = isRowMajor(sizes, strides);
      slices[first + i]?.chunks.push({
        file: chunk.file,
        offsets,
        sizes,
        strides,
        begin,
        isContiguous,
      });
    }
  }
  return slices;
}

/**
 * The blocks of a tensor.
 *
 * Throws: `WEIGHTS_TENSOR_DTYPE` for a type that conversions do not move, `WEIGHTS_TENSOR_STRIDES` when a chunk is
 * neither in rows nor in columns.
 */
export function blocksOf(tensor: LocatedTensor): BlockTensor {
  const { dtype } = convertedType(tensor);
  const blocks = tensor.shape.length > 2 ? stackedBlocks(tensor) : tensor.chunks.map(blockOf);
  const odd = blocks.indexOf(null);
  if (odd >= 0) throw oddStrides(tensor);
  const { name, shape } = tensor;
  return { name, dtype, shape, blocks: blocks.filter((block) => block !== null) };
}

/** A chunk that is whole but for its first axis is one run of rows; others are parted along the first axis. */
function stackedBlocks(tensor: LocatedTensor): readonly (TensorBlock | null)[] {
  const { shape } = tensor;
  const isRun = (chunk: LocatedChunk): boolean =>
    chunk.isContiguous && chunk.sizes.slice(1, -1).every((size, axis) => size === shape[axis + 1]);
  if (tensor.chunks.every(isRun)) {
    const perIndex = shape.slice(1, -1).reduce((product, size) => product * size, 1);
    return tensor.chunks.map((chunk) =>
      blockOf({
        ...chunk,
        offsets: [(chunk.offsets[0] ?? 0) * perIndex, chunk.offsets.at(-1) ?? 0],
        sizes: [(chunk.sizes[0] ?? 0) * perIndex, chunk.sizes.at(-1) ?? 0],
        strides: [chunk.sizes.at(-1) ?? 1, 1],
      }),
    );
  }
  const perSlice = shape.slice(1, -1).reduce((product, size) => product * size, 1);
  return sliceLeading(tensor).flatMap((slice, index) =>
    (slice.shape.length > 2 ? stackedBlocks(slice) : slice.chunks.map(blockOf)).map((block) =>
      block === null ? null : { ...block, row: block.row + index * perSlice },
    ),
  );
}

/** A chunk of at most two dimensions; null when its bytes are in neither order. */
function blockOf(chunk: LocatedChunk): TensorBlock | null {
  const [row = 0, col = 0] = chunk.offsets;
  const [rows = 1, cols = 1] = chunk.sizes;
  const [rowStep = 1, colStep = 1] = chunk.strides;
  const place = { row, col, rows, cols, file: chunk.file, begin: chunk.begin };
  if (isRowMajor([rows, cols], [rowStep, colStep])) return { ...place, isTransposed: false };
  if (isRowMajor([cols, rows], [colStep, rowStep])) return { ...place, isTransposed: true };
  return null;
}

/** Steps along axes of one element do not matter. */
function isRowMajor(sizes: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const size = sizes[axis] ?? 1;
    if (size > 1 && strides[axis] !== expected) return false;
    expected *= size;
  }
  return true;
}

function convertedType(tensor: LocatedTensor): {
  readonly dtype: ConvertedDtype;
  readonly bytes: number;
} {
  const facts = TORCH_DTYPES.get(tensor.dtype);
  const dtype = facts?.safetensors ?? '';
  if (facts !== undefined && CONVERTED.has(dtype)) {
    return { dtype: dtype as ConvertedDtype, bytes: facts.bytes };
  }
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TENSOR_DTYPE,
    `${tensor.name} is stored as torch.${tensor.dtype}, which conversions do not move`,
    { details: { tensor: tensor.name, type: tensor.dtype } },
  );
}

function oddStrides(tensor: LocatedTensor): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_TENSOR_STRIDES,
    `${tensor.name}: a chunk of it is stored with steps that are neither by rows nor by columns`,
    {
      details: { tensor: tensor.name },
      hint: 'Call contiguous() on the tensor before saving the checkpoint.',
    },
  );
}

/** Reads the numbers of a tensor in row-major order, whatever its strides. */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { gatherElements, type StridedView } from '../kernels/gather-elements.js';
import { MAX_EXPANDED_BYTES } from '../limits.js';

/** Largest part of a storage that is read at once for the elements of a sparse view. */
const SPAN_BYTES = 64 * 2 ** 20;

/** A strided view of a storage, and a way to read that storage. */
export interface TensorSource {
  readonly name: string;
  readonly elementBytes: number;
  readonly view: StridedView;
  /** Bytes of the whole storage. */
  readonly storageBytes: number;
  /** Reads a range of the storage into a fresh buffer. */
  read(begin: number, byteLength: number): Promise<Uint8Array>;
}

/**
 * Gives the elements in row-major order in a fresh buffer.
 *
 * Throws: `TORCH_ARCHIVE_EXPANDED_TOO_LARGE` for a tensor much larger than its storage, `FILE_…`.
 * Cost: the tensor, and the part of the storage that it spans, at most 64 MiB of it or four times the tensor at once.
 */
export async function readStrided(source: TensorSource): Promise<Uint8Array> {
  const { view, elementBytes } = source;
  const byteLength = elementCount(view.shape) * elementBytes;
  if (byteLength > Math.max(source.storageBytes, MAX_EXPANDED_BYTES)) {
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_EXPANDED_TOO_LARGE,
      `Tensor ${quoteName(source.name)} repeats ${source.storageBytes} bytes to ${byteLength}; ` +
        `the limit is ${MAX_EXPANDED_BYTES}`,
      { details: { tensor: source.name, byteLength } },
    );
  }
  if (isRowMajor(view)) return await source.read(view.first * elementBytes, byteLength);
  const target = new Uint8Array(byteLength);
  await gather(source, view, target);
  return target;
}

/** True when the elements of the view follow each other in memory without gaps. */
export function isRowMajor({ shape, strides }: Pick<StridedView, 'shape' | 'strides'>): boolean {
  let expected = 1;
  if (shape.includes(0)) return true;
  for (let d = shape.length - 1; d >= 0; d--) {
    const length = shape[d] ?? 1;
    if (length === 1) continue;
    if (strides[d] !== expected) return false;
    expected *= length;
  }
  return true;
}

/** Product of the dimensions. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Reads what the view spans and copies from it; a view much wider than its elements is taken in slices. */
async function gather(source: TensorSource, view: StridedView, target: Uint8Array): Promise<void> {
  const { elementBytes } = source;
  const span = (lastElement(view) + 1) * elementBytes;
  const [outer] = view.shape;
  if (outer === undefined || span <= Math.max(SPAN_BYTES, 4 * target.length)) {
    const bytes = await source.read(view.first * elementBytes, span);
    copy(bytes, target, { view: { ...view, first: 0 }, elementBytes });
    return;
  }
  const sliceBytes = target.length / outer;
  for (let i = 0; i < outer; i++) {
    const slice = {
      shape: view.shape.slice(1),
      strides: view.strides.slice(1),
      first: view.first + i * (view.strides[0] ?? 0),
    };
    await gather(source, slice, target.subarray(i * sliceBytes, (i + 1) * sliceBytes));
  }
}

/** Last element of the view, counted from its first. */
function lastElement({ shape, strides }: StridedView): number {
  return shape.reduce((last, length, d) => last + (length - 1) * (strides[d] ?? 0), 0);
}

function copy(
  source: Uint8Array,
  target: Uint8Array,
  { view, elementBytes }: { view: StridedView; elementBytes: number },
): void {
  const elements = elementCount(view.shape);
  switch (elementBytes) {
    case 1:
      gatherElements(source, target, view);
      return;
    case 2:
      gatherElements(
        new Uint16Array(source.buffer, source.byteOffset, source.length / 2),
        new Uint16Array(target.buffer, target.byteOffset, elements),
        view,
      );
      return;
    case 4:
      gatherElements(
        new Uint32Array(source.buffer, source.byteOffset, source.length / 4),
        new Uint32Array(target.buffer, target.byteOffset, elements),
        view,
      );
      return;
    case 8:
      gatherElements(
        new BigUint64Array(source.buffer, source.byteOffset, source.length / 8),
        new BigUint64Array(target.buffer, target.byteOffset, elements),
        view,
      );
      return;
    default: {
      // Complex numbers of sixteen bytes: pairs of eight.
      const paired = {
        shape: [...view.shape, 2],
        strides: [...view.strides.map((stride) => 2 * stride), 1],
        first: 2 * view.first,
      };
      copy(source, target, { view: paired, elementBytes: elementBytes / 2 });
    }
  }
}

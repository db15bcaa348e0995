/**
 * Copies a strided view of elements to row-major order.
 *
 * Bounds: the caller guarantees that the view lies within `source` and that `target` has exactly its elements, so every
 * index is in range. Legend: d dimension, n elements.
 */

/** A view in elements: dimensions, steps between elements, and the first element in the source. */
export interface StridedView {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly first: number;
}

type Elements = Uint8Array | Uint16Array | Uint32Array | BigUint64Array;

/** Mutates: `target`. Cost: one pass over the target. */
export function gatherElements<T extends Elements>(source: T, target: T, view: StridedView): void {
  const { shape, strides } = view;
  const rank = shape.length;
  if (rank === 0) {
    target[0] = source[view.first]!;
    return;
  }
  const columns = shape[rank - 1]!;
  const step = strides[rank - 1]!;
  const index = new Array<number>(rank).fill(0);
  let from = view.first;
  for (let to = 0; to < target.length; to += columns) {
    if (step === 1) {
      target.set(source.subarray(from, from + columns) as never, to);
    } else {
      for (let c = 0, at = from; c < columns; c++, at += step) target[to + c] = source[at]!;
    }
    for (let d = rank - 2; d >= 0; d--) {
      index[d]! += 1;
      from += strides[d]!;
      if (index[d]! < shape[d]!) break;
      from -= strides[d]! * shape[d]!;
      index[d] = 0;
    }
  }
}

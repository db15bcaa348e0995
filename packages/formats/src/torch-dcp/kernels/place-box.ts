/**
 * Copies a box of elements into its place in a larger array.
 *
 * Bounds: the caller guarantees offsets + sizes <= shape along every axis, that `source` has the elements of the box and
 * `target` those of the shape; so every run of bytes below lies inside of both.
 */

/** A box of an array; counts are in elements. */
export interface BoxPlace {
  readonly shape: readonly number[];
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly elementBytes: number;
}

/** Both sides are row-major. Mutates: `target`. Cost: one pass over the box. */
export function placeBox(target: Uint8Array, source: Uint8Array, place: BoxPlace): void {
  const { shape, offsets, sizes, elementBytes } = place;
  const axes = shape.length;
  if (source.length === 0) return;
  if (axes === 0) {
    target.set(source);
    return;
  }
  const run = sizes[axes - 1]! * elementBytes;
  const index = new Array<number>(axes).fill(0);
  for (let from = 0; from < source.length; from += run) {
    let element = 0;
    for (let axis = 0; axis < axes; axis++) {
      element = element * shape[axis]! + offsets[axis]! + index[axis]!;
    }
    target.set(source.subarray(from, from + run), element * elementBytes);
    for (let axis = axes - 2; axis >= 0; axis--) {
      index[axis]! += 1;
      if (index[axis]! < sizes[axis]!) break;
      index[axis] = 0;
    }
  }
}

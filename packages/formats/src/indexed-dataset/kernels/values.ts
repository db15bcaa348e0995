/** Loops over values of sequences. Callers hand a destination at least as long as the source. */

/** Copies int64 values to int32. Returns the first that does not fit, or −1. Mutates: `dst`. */
export function narrowInt64(src: BigInt64Array, dst: Int32Array): number {
  for (let i = 0; i < src.length; i++) {
    const value = Number(src[i]!);
    dst[i] = value;
    if (dst[i]! !== value) return i;
  }
  return -1;
}

/** Copies int32 values to uint16. Returns the first that does not fit, or −1. Mutates: `dst`. */
export function narrowToUint16(src: Int32Array, dst: Uint16Array): number {
  for (let i = 0; i < src.length; i++) {
    const value = src[i]!;
    if (value < 0 || value > 0xffff) return i;
    dst[i] = value;
  }
  return -1;
}

/** Smallest and largest value; both 0 for an empty array. */
export function rangeOf(values: Int32Array): { min: number; max: number } {
  let min = values.length === 0 ? 0 : values[0]!;
  let max = min;
  for (let i = 1; i < values.length; i++) {
    const value = values[i]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min, max };
}

/** Index of the first value outside `min`..`max` that is not `also`, or −1. */
export function findOutside(
  values: Int32Array,
  { min, max, also }: { min: number; max: number; also: number },
): number {
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if ((value < min || value > max) && value !== also) return i;
  }
  return -1;
}

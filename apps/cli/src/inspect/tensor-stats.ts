/** Statistics of one tensor's values, for `inspect --stats`. */

/** Summary of the values of a tensor; extremes and moments are over the finite ones. */
export interface TensorStats {
  readonly elements: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  /** Population standard deviation. */
  readonly standardDeviation: number | null;
  /** Root mean square. */
  readonly rms: number | null;
  readonly zeros: number;
  readonly notANumber: number;
  readonly infinite: number;
  /** The first values in storage order. */
  readonly first: readonly number[];
}

const FIRST_COUNT = 8;

/**
 * Computes the statistics in two passes, in f64.
 *
 * Units: an empty tensor, or one without a finite value, has null extremes and moments.
 */
export function computeTensorStats(values: Float32Array | Float64Array): TensorStats {
  const finite = values.filter((value) => Number.isFinite(value));
  let [min, max, sum, zeros] = [Infinity, -Infinity, 0, 0];
  for (const value of finite) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    if (value === 0) zeros++;
  }
  const mean = sum / finite.length;
  let squares = 0;
  for (const value of finite) squares += (value - mean) ** 2;
  const notANumber = values.filter((value) => Number.isNaN(value)).length;
  const orNull = (value: number): number | null => (finite.length === 0 ? null : value);
  return {
    elements: values.length,
    min: orNull(min),
    max: orNull(max),
    mean: orNull(mean),
    standardDeviation: orNull(Math.sqrt(squares / finite.length)),
    rms: orNull(Math.sqrt(squares / finite.length + mean ** 2)),
    zeros,
    notANumber,
    infinite: values.length - finite.length - notANumber,
    first: Array.from(values.subarray(0, FIRST_COUNT)),
  };
}

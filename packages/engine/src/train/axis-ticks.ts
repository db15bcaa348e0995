/** Round numbers for the axes of a plot. Pure. */

/** The ends of an axis and the numbers written along it. */
export interface Axis {
  readonly low: number;
  readonly high: number;
  /** Ascending, within low and high. */
  readonly ticks: readonly number[];
  /** Digits after the point that tell the ticks apart. */
  readonly decimals: number;
}

/** How an axis is divided. */
export interface AxisOptions {
  /** Number of intervals to aim for. */
  readonly intervals: number;
  /** No tick between whole numbers. */
  readonly isWhole?: boolean;
  /** Ends the axis at the data instead of at the next tick. */
  readonly isTight?: boolean;
}

/**
 * Divides a range into steps of 1, 2 or 5 times a power of ten. A range without extent is widened around its value.
 */
export function planAxis(min: number, max: number, options: AxisOptions): Axis {
  const extent = max > min ? max - min : Math.max(Math.abs(max) * 0.1, 1e-6);
  const [from, to] = max > min ? [min, max] : [min - extent / 2, max + extent / 2];
  const step = Math.max(niceStep(extent / options.intervals), options.isWhole ? 1 : 0);
  const low = options.isTight ? from : Math.floor(from / step + 1e-9) * step;
  const high = options.isTight ? to : Math.ceil(to / step - 1e-9) * step;
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
    ticks.push(Number((i * step).toFixed(decimals)));
  }
  return { low, high, ticks, decimals };
}

/** The least of 1, 2, 5 times a power of ten that is at least `raw`. */
function niceStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = [1, 2, 5].find((candidate) => candidate * power >= raw * (1 - 1e-9)) ?? 10;
  return factor * power;
}

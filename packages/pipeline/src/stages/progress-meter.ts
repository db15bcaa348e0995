/** Progress events with a smoothed rate and an estimate, at most ten a second. */
import type { StageEvent } from '../executor/run-event.js';

/** Least time between two events that are not the last. */
const INTERVAL_MS = 100;
/** Weight of the newest rate in the running mean. */
const SMOOTHING = 0.2;

/** What is counted, and who is told. */
export interface MeterOptions {
  readonly unit: string;
  /** Null while unknown. */
  readonly total: number | null;
  readonly emit: (event: StageEvent) => void;
  /** Milliseconds that only grow. */
  readonly now?: () => number;
}

/** Reports that `done` units are done, with numbers of the moment. */
export type ReportProgress = (done: number, metrics?: { readonly [name: string]: number }) => void;

/**
 * Creates a meter. Events with metrics and the last one are never held back.
 *
 * The rate counts from the first report, so that a resumed stage does not claim what an earlier run did.
 */
export function createProgressMeter(options: MeterOptions): ReportProgress {
  const now = options.now ?? (() => performance.now());
  let last: Reading | null = null;
  let rate: number | null = null;
  return (done, metrics) => {
    const at = now();
    const isDue = last === null || at - last.at >= INTERVAL_MS || done === options.total;
    if (!isDue && metrics === undefined) return;
    rate = newRate(rate, last, { at, done });
    last = { at, done };
    options.emit({
      type: 'stage_progress',
      done,
      total: options.total,
      unit: options.unit,
      ...estimate(rate, options.total === null ? null : options.total - done),
      ...(metrics === undefined ? {} : { metrics }),
    });
  };
}

interface Reading {
  readonly at: number;
  readonly done: number;
}

function newRate(rate: number | null, last: Reading | null, next: Reading): number | null {
  if (last === null || next.at <= last.at || next.done <= last.done) return rate;
  const newest = (1000 * (next.done - last.done)) / (next.at - last.at);
  return rate === null ? newest : rate + SMOOTHING * (newest - rate);
}

function estimate(
  rate: number | null,
  remaining: number | null,
): { rate?: number; etaMs?: number } {
  if (rate === null) return {};
  return remaining === null ? { rate } : { rate, etaMs: (1000 * remaining) / rate };
}

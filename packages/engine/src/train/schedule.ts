/**
 * Learning-rate schedules, by the formulas of Hugging Face transformers (`optimization.py`, 4.5x).
 *
 * Steps count completed updates: the first update of a run uses the factor of step 0, so a run with warm-up
 * starts with a learning rate of zero, as the reference does.
 */

/** Schedules by the names of `lr_scheduler_type`. */
export const LR_SCHEDULER_TYPES = ['constant', 'constant_with_warmup', 'linear', 'cosine'] as const;

/** One of {@link LR_SCHEDULER_TYPES}. */
export type LrSchedulerType = (typeof LR_SCHEDULER_TYPES)[number];

/** Where the schedule is. */
export interface SchedulePosition {
  /** Updates completed before this one, from 0. */
  readonly step: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/**
 * Computes what the peak learning rate is multiplied by.
 *
 * Range: 0 to 1; `constant` ignores the warm-up; past `totalSteps` linear stays at 0.
 * Checked against: values written out by hand from the reference's formulas.
 */
export function scheduleFactor(type: LrSchedulerType, position: SchedulePosition): number {
  const { step, warmupSteps, totalSteps } = position;
  if (type !== 'constant' && step < warmupSteps) return step / Math.max(1, warmupSteps);
  const decaySteps = Math.max(1, totalSteps - warmupSteps);
  switch (type) {
    case 'constant':
    case 'constant_with_warmup':
      return 1;
    case 'linear':
      return Math.max(0, (totalSteps - step) / decaySteps);
    case 'cosine':
      return Math.max(0, 0.5 * (1 + Math.cos((Math.PI * (step - warmupSteps)) / decaySteps)));
  }
}

/**
 * Decides how long a run is and where it logs, evaluates and saves, before anything is loaded.
 *
 * Pure. Counts as Hugging Face's Trainer does: micro-batches per epoch round up unless the last is dropped,
 * a partial accumulation at the end of an epoch is a step of its own, `maxSteps` overrides the epochs, and
 * `warmupSteps` overrides the ratio.
 */
import { TuneyardError } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { TRAIN_ERRORS } from './errors.js';

/** When something that recurs happens. */
export type Interval = 'no' | 'steps' | 'epoch';

/** What decides the length of a run and its stops; names are Hugging Face's. */
export interface TrainingPlanOptions {
  /** Rows per micro-batch. */
  readonly perDeviceTrainBatchSize: number;
  /** Micro-batches per step. */
  readonly gradientAccumulationSteps: number;
  /** May be fractional; the last epoch then ends early. */
  readonly numTrainEpochs: number;
  /** Overrides the epochs when not null. */
  readonly maxSteps: number | null;
  /** Overrides `warmupRatio` when above 0. */
  readonly warmupSteps: number;
  /** Share of all steps, 0 to 1, rounded up. */
  readonly warmupRatio: number;
  /** Leaves out a last micro-batch of fewer rows. */
  readonly dataloaderDropLast: boolean;
  readonly saveStrategy: Interval;
  /** Steps, or a share of all steps when below 1. The last step is always saved unless the strategy is `no`. */
  readonly saveSteps: number;
  readonly evalStrategy: Interval;
  /** Steps, or a share of all steps when below 1. The last step is always evaluated unless `no`. */
  readonly evalSteps: number;
  /** Needs an evaluation at every saved step. */
  readonly loadBestModelAtEnd: boolean;
}

/** Sizes of the rows that a run reads, one entry per row. */
export interface RowSizes {
  /** Tokens without padding. */
  readonly tokens: readonly number[];
  readonly learnedTokens: readonly number[];
}

/** A run's length and stops. Steps are counted from 1; 0 is before the first update. */
export interface TrainingPlan {
  readonly rows: number;
  readonly microBatchesPerEpoch: number;
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
  /** Passes over the data, fractional when the last one ends early. */
  readonly epochs: number;
  readonly warmupSteps: number;
  readonly tokensPerEpoch: number;
  readonly learnedTokensPerEpoch: number;
  /** Ascending; ends with `totalSteps` unless empty. */
  readonly saveSteps: readonly number[];
  /** Ascending; starts with 0 and ends with `totalSteps` unless empty. */
  readonly evalSteps: readonly number[];
}

/**
 * Plans a run over rows of the given sizes.
 *
 * Throws: `TRAIN_BAD_OPTION` for a setting out of range; `TRAIN_NO_STEPS` when nothing would be trained;
 * `TRAIN_NO_LEARNED_TOKENS` when no row has a label.
 */
export function planTrainingRun(sizes: RowSizes, options: TrainingPlanOptions): TrainingPlan {
  checkOptions(options);
  const rows = sizes.tokens.length;
  const batch = options.perDeviceTrainBatchSize;
  const microBatchesPerEpoch = options.dataloaderDropLast
    ? Math.floor(rows / batch)
    : Math.ceil(rows / batch);
  if (microBatchesPerEpoch === 0) throw noMicroBatch(rows, batch);
  const learnedTokensPerEpoch = sum(sizes.learnedTokens);
  if (learnedTokensPerEpoch === 0) throw noLearnedTokens(rows);

  const stepsPerEpoch = Math.ceil(microBatchesPerEpoch / options.gradientAccumulationSteps);
  const totalSteps = options.maxSteps ?? Math.ceil(options.numTrainEpochs * stepsPerEpoch);
  const timeline = { totalSteps, stepsPerEpoch };
  const plan = {
    rows,
    microBatchesPerEpoch,
    stepsPerEpoch,
    totalSteps,
    epochs: totalSteps / stepsPerEpoch,
    warmupSteps: options.warmupSteps || Math.ceil(totalSteps * options.warmupRatio),
    tokensPerEpoch: sum(sizes.tokens),
    learnedTokensPerEpoch,
    saveSteps: stops(options.saveStrategy, options.saveSteps, timeline),
    evalSteps: evaluationStops(options, timeline),
  };
  if (options.loadBestModelAtEnd) checkBestModel(plan);
  return plan;
}

/** Measures rows for {@link planTrainingRun}. */
export function measureRows(rows: readonly PackedRow[]): RowSizes {
  return {
    tokens: rows.map((row) => row.ids.length),
    learnedTokens: rows.map((row) => row.learned.reduce((count, flag) => count + flag, 0)),
  };
}

/** Sizes of the rows that packing makes of samples; each pack lists the samples it joins. */
export function measurePacks(samples: RowSizes, packs: readonly (readonly number[])[]): RowSizes {
  const total = (of: readonly number[]): number[] =>
    packs.map((pack) => pack.reduce((count, sample) => count + (of[sample] ?? 0), 0));
  return { tokens: total(samples.tokens), learnedTokens: total(samples.learnedTokens) };
}

interface Timeline {
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
}

function stops(interval: Interval, every: number, timeline: Timeline): number[] {
  if (interval === 'no') return [];
  const { totalSteps, stepsPerEpoch } = timeline;
  const inSteps = every < 1 ? Math.ceil(every * totalSteps) : every;
  const stride = interval === 'epoch' ? stepsPerEpoch : inSteps;
  const steps: number[] = [];
  for (let step = stride; step < totalSteps; step += stride) steps.push(step);
  return [...steps, totalSteps];
}

function evaluationStops(options: TrainingPlanOptions, timeline: Timeline): number[] {
  const steps = stops(options.evalStrategy, options.evalSteps, timeline);
  return steps.length === 0 ? [] : [0, ...steps];
}

function checkBestModel(plan: Pick<TrainingPlan, 'saveSteps' | 'evalSteps'>): void {
  const evaluated = new Set(plan.evalSteps);
  const blind = plan.saveSteps.find((step) => !evaluated.has(step));
  if (plan.saveSteps.length > 0 && blind === undefined) return;
  throw new TuneyardError(
    TRAIN_ERRORS.TRAIN_BAD_OPTION,
    blind === undefined
      ? 'load_best_model_at_end is set but no checkpoint is saved'
      : `load_best_model_at_end is set but step ${blind} is saved without an evaluation`,
    { hint: 'Make save_steps a multiple of eval_steps and use the same strategy for both.' },
  );
}

function noMicroBatch(rows: number, batch: number): TuneyardError {
  const message =
    rows === 0
      ? 'The training data has no rows'
      : `${rows} rows do not fill one batch of ${batch} and dataloader_drop_last leaves it out`;
  return new TuneyardError(TRAIN_ERRORS.TRAIN_NO_STEPS, message, { details: { rows, batch } });
}

function noLearnedTokens(rows: number): TuneyardError {
  return new TuneyardError(
    TRAIN_ERRORS.TRAIN_NO_LEARNED_TOKENS,
    `None of the ${rows} training rows has a token to learn`,
    { hint: 'Check that the samples have answers and that cutoff_len does not cut them off.' },
  );
}

function checkOptions(options: TrainingPlanOptions): void {
  checkWhole('per_device_train_batch_size', options.perDeviceTrainBatchSize, 1);
  checkWhole('gradient_accumulation_steps', options.gradientAccumulationSteps, 1);
  checkWhole('warmup_steps', options.warmupSteps, 0);
  if (!(options.warmupRatio >= 0 && options.warmupRatio <= 1)) {
    throw badOption('warmup_ratio', options.warmupRatio, 'between 0 and 1');
  }
  if (options.maxSteps !== null) checkWhole('max_steps', options.maxSteps, 1);
  else if (!(options.numTrainEpochs > 0 && Number.isFinite(options.numTrainEpochs))) {
    throw badOption('num_train_epochs', options.numTrainEpochs, 'above 0');
  }
  if (options.saveStrategy === 'steps') checkEvery('save_steps', options.saveSteps);
  if (options.evalStrategy === 'steps') checkEvery('eval_steps', options.evalSteps);
}

function checkWhole(name: string, value: number, minimum: number): void {
  if (Number.isSafeInteger(value) && value >= minimum) return;
  throw badOption(name, value, `a whole number of at least ${minimum}`);
}

function checkEvery(name: string, value: number): void {
  if (value > 0 && (value < 1 || Number.isSafeInteger(value))) return;
  throw badOption(name, value, 'a whole number of at least 1, or a share of all steps below 1');
}

/** An error about one setting, by the name that the user wrote. */
export function badOption(name: string, value: number, allowed: string): TuneyardError {
  const message = `${name} is ${value}; it must be ${allowed}`;
  return new TuneyardError(TRAIN_ERRORS.TRAIN_BAD_OPTION, message, {
    details: { option: name, value: String(value) },
  });
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

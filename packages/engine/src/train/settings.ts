/**
 * The settings of a training run, their defaults and ranges, and the part of them that decides its result.
 *
 * Inside, names are Hugging Face's in camel case; messages and fingerprints use the spelling that users write.
 */
import { createHash } from 'node:crypto';
import type { JsonValue } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { badOption, type TrainingPlanOptions } from './plan.js';
import type { LrSchedulerType } from './schedule.js';

/** Everything that a training run can be told, beside its model and data. */
export interface TrainingSettings extends TrainingPlanOptions {
  /** Peak learning rate. */
  readonly learningRate: number;
  readonly lrSchedulerType: LrSchedulerType;
  readonly weightDecay: number;
  readonly adamBeta1: number;
  readonly adamBeta2: number;
  readonly adamEpsilon: number;
  /** Largest L2 norm of a step's gradient; 0 never clips. */
  readonly maxGradNorm: number;
  /** Steps between lines of the log; the last step is always logged. */
  readonly loggingSteps: number;
  /** Checkpoints to keep, the best one beside them when it is loaded at the end; null keeps all. */
  readonly saveTotalLimit: number | null;
  /** Non-finite steps in a row after which the run stops. */
  readonly maxNonFiniteSteps: number;
  readonly seed: number;
  readonly shuffle: boolean;
  readonly groupByLength: boolean;
}

/** The defaults of Hugging Face's `TrainingArguments`, where it has the setting. */
export const DEFAULT_TRAINING_SETTINGS: TrainingSettings = {
  perDeviceTrainBatchSize: 8,
  gradientAccumulationSteps: 1,
  numTrainEpochs: 3,
  maxSteps: null,
  warmupSteps: 0,
  warmupRatio: 0,
  dataloaderDropLast: false,
  saveStrategy: 'steps',
  saveSteps: 500,
  evalStrategy: 'no',
  evalSteps: 500,
  loadBestModelAtEnd: false,
  learningRate: 5e-5,
  lrSchedulerType: 'linear',
  weightDecay: 0,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  adamEpsilon: 1e-8,
  maxGradNorm: 1,
  loggingSteps: 500,
  saveTotalLimit: null,
  maxNonFiniteSteps: 3,
  seed: 42,
  shuffle: true,
  groupByLength: false,
};

interface Range {
  readonly name: string;
  readonly value: number;
  readonly isAllowed: (value: number) => boolean;
  readonly allowed: string;
}

/**
 * Checks the settings that the plan does not.
 *
 * Throws: `TRAIN_BAD_OPTION` naming the setting.
 */
export function checkSettings(settings: TrainingSettings): void {
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 1;
  const isSize = (value: number): boolean => Number.isFinite(value) && value >= 0;
  const isBeta = (value: number): boolean => value >= 0 && value < 1;
  const count = 'a whole number of at least 1';
  const size = 'a number of at least 0';
  const beta = 'at least 0 and below 1';
  const ranges: Range[] = [
    { name: 'learning_rate', value: settings.learningRate, isAllowed: isSize, allowed: size },
    { name: 'weight_decay', value: settings.weightDecay, isAllowed: isSize, allowed: size },
    { name: 'max_grad_norm', value: settings.maxGradNorm, isAllowed: isSize, allowed: size },
    { name: 'adam_epsilon', value: settings.adamEpsilon, isAllowed: isSize, allowed: size },
    { name: 'adam_beta1', value: settings.adamBeta1, isAllowed: isBeta, allowed: beta },
    { name: 'adam_beta2', value: settings.adamBeta2, isAllowed: isBeta, allowed: beta },
    { name: 'logging_steps', value: settings.loggingSteps, isAllowed: isCount, allowed: count },
    {
      name: 'save_total_limit',
      value: settings.saveTotalLimit ?? 1,
      isAllowed: isCount,
      allowed: count,
    },
    {
      name: 'max_non_finite_steps',
      value: settings.maxNonFiniteSteps,
      isAllowed: isCount,
      allowed: count,
    },
    { name: 'seed', value: settings.seed, isAllowed: Number.isSafeInteger, allowed: 'an integer' },
  ];
  const wrong = ranges.find((range) => !range.isAllowed(range.value));
  if (wrong !== undefined) throw badOption(wrong.name, wrong.value, wrong.allowed);
}

/** Names and values that decide the result of a run; a resumed run must agree on every one. */
export type Fingerprint = { readonly [name: string]: JsonValue };

/** The settings that decide the result; how often to log, evaluate and save is free to change. */
export function settingsFingerprint(settings: TrainingSettings): Fingerprint {
  return {
    per_device_train_batch_size: settings.perDeviceTrainBatchSize,
    gradient_accumulation_steps: settings.gradientAccumulationSteps,
    num_train_epochs: settings.numTrainEpochs,
    max_steps: settings.maxSteps,
    warmup_steps: settings.warmupSteps,
    warmup_ratio: settings.warmupRatio,
    dataloader_drop_last: settings.dataloaderDropLast,
    learning_rate: settings.learningRate,
    lr_scheduler_type: settings.lrSchedulerType,
    weight_decay: settings.weightDecay,
    adam_beta1: settings.adamBeta1,
    adam_beta2: settings.adamBeta2,
    adam_epsilon: settings.adamEpsilon,
    max_grad_norm: settings.maxGradNorm,
    seed: settings.seed,
    shuffle: settings.shuffle,
    group_by_length: settings.groupByLength,
  };
}

/** SHA-256 in hex of every row's tokens, labels and segments, in order. */
export function digestRows(rows: readonly PackedRow[]): string {
  const hash = createHash('sha256');
  for (const row of rows) {
    hash.update(`${row.segmentLengths.join(',')};`);
    hash.update(new Uint8Array(row.ids.buffer, row.ids.byteOffset, row.ids.byteLength));
    hash.update(row.learned);
    if (row.labels !== undefined)
      hash.update(new Uint8Array(row.labels.buffer, row.labels.byteOffset, row.labels.byteLength));
  }
  return hash.digest('hex');
}

/** Names whose values differ, with both values; an absent name reads as null. */
export function compareFingerprints(
  stored: Fingerprint,
  current: Fingerprint,
): readonly { readonly name: string; readonly stored: JsonValue; readonly current: JsonValue }[] {
  const names = [...new Set([...Object.keys(stored), ...Object.keys(current)])].sort();
  return names
    .map((name) => ({ name, stored: stored[name] ?? null, current: current[name] ?? null }))
    .filter((pair) => JSON.stringify(pair.stored) !== JSON.stringify(pair.current));
}

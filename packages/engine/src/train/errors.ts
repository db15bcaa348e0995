import { TuneyardError } from '@tuneyard/core';

/** Codes that the train folder raises. */
export const TRAIN_ERRORS = {
  /** A training setting is out of its range, or two settings contradict each other. */
  TRAIN_BAD_OPTION: 'TRAIN_BAD_OPTION',
  /** The settings and the data give no step to run. */
  TRAIN_NO_STEPS: 'TRAIN_NO_STEPS',
  /** No token of the training rows is a label. */
  TRAIN_NO_LEARNED_TOKENS: 'TRAIN_NO_LEARNED_TOKENS',
  /** The loss or the gradient was not finite in several steps in a row. */
  TRAIN_NON_FINITE: 'TRAIN_NON_FINITE',
  /** A fresh run would mix its checkpoints with those of an earlier one. */
  TRAIN_OUTPUT_NOT_EMPTY: 'TRAIN_OUTPUT_NOT_EMPTY',
  /** A directory holds no complete checkpoint. */
  TRAIN_CHECKPOINT_NOT_FOUND: 'TRAIN_CHECKPOINT_NOT_FOUND',
  /** A checkpoint's files do not parse or contradict each other. */
  TRAIN_CHECKPOINT_CORRUPT: 'TRAIN_CHECKPOINT_CORRUPT',
  /** A checkpoint was written by a run with another configuration, data or model. */
  TRAIN_CHECKPOINT_MISMATCH: 'TRAIN_CHECKPOINT_MISMATCH',
} as const;

/** Evaluations are planned but nothing can run them. */
export function nothingToEvaluate(): TuneyardError {
  return new TuneyardError(
    TRAIN_ERRORS.TRAIN_BAD_OPTION,
    'eval_strategy asks for evaluations but there are no validation rows',
    { hint: 'Set val_size or eval_dataset, or eval_strategy: "no".' },
  );
}

/** A fresh run finds an earlier run's checkpoint. */
export function outputNotEmpty(found: string): TuneyardError {
  return new TuneyardError(
    TRAIN_ERRORS.TRAIN_OUTPUT_NOT_EMPTY,
    `The output directory already has a checkpoint: ${found}`,
    {
      category: 'conflict',
      details: { checkpoint: found },
      hint: 'Resume from it, set overwrite_output_dir, or choose another output_dir.',
    },
  );
}

/** A run has left its finite numbers for good. */
export function nonFinite(state: {
  readonly step: number;
  readonly consecutiveNonFinite: number;
  readonly skippedSteps: readonly number[];
}): TuneyardError {
  const { step, consecutiveNonFinite, skippedSteps } = state;
  return new TuneyardError(
    TRAIN_ERRORS.TRAIN_NON_FINITE,
    `The loss or the gradient was not finite in ${consecutiveNonFinite} steps in a row, up to step ${step}`,
    {
      details: { step, skippedSteps },
      hint: 'Lower learning_rate, add warm-up steps, or look for broken samples near these steps.',
    },
  );
}

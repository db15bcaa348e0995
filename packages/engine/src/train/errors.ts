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

/** Training: from settings and rows to a trained model, checkpoints and a log. */
export { type CheckpointExpectation, loadCheckpoint, readTrainerState } from './checkpoint.js';
export { findLatestCheckpoint } from './checkpoint-directory.js';
export { TRAIN_ERRORS } from './errors.js';
export type { TrainingEvent, TrainingResult } from './events.js';
export {
  LOSS_PLOT_FILE,
  type LossPlotData,
  type LossPoint,
  lossPlotData,
  renderLossPlot,
  smoothLosses,
} from './loss-plot.js';
export {
  type Interval,
  measurePacks,
  measureRows,
  planTrainingRun,
  type RowSizes,
  type TrainingPlan,
  type TrainingPlanOptions,
} from './plan.js';
export {
  LR_SCHEDULER_TYPES,
  type LrSchedulerType,
  type SchedulePosition,
  scheduleFactor,
} from './schedule.js';
export {
  checkSettings,
  DEFAULT_TRAINING_SETTINGS,
  type Fingerprint,
  type TrainingSettings,
} from './settings.js';
export type { SkipReason } from './step.js';
export { runTraining, type TrainingOptions } from './trainer.js';
export type { TrainerState } from './trainer-state.js';
export { type LogEntry, TIMING_FIELDS, TRAINING_LOG_FILE } from './training-log.js';

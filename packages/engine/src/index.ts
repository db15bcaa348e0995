export {
  EVALUATE_ERRORS,
  type EvaluateOptions,
  type EvaluationProgress,
  type ExactMatch,
  type ExactMatchOptions,
  evaluateLoss,
  exactMatch,
  type LossEvaluation,
  normaliseAnswer,
  wilsonInterval,
} from './evaluate/index.js';
export {
  type FineTuneMethod,
  type FineTuneOptions,
  type FineTunePlan,
  type FineTuneResult,
  fineTune,
  previewFineTune,
} from './fine-tune/fine-tune.js';
export { GENERATE_ERRORS } from './generate/errors.js';
export {
  type GenerateOptions,
  type Generation,
  type GenerationResult,
  generate,
  generateBatch,
} from './generate/generate.js';
export { type SamplingOptions, sampleToken } from './generate/sampling.js';
export {
  openTextModel,
  stopTokens,
  TextModel,
  type TextModelOptions,
} from './generate/text-model.js';
export {
  CausalModel,
  type CausalModelOptions,
  type Decoder,
  type MemoryAdapter,
} from './model/causal-model.js';
export type { DecodeStep } from './model/decode-graph.js';
export { MODEL_ERRORS } from './model/errors.js';
export { GraphTrainingModel, type TrainingModelOptions } from './model/graph-training-model.js';
export { type MemoryPlan, planMemory, type TrainingMemory } from './model/memory-plan.js';
export type { BaseType, Placement } from './model/placement.js';
export { worthwhileThreads } from './model/threads.js';
export type {
  AdamWStep,
  LossSum,
  Trainable,
  TrainableState,
  TrainingModel,
} from './model/training-model.js';
export { findLatestCheckpoint } from './train/checkpoint-directory.js';
export { TRAIN_ERRORS } from './train/errors.js';
export type { TrainingEvent, TrainingResult } from './train/events.js';
export type { TrainingPlan } from './train/plan.js';
export {
  DEFAULT_TRAINING_SETTINGS,
  type Fingerprint,
  type TrainingSettings,
} from './train/settings.js';
export type { LogEntry } from './train/training-log.js';

/** From a job's recipe terms to the options of a fine-tuning. */
import type { PackedRow } from '@tuneyard/data';
import { DEFAULT_TRAINING_SETTINGS, type FineTuneOptions } from '@tuneyard/engine';
import { flagOf, inputPath, numberOf, optionalNumber, textOf } from './job-values.js';
import { defaultThreads } from './machine.js';
import type { StageJob } from './stage.js';

/** Share of a run between two held-out losses, or two checkpoints, where the recipe says nothing. */
const TENTH = 0.1;

/** Rows of a training. */
export interface TrainRows {
  readonly trainRows: readonly PackedRow[];
  /** Empty when nothing is held out. */
  readonly validationRows: readonly PackedRow[];
}

/** Everything of a fine-tuning that a job decides; what it does not is filled in by the stage. */
export type JobFineTuneOptions = Omit<
  FineTuneOptions,
  'workDir' | 'signal' | 'onPlan' | 'onEvent' | 'onStep'
>;

/** Translates a job. `logging_steps` is filled in for a run of `totalSteps`. */
export function fineTuneOptions(
  job: StageJob,
  rows: TrainRows,
  totalSteps: number | null,
): JobFineTuneOptions {
  const adapterPath = job.inputs['adapter'];
  return {
    ...rows,
    modelPath: inputPath(job, 'model'),
    ...(adapterPath === undefined ? {} : { adapterPath }),
    method: methodOf(job),
    baseType: textOf(job, 'model.base_type') as FineTuneOptions['baseType'],
    threads: optionalNumber(job, 'train.threads') ?? defaultThreads(),
    recompute: flagOf(job, 'train.gradient_checkpointing'),
    settings: settingsOf(job, rows, totalSteps),
  };
}

function methodOf(job: StageJob): FineTuneOptions['method'] {
  if (textOf(job, 'train.finetuning_type') === 'full') return { type: 'full' };
  const target = job.parameters['train.lora_target'];
  const targets = Array.isArray(target) ? target.map(String) : String(target).split(',');
  return {
    type: 'lora',
    rank: numberOf(job, 'train.lora_rank'),
    alpha: numberOf(job, 'train.lora_alpha'),
    rslora: flagOf(job, 'train.use_rslora'),
    targets: targets.map((name) => name.trim()).filter((name) => name !== ''),
  };
}

function settingsOf(
  job: StageJob,
  { validationRows }: TrainRows,
  totalSteps: number | null,
): FineTuneOptions['settings'] {
  const hundredth = Math.max(1, Math.floor((totalSteps ?? 0) / 100));
  return {
    ...DEFAULT_TRAINING_SETTINGS,
    perDeviceTrainBatchSize: numberOf(job, 'train.per_device_train_batch_size'),
    gradientAccumulationSteps: numberOf(job, 'train.gradient_accumulation_steps'),
    learningRate: numberOf(job, 'train.learning_rate'),
    numTrainEpochs: optionalNumber(job, 'train.num_train_epochs') ?? 1,
    maxSteps: optionalNumber(job, 'train.max_steps') ?? null,
    lrSchedulerType: textOf(job, 'train.lr_scheduler_type') as 'linear',
    warmupRatio: optionalNumber(job, 'train.warmup_ratio') ?? 0,
    warmupSteps: optionalNumber(job, 'train.warmup_steps') ?? 0,
    weightDecay: numberOf(job, 'train.weight_decay'),
    maxGradNorm: numberOf(job, 'train.max_grad_norm'),
    adamBeta1: numberOf(job, 'train.adam_beta1'),
    adamBeta2: numberOf(job, 'train.adam_beta2'),
    adamEpsilon: numberOf(job, 'train.adam_epsilon'),
    seed: numberOf(job, 'train.seed'),
    loggingSteps: optionalNumber(job, 'train.logging_steps') ?? hundredth,
    evalStrategy: validationRows.length === 0 ? 'no' : 'steps',
    evalSteps: optionalNumber(job, 'train.eval_steps') ?? TENTH,
    saveSteps: optionalNumber(job, 'train.save_steps') ?? TENTH,
    saveTotalLimit: numberOf(job, 'train.save_total_limit'),
  };
}

/** Trains an adapter, or all weights, on the tokens of a preprocess stage. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { formatBytes, formatCount } from '@tuneyard/core';
import { buildPackedRows, buildUnpackedRows, openTokenSet } from '@tuneyard/data';
import {
  type FineTunePlan,
  type FineTuneResult,
  fineTune,
  previewFineTune,
  type TrainingEvent,
} from '@tuneyard/engine';
import type { Facts, PlanFact } from '../executor/run-event.js';
import { checkTokens, type TokenCheckOptions } from './check-tokens.js';
import { flagOf, inputPath, numberOf } from './job-values.js';
import { availableMemory } from './machine.js';
import { tokenizerFilesOf } from './model-files.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo, StageJob } from './stage.js';
import { HISTORY_FILE, type TrainHistory, type TrainMetrics } from './stage-outputs.js';
import { fineTuneOptions, type JobFineTuneOptions, type TrainRows } from './train-options.js';

/** Trains; checkpoints go to the work directory, the adapter or model and its history to the artifact. */
export const trainStage: StageFunction = async (job, io) => {
  const rows = await readRows(job, io);
  const { options, plan } = await planTraining(job, rows, io);
  const onEvent = relayTraining(plan, io);
  const result = await fineTune(
    {
      ...options,
      workDir: io.workDir,
      signal: io.signal,
      onPlan: (final) => io.emit({ type: 'stage_plan', facts: planFacts(job, final) }),
      onEvent,
    },
    { outDir: io.dir, extraFiles: await tokenizerFilesOf(inputPath(job, 'model')) },
  );
  await writeFile(path.join(io.dir, HISTORY_FILE), JSON.stringify(historyOf(result)));
  return metricsOf(result);
};

async function readRows(job: StageJob, io: StageIo): Promise<TrainRows> {
  const maxLength = numberOf(job, 'data.cutoff_len');
  const train = await openTokenSet(inputPath(job, 'train'), { maxLength });
  await checkTokens(train, io, {
    modelPath: inputPath(job, 'model'),
    ignored: job.settings['data.ignore_findings'] as TokenCheckOptions['ignored'],
    cutoffLength: maxLength,
  });
  const validationDir = job.inputs['validation'];
  const validation =
    validationDir === undefined ? null : await openTokenSet(validationDir, { maxLength });
  return {
    trainRows: flagOf(job, 'data.packing')
      ? buildPackedRows(train.samples, maxLength)
      : buildUnpackedRows(train.samples),
    validationRows: validation === null ? [] : buildUnpackedRows(validation.samples),
  };
}

/** Plans the run, with activations recomputed where the recipe says so or memory asks for it. */
async function planTraining(
  job: StageJob,
  rows: TrainRows,
  io: StageIo,
): Promise<{ options: JobFineTuneOptions; plan: FineTunePlan }> {
  const first = await previewFineTune(fineTuneOptions(job, rows, null));
  const options = fineTuneOptions(job, rows, first.training.totalSteps);
  const available = availableMemory();
  if (first.memory.peak <= available) return { options, plan: first };
  const saving = { ...options, recompute: true };
  const second = await previewFineTune(saving);
  const isDecided = 'train.gradient_checkpointing' in job.settings;
  const chosen = isDecided ? { options, plan: first } : { options: saving, plan: second };
  const needs = `needs ${formatBytes(chosen.plan.memory.peak)}, ${formatBytes(available)} are free`;
  io.emit(
    chosen.plan.memory.peak > available
      ? { type: 'stage_log', level: 'warn', message: `memory may run out: ${needs}` }
      : { type: 'stage_log', level: 'info', message: `activations are recomputed: ${needs}` },
  );
  return chosen;
}

function planFacts(job: StageJob, plan: FineTunePlan): PlanFact[] {
  const { training, memory } = plan;
  const share = (100 * plan.trainedParameters) / plan.totalParameters;
  const samples =
    numberOf(job, 'train.per_device_train_batch_size') *
    numberOf(job, 'train.gradient_accumulation_steps');
  return [
    {
      label: 'Trained parameters',
      value: `${formatCount(plan.trainedParameters)} (${share.toPrecision(3)} %)`,
    },
    { label: 'Frozen base', value: plan.baseTypes.join(', ') },
    { label: 'Rows', value: `${formatCount(training.rows)}, ${samples} a step` },
    {
      label: 'Tokens an epoch',
      value: `${formatCount(training.tokensPerEpoch)}, ${formatCount(training.learnedTokensPerEpoch)} learned`,
    },
    {
      label: 'Steps',
      value: `${formatCount(training.totalSteps)}, ${Number(training.epochs.toFixed(2))} epochs`,
    },
    { label: 'Memory', value: `${formatBytes(memory.peak)} at most` },
    { label: 'Threads', value: String(plan.threads) },
    ...(plan.resumesFrom === 0
      ? []
      : [{ label: 'Goes on from', value: `step ${formatCount(plan.resumesFrom)}` }]),
  ];
}

/** Turns the trainer's events into the stage's. */
function relayTraining(plan: FineTunePlan, io: StageIo): (event: TrainingEvent) => void {
  const total = plan.training.totalSteps;
  const report = createProgressMeter({ unit: 'steps', total, emit: io.emit });
  const log = (level: 'info' | 'warn', message: string): void =>
    io.emit({ type: 'stage_log', level, message });
  return (event) => {
    switch (event.type) {
      case 'started':
        return report(event.step);
      case 'step':
        return report(event.step);
      case 'log':
        return report(event.entry.current_steps, numbersOf(event.entry));
      case 'evaluation':
        return log('info', `step ${event.step}: held-out loss ${event.loss.toFixed(4)}`);
      case 'skipped':
        return log('warn', `step ${event.step} was skipped: ${event.reason}`);
      case 'environment_changed':
        return log('warn', 'other threads or libraries than before: last digits may differ');
      case 'checkpoint':
        return log('info', `checkpoint at step ${event.step}`);
      default:
        return undefined;
    }
  };
}

type LogEntry = FineTuneResult['training']['logHistory'][number];

/** Numbers of a log line under the names that metrics have everywhere. */
function numbersOf(entry: LogEntry): { readonly [name: string]: number } {
  const named = {
    loss: entry.loss,
    heldOutLoss: entry.eval_loss,
    learningRate: entry.lr,
    gradNorm: entry.grad_norm,
    tokensPerSecond: entry.tokens_per_second,
    epoch: entry.epoch,
  };
  return Object.fromEntries(
    Object.entries(named).flatMap(([name, value]) =>
      typeof value === 'number' ? [[name, value]] : [],
    ),
  );
}

function historyOf({ training }: FineTuneResult): TrainHistory {
  const train: TrainHistory['train'] = [];
  const heldOut: TrainHistory['heldOut'] = [];
  for (const entry of training.logHistory) {
    const step = entry.current_steps;
    if (entry.loss !== undefined) train.push({ step, loss: entry.loss });
    if (typeof entry.eval_loss === 'number') heldOut.push({ step, loss: entry.eval_loss });
  }
  return { train, heldOut };
}

function metricsOf(result: FineTuneResult): Facts {
  const { training, plan } = result;
  const metrics: TrainMetrics = {
    steps: training.steps,
    skippedSteps: training.skippedSteps.length,
    trainedParameters: plan.trainedParameters,
    tokens: training.tokens,
    learnedTokens: training.learnedTokens,
    tokensPerSecond: result.tokensPerSecond,
    trainLoss: training.trainLoss,
    heldOutLossBefore: training.evalLossBefore,
    heldOutLossAfter: training.evalLossAfter,
    plannedMemoryBytes: plan.memory.peak,
    peakMemoryBytes: result.peakMemoryBytes,
  };
  return { ...metrics };
}

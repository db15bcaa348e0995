/**
 * Fine-tuning from a model on disk to an adapter or a model on disk: plan, train, write.
 *
 * The only folder that puts the model and the training loop together.
 */
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { ggmlCodec } from '@tuneyard/ggml';
import {
  type AdapterConfig,
  type ExtraFile,
  exportHf,
  type ModelSource,
  matchAdapter,
  openModel,
  readPeftAdapter,
  writePeftAdapter,
} from '@tuneyard/weights';
import { evaluateLoss } from '../evaluate/index.js';
import { GraphTrainingModel, type TrainingModelOptions } from '../model/graph-training-model.js';
import { planMemory, type TrainingMemory } from '../model/memory-plan.js';
import type { BaseType } from '../model/placement.js';
import { findLatestCheckpoint } from '../train/checkpoint-directory.js';
import type { TrainingEvent, TrainingResult } from '../train/events.js';
import { LOSS_PLOT_FILE, lossPlotData, renderLossPlot } from '../train/loss-plot.js';
import { measureRows, planTrainingRun, type TrainingPlan } from '../train/plan.js';
import type { Fingerprint, TrainingSettings } from '../train/settings.js';
import { runTraining } from '../train/trainer.js';
import { TRAINING_LOG_FILE } from '../train/training-log.js';

/** What is trained. */
export type FineTuneMethod =
  | { readonly type: 'full' }
  | {
      readonly type: 'lora';
      readonly rank: number;
      readonly alpha: number;
      readonly rslora: boolean;
      /** `['all']` or module names. */
      readonly targets: readonly string[];
    };

/** Everything that a fine-tuning needs. */
export interface FineTuneOptions {
  /** A Hugging Face directory or a GGUF file. */
  readonly modelPath: string;
  /** A PEFT adapter to go on from; its own rank and targets count. */
  readonly adapterPath?: string | undefined;
  readonly method: FineTuneMethod;
  readonly baseType: BaseType;
  readonly threads: number;
  /** Recompute activations in the backward. */
  readonly recompute: boolean;
  readonly trainRows: readonly PackedRow[];
  /** Evaluated before, during and after as the settings say; may be empty. */
  readonly validationRows: readonly PackedRow[];
  readonly settings: TrainingSettings;
  /** Checkpoints and the log; kept until the run has succeeded. */
  readonly workDir: string;
  /** What else decides the result and is not seen here: recipe name, data set names. */
  readonly configuration?: Fingerprint | undefined;
  readonly environment?: Fingerprint | undefined;
  readonly onPlan?: ((plan: FineTunePlan) => void) | undefined;
  readonly onEvent?: ((event: TrainingEvent) => void) | undefined;
  readonly onStep?: ((step: number) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What will be done and what it takes, known before anything is read. */
export interface FineTunePlan extends TrainingMemory {
  readonly training: TrainingPlan;
  readonly threads: number;
  /** Element types of the matrices, most elements first. */
  readonly baseTypes: readonly string[];
  /** Step of the checkpoint that the run goes on from; 0 for a fresh run. */
  readonly resumesFrom: number;
}

/** What a fine-tuning made. */
export interface FineTuneResult {
  readonly training: TrainingResult;
  readonly plan: FineTunePlan;
  /** Tokens per second over the steps of this attempt, padding not counted. */
  readonly tokensPerSecond: number;
  /** Largest resident size of the process, in bytes. */
  readonly peakMemoryBytes: number;
}

/**
 * Trains and writes an adapter directory (LoRA) or a Hugging Face model directory (full) to `outDir`.
 *
 * `extraFiles` are added to a full model's directory: the tokenizer of a GGUF base.
 * Throws: what reading the model throws, `MODEL_UNKNOWN_TARGET`, the errors of `runTraining`. After
 * `CANCELLED` or a crash, the same call goes on from the last checkpoint in `workDir`.
 */
export async function fineTune(
  options: FineTuneOptions,
  output: { readonly outDir: string; readonly extraFiles?: readonly ExtraFile[] },
): Promise<FineTuneResult> {
  const source = await openModel(options.modelPath);
  try {
    const modelOptions = await trainingModelOptions(source, options);
    const resumeFrom = (await findLatestCheckpoint(options.workDir)) ?? null;
    const plan = planFineTune(source, modelOptions, { ...options, resumeFrom });
    options.onPlan?.(plan);
    throwIfAborted(options.signal);
    using model = await GraphTrainingModel.open(source, modelOptions);
    const { training, tokensPerSecond } = await train(model, options, resumeFrom);
    const adapterConfig = modelOptions.adapter?.config ?? null;
    await writeResult(model, source, { ...options, ...output, adapterConfig });
    await writeRecord(options.workDir, output.outDir, training);
    const peakMemoryBytes = process.resourceUsage().maxRSS * 1024;
    return { training, plan, tokensPerSecond, peakMemoryBytes };
  } finally {
    await source.close();
  }
}

/** Plans a fine-tuning without reading a weight; for a dry run. Throws as {@link fineTune}. */
export async function previewFineTune(
  options: Omit<FineTuneOptions, 'workDir' | 'configuration'>,
): Promise<FineTunePlan> {
  const source = await openModel(options.modelPath);
  try {
    const modelOptions = await trainingModelOptions(source, options);
    return planFineTune(source, modelOptions, { ...options, resumeFrom: null });
  } finally {
    await source.close();
  }
}

async function trainingModelOptions(
  source: ModelSource,
  options: Omit<FineTuneOptions, 'workDir' | 'configuration'>,
): Promise<TrainingModelOptions> {
  const { method, adapterPath, baseType, threads, recompute, settings, signal } = options;
  const replicas = Math.min(threads, settings.perDeviceTrainBatchSize);
  const shared = { baseType, threads, replicas, recompute, seed: settings.seed, signal };
  if (method.type === 'full') return { ...shared, adapter: null };
  if (adapterPath !== undefined) {
    const adapter = await readPeftAdapter(adapterPath);
    matchAdapter(source, adapter);
    const targetModules = adapter.pairs.map((p) => p.module);
    return {
      ...shared,
      adapter: { config: { ...adapter.config, targetModules }, pairs: adapter.pairs },
    };
  }
  const config: AdapterConfig = {
    rank: method.rank,
    alpha: method.alpha,
    rslora: method.rslora,
    dropout: 0,
    targetModules: method.targets,
    baseModel: options.modelPath,
    rankPattern: {},
    alphaPattern: {},
  };
  return { ...shared, adapter: { config, pairs: null } };
}

function planFineTune(
  source: ModelSource,
  modelOptions: TrainingModelOptions,
  options: Pick<FineTuneOptions, 'trainRows' | 'validationRows' | 'settings' | 'threads'> & {
    readonly resumeFrom: string | null;
  },
): FineTunePlan {
  const { trainRows, validationRows, settings, threads, resumeFrom } = options;
  const training = planTrainingRun(measureRows(trainRows), settings);
  const memory = planMemory(source, modelOptions, {
    rows: [...trainRows, ...validationRows],
    batchSize: settings.perDeviceTrainBatchSize,
  });
  const resumesFrom = Number(/checkpoint-(\d+)$/.exec(resumeFrom ?? '')?.[1] ?? 0);
  return {
    ...memory,
    training,
    threads,
    resumesFrom,
    baseTypes: matrixTypes(source, modelOptions),
  };
}

function matrixTypes(source: ModelSource, { baseType, adapter }: TrainingModelOptions): string[] {
  if (adapter === null) return ['f32'];
  if (baseType !== 'auto') return [baseType];
  return [...new Set(source.parameters.filter((p) => p.role === 'linear').map((p) => p.type))];
}

async function train(
  model: GraphTrainingModel,
  options: FineTuneOptions,
  resumeFrom: string | null,
): Promise<{ training: TrainingResult; tokensPerSecond: number }> {
  const { validationRows, settings } = options;
  let tokens = 0;
  let milliseconds = 0;
  const training = await runTraining({
    model,
    rows: options.trainRows,
    settings,
    outputDir: options.workDir,
    evaluate:
      validationRows.length === 0
        ? null
        : (signal) =>
            evaluateLoss(model, validationRows, settings.perDeviceTrainBatchSize, { signal }),
    configuration: options.configuration,
    environment: options.environment,
    resumeFrom,
    onStep: options.onStep,
    signal: options.signal,
    onEvent: (event) => {
      if (event.type === 'step') {
        tokens += event.tokens;
        milliseconds += event.durationMs;
      }
      options.onEvent?.(event);
    },
  });
  return { training, tokensPerSecond: milliseconds === 0 ? 0 : (tokens / milliseconds) * 1000 };
}

async function writeResult(
  model: GraphTrainingModel,
  source: ModelSource,
  options: Pick<FineTuneOptions, 'signal'> & {
    readonly outDir: string;
    readonly extraFiles?: readonly ExtraFile[];
    readonly adapterConfig: AdapterConfig | null;
  },
): Promise<void> {
  const { outDir, adapterConfig, signal } = options;
  if (adapterConfig !== null) {
    const pairs = model.readAdapter();
    const config = { ...adapterConfig, targetModules: moduleNames(pairs) };
    await writePeftAdapter(outDir, { pairs }, { config, ...(signal ? { signal } : {}) });
    return;
  }
  const values = new Map((await model.readState()).map((s) => [s.name, s.value]));
  const trained = trainedSource(source, values);
  const dtype = source.config.torchDtype;
  await exportHf(trained, outDir, {
    dtype,
    codec: ggmlCodec,
    ...(signal ? { signal } : {}),
    ...(options.extraFiles ? { extraFiles: options.extraFiles } : {}),
  });
}

/** The log and the loss curve stay with the result. */
async function writeRecord(
  workDir: string,
  outDir: string,
  training: TrainingResult,
): Promise<void> {
  await copyFile(join(workDir, TRAINING_LOG_FILE), join(outDir, TRAINING_LOG_FILE));
  const plot = renderLossPlot(lossPlotData('Training loss', training.logHistory));
  await writeFile(join(outDir, LOSS_PLOT_FILE), plot);
}

/** PEFT names targets by the last part of their path. */
function moduleNames(pairs: readonly { readonly module: string }[]): string[] {
  return [...new Set(pairs.map((p) => p.module.split('.').at(-1) ?? p.module))].sort();
}

/** The model with trained f32 values in place of the stored ones. */
function trainedSource(
  source: ModelSource,
  values: ReadonlyMap<string, Float32Array>,
): ModelSource {
  return {
    ...source,
    kind: source.kind,
    path: source.path,
    config: source.config,
    parameters: source.parameters.map((p) => ({
      ...p,
      type: 'f32',
      byteLength: p.shape.reduce((a, b) => a * b, 4),
    })),
    ignoredTensors: source.ignoredTensors,
    generationConfig: source.generationConfig,
    files: source.files,
    read: (name) => {
      const value = values.get(name);
      if (value === undefined) return source.read(name);
      return Promise.resolve(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
    },
    close: () => Promise.resolve(),
  };
}

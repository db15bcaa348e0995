/**
 * The training loop.
 *
 * Between two steps the run is plain data ({@link TrainerState}) plus the model's tensors, and whatever is due
 * there (log, evaluation, checkpoint) follows from that data alone. So a run that is killed and resumed from a
 * checkpoint repeats exactly what it would have done: same weights, same log but for the times.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { defined, TuneyardError, throwIfAborted } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import type { TrainingModel } from '../model/training-model.js';
import { loadCheckpoint, writeCheckpoint } from './checkpoint.js';
import {
  findLatestCheckpoint,
  removeAllCheckpoints,
  removeLeftovers,
  rotateCheckpoints,
} from './checkpoint-directory.js';
import { nonFinite, nothingToEvaluate, outputNotEmpty } from './errors.js';
import type { TrainingEvent, TrainingResult } from './events.js';
import { BatchLoader } from './loader.js';
import { measureRows, planTrainingRun, type TrainingPlan } from './plan.js';
import { scheduleFactor } from './schedule.js';
import {
  checkSettings,
  compareFingerprints,
  digestRows,
  type Fingerprint,
  settingsFingerprint,
  type TrainingSettings,
} from './settings.js';
import { runStep } from './step.js';
import {
  afterStep,
  evaluationEntry,
  initialState,
  isLogDue,
  summarise,
  trainingEntry,
  withEntry,
} from './trainer-progress.js';
import type { TrainerState } from './trainer-state.js';
import { appendLogEntry, type LogEntry, rewriteLog } from './training-log.js';

/** What a run needs beside its settings. */
export interface TrainingOptions {
  readonly model: TrainingModel;
  readonly rows: readonly PackedRow[];
  readonly settings: TrainingSettings;
  /** Checkpoints and `trainer_log.jsonl` go here. */
  readonly outputDir: string;
  /** Mean loss over the validation rows; called where the plan says so. Null when nothing is evaluated. */
  readonly evaluate?:
    | ((signal: AbortSignal | undefined) => Promise<{ readonly loss: number }>)
    | null
    | undefined;
  /** What else decides the result: base model, adapter, data set. A resumed run must agree. */
  readonly configuration?: Fingerprint | undefined;
  /** Threads and library versions. A resumed run is told when they differ. */
  readonly environment?: Fingerprint | undefined;
  /** A checkpoint directory to go on from; see `findLatestCheckpoint`. */
  readonly resumeFrom?: string | null | undefined;
  /** Lets a fresh run delete the checkpoints of an earlier one. */
  readonly overwriteOutputDir?: boolean | undefined;
  /** Writes further files into each checkpoint before it gets its name. */
  readonly addCheckpointFiles?: ((directory: string) => Promise<void>) | undefined;
  readonly onEvent?: ((event: TrainingEvent) => void) | undefined;
  /** Called after each step and all that was due there; a fault thrown here ends the run as a crash would. */
  readonly onStep?: ((step: number) => void | Promise<void>) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly clock?: (() => number) | undefined;
}

/**
 * Trains the model, or goes on with a run from its checkpoint, to the last step of the plan.
 *
 * Throws: `TRAIN_BAD_OPTION`, `TRAIN_NO_STEPS`, `TRAIN_NO_LEARNED_TOKENS` before anything is touched;
 * `TRAIN_OUTPUT_NOT_EMPTY` for a fresh run over an old one; the errors of `loadCheckpoint`;
 * `TRAIN_NON_FINITE` after too many bad steps in a row; `CANCELLED` when the signal fires: the running step
 * ends and is saved first.
 * Mutates: the model, and files below `outputDir`.
 */
export async function runTraining(options: TrainingOptions): Promise<TrainingResult> {
  checkSettings(options.settings);
  const sizes = measureRows(options.rows);
  const plan = planTrainingRun(sizes, options.settings);
  if (plan.evalSteps.length > 0 && !options.evaluate) throw nothingToEvaluate();
  const loader = new BatchLoader(sizes.tokens, {
    seed: options.settings.seed,
    microBatchSize: options.settings.perDeviceTrainBatchSize,
    gradientAccumulationSteps: options.settings.gradientAccumulationSteps,
    dropLast: options.settings.dataloaderDropLast,
    shuffle: options.settings.shuffle,
    groupByLength: options.settings.groupByLength,
  });
  return new TrainingRun(options, plan, loader).run();
}

class TrainingRun {
  readonly #options: TrainingOptions;
  readonly #plan: TrainingPlan;
  readonly #loader: BatchLoader;
  readonly #saveSteps: ReadonlySet<number>;
  readonly #evalSteps: ReadonlySet<number>;
  readonly #clock: () => number;
  #state: TrainerState;
  /** Clock reading at which the state's elapsed time was last brought up to date. */
  #countedUntil: number;
  /** The state as last saved, so that nothing is saved twice. */
  #saved: TrainerState | null = null;
  #isBetweenSteps = false;

  constructor(options: TrainingOptions, plan: TrainingPlan, loader: BatchLoader) {
    this.#options = options;
    this.#plan = plan;
    this.#loader = loader;
    this.#saveSteps = new Set(plan.saveSteps);
    this.#evalSteps = new Set(plan.evalSteps);
    this.#clock = options.clock ?? (() => performance.now());
    this.#countedUntil = this.#clock();
    this.#state = initialState(plan, {
      fingerprint: {
        ...options.configuration,
        ...settingsFingerprint(options.settings),
        train_rows: options.rows.length,
        train_rows_sha256: digestRows(options.rows),
      },
      environment: options.environment ?? {},
    });
  }

  async run(): Promise<TrainingResult> {
    throwIfAborted(this.#options.signal);
    await mkdir(this.#options.outputDir, { recursive: true });
    await this.#begin();
    this.#emit({ type: 'started', plan: this.#plan, step: this.#state.step });
    try {
      await this.#loop();
    } catch (error) {
      if (isCancellation(error) && this.#isBetweenSteps) await this.#saveBeforeStopping();
      throw error;
    }
    await this.#loadBest();
    return this.#finish();
  }

  async #begin(): Promise<void> {
    const { outputDir, resumeFrom } = this.#options;
    // The load comes first: it may read what the cleaning renames.
    if (resumeFrom) await this.#resume(resumeFrom);
    await removeLeftovers(outputDir);
    if (!resumeFrom) await this.#clearOutput();
    await rewriteLog(outputDir, this.#state.logHistory);
    this.#isBetweenSteps = true;
  }

  async #resume(path: string): Promise<void> {
    const { model } = this.#options;
    const { fingerprint, environment } = this.#state;
    const expected = { trainables: model.trainables, fingerprint };
    const { state, tensors } = await loadCheckpoint(path, expected);
    if (compareFingerprints(state.environment, environment).length > 0) {
      this.#emit({ type: 'environment_changed', stored: state.environment, current: environment });
    }
    await model.writeState(tensors);
    this.#state = { ...state, environment };
    this.#saved = this.#state;
  }

  async #clearOutput(): Promise<void> {
    const { outputDir, overwriteOutputDir } = this.#options;
    const found = await findLatestCheckpoint(outputDir);
    if (found !== null && !overwriteOutputDir) throw outputNotEmpty(found);
    await removeAllCheckpoints(outputDir);
  }

  async #loop(): Promise<void> {
    const { signal, onStep } = this.#options;
    await this.#doWhatIsDue();
    while (this.#state.step < this.#plan.totalSteps) {
      throwIfAborted(signal);
      this.#isBetweenSteps = false;
      await this.#step();
      this.#isBetweenSteps = true;
      await this.#doWhatIsDue();
      await onStep?.(this.#state.step);
    }
  }

  async #step(): Promise<void> {
    const { model, rows, settings } = this.#options;
    const { step, updates, cursor } = this.#state;
    const { warmupSteps, totalSteps } = this.#plan;
    const position = { step, warmupSteps, totalSteps };
    const learningRate = settings.learningRate * scheduleFactor(settings.lrSchedulerType, position);
    const batches = this.#loader.microBatches(cursor);
    const microBatches = batches.map((batch) => batch.map((row) => defined(rows[row], 'row')));
    const startedAt = this.#clock();
    const outcome = await runStep(model, { microBatches, updates, learningRate, settings });
    const durationMs = this.#clock() - startedAt;
    this.#state = afterStep(this.#state, {
      outcome,
      learningRate,
      durationMs,
      cursor: this.#loader.cursor(step + 1),
    });
    this.#countTime();
    this.#reportStep(outcome, { learningRate, durationMs });
    if (this.#state.consecutiveNonFinite >= settings.maxNonFiniteSteps) {
      throw nonFinite(this.#state);
    }
  }

  #reportStep(
    outcome: Awaited<ReturnType<typeof runStep>>,
    facts: { readonly learningRate: number; readonly durationMs: number },
  ): void {
    const { step, totalSteps, stepsPerEpoch, consecutiveNonFinite: consecutive } = this.#state;
    const { loss, gradNorm, skipped, tokens, learnedTokens } = outcome;
    if (skipped !== null) {
      this.#emit({ type: 'skipped', step, totalSteps, reason: skipped, consecutive });
      return;
    }
    this.#emit({
      type: 'step',
      step,
      totalSteps,
      epoch: step / stepsPerEpoch,
      loss: defined(loss, 'loss'),
      gradNorm: defined(gradNorm, 'gradient norm'),
      tokens,
      learnedTokens,
      ...facts,
    });
  }

  /** Logs, evaluates and saves where that is due and not yet done; the order is the reference's. */
  async #doWhatIsDue(): Promise<void> {
    const { settings } = this.#options;
    const { step } = this.#state;
    if (isLogDue(this.#state, settings.loggingSteps)) {
      await this.#log(trainingEntry(this.#state));
    }
    if (this.#evalSteps.has(step) && this.#state.lastEvaluation?.step !== step) {
      await this.#evaluate();
    }
    if (this.#saveSteps.has(step) && this.#saved !== this.#state) await this.#save();
  }

  async #log(entry: LogEntry): Promise<void> {
    this.#state = withEntry(this.#state, entry);
    await appendLogEntry(this.#options.outputDir, entry);
    this.#emit({ type: 'log', entry });
  }

  async #evaluate(): Promise<void> {
    const { evaluate, signal } = this.#options;
    const { step } = this.#state;
    throwIfAborted(signal);
    this.#emit({ type: 'evaluation_started', step });
    const startedAt = this.#clock();
    const { loss } = await defined(evaluate, 'evaluation')(signal);
    const durationMs = this.#clock() - startedAt;
    this.#countTime();
    const evalLoss = Number.isFinite(loss) ? loss : null;
    this.#state = { ...this.#state, lastEvaluation: { step, evalLoss } };
    this.#emit({ type: 'evaluation', step, loss, perplexity: Math.exp(loss), durationMs });
    await this.#log(evaluationEntry(this.#state, loss));
  }

  async #save(): Promise<void> {
    const { model, outputDir, addCheckpointFiles, settings } = this.#options;
    this.#countTime();
    if (this.#saveSteps.has(this.#state.step)) this.#state = withBest(this.#state);
    const { step, best } = this.#state;
    const path = await writeCheckpoint(outputDir, {
      state: this.#state,
      trainables: model.trainables,
      tensors: await model.readState(),
      addFiles: addCheckpointFiles,
    });
    this.#saved = this.#state;
    this.#emit({ type: 'checkpoint', step, path });
    if (settings.saveTotalLimit === null) return;
    const paths = await rotateCheckpoints(outputDir, {
      limit: settings.saveTotalLimit,
      currentStep: step,
      bestStep: settings.loadBestModelAtEnd ? (best?.step ?? null) : null,
    });
    if (paths.length > 0) this.#emit({ type: 'checkpoints_removed', paths });
  }

  async #saveBeforeStopping(): Promise<void> {
    if (this.#state.step > 0 && this.#saved !== this.#state) await this.#save();
  }

  async #loadBest(): Promise<void> {
    const { model, settings, outputDir } = this.#options;
    const { best, step, fingerprint } = this.#state;
    if (!settings.loadBestModelAtEnd || best === null || best.step === step) return;
    const expected = { trainables: model.trainables, fingerprint };
    const path = join(outputDir, `checkpoint-${best.step}`);
    await model.writeState((await loadCheckpoint(path, expected)).tensors);
    this.#emit({ type: 'best_loaded', ...best });
  }

  #finish(): TrainingResult {
    const { best, step } = this.#state;
    const isBestLoaded = this.#options.settings.loadBestModelAtEnd && best !== null;
    const result = summarise(this.#plan, this.#state, isBestLoaded ? best.step : step);
    this.#emit({ type: 'finished', result });
    return result;
  }

  /** Adds the time since the last call to the run's elapsed time, which earlier attempts began. */
  #countTime(): void {
    const now = this.#clock();
    const elapsedMs = this.#state.elapsedMs + (now - this.#countedUntil);
    this.#countedUntil = now;
    this.#state = { ...this.#state, elapsedMs };
  }

  #emit(event: TrainingEvent): void {
    this.#options.onEvent?.(event);
  }
}

/** Only steps of the plan count, so that a checkpoint made on cancelling cannot change which one is the best. */
function withBest(state: TrainerState): TrainerState {
  const { lastEvaluation, best, step } = state;
  if (lastEvaluation?.step !== step || lastEvaluation.evalLoss === null) return state;
  if (best !== null && best.evalLoss <= lastEvaluation.evalLoss) return state;
  return { ...state, best: { step, evalLoss: lastEvaluation.evalLoss } };
}

function isCancellation(error: unknown): boolean {
  return error instanceof TuneyardError && error.category === 'cancelled';
}

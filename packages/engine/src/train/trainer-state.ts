/**
 * Everything that a run remembers between steps beside its tensors, and its form in `trainer_state.json`.
 *
 * The file keeps Hugging Face's names where its Trainer has the field (`global_step`, `max_steps`, `epoch`,
 * `num_input_tokens_seen`, `best_metric`, `log_history`), so that tools that read those find them.
 */
import { type JsonValue, TuneyardError } from '@tuneyard/core';
import { TRAIN_ERRORS } from './errors.js';
import type { DataCursor } from './loader.js';
import type { Fingerprint } from './settings.js';
import type { LogEntry } from './training-log.js';

/** Result of an evaluation, by the step after which it ran. */
export interface EvaluatedStep {
  readonly step: number;
  /** Null when the loss was not finite. */
  readonly evalLoss: number | null;
}

/** What was added up since the last line of the log. */
export interface LogWindow {
  /** Steps, skipped ones included. */
  readonly steps: number;
  /** Steps whose loss is in `lossTotal`. */
  readonly updates: number;
  readonly lossTotal: number;
  readonly gradNorm: number | null;
  readonly learningRate: number;
  readonly tokens: number;
  readonly trainMs: number;
}

/** State of a run at the boundary between two steps. */
export interface TrainerState {
  /** Steps completed, skipped ones included. */
  readonly step: number;
  readonly totalSteps: number;
  readonly stepsPerEpoch: number;
  readonly cursor: DataCursor;
  /** Steps that changed the weights; the bias correction of AdamW counts these. */
  readonly updates: number;
  readonly consecutiveNonFinite: number;
  readonly skippedSteps: readonly number[];
  /** Sum over updates of the step's mean loss. */
  readonly lossTotal: number;
  readonly tokens: number;
  readonly learnedTokens: number;
  readonly window: LogWindow;
  readonly lastEvaluation: EvaluatedStep | null;
  /** Lowest evaluation loss among saved steps. */
  readonly best: { readonly step: number; readonly evalLoss: number } | null;
  readonly elapsedMs: number;
  readonly fingerprint: Fingerprint;
  /** Thread count and library versions: they may change the last bits of a result. */
  readonly environment: Fingerprint;
  readonly logHistory: readonly LogEntry[];
}

/** A window in which nothing has happened yet. */
export const EMPTY_WINDOW: LogWindow = {
  steps: 0,
  updates: 0,
  lossTotal: 0,
  gradNorm: null,
  learningRate: 0,
  tokens: 0,
  trainMs: 0,
};

/** Converts to the JSON of `trainer_state.json`. */
export function formatTrainerState(state: TrainerState): { readonly [key: string]: JsonValue } {
  const { best } = state;
  return {
    global_step: state.step,
    max_steps: state.totalSteps,
    epoch: state.step / state.stepsPerEpoch,
    steps_per_epoch: state.stepsPerEpoch,
    cursor: { epoch: state.cursor.epoch, step_in_epoch: state.cursor.stepInEpoch },
    updates: state.updates,
    consecutive_non_finite: state.consecutiveNonFinite,
    skipped_steps: state.skippedSteps,
    loss_total: state.lossTotal,
    num_input_tokens_seen: state.tokens,
    num_learned_tokens_seen: state.learnedTokens,
    window: { ...state.window },
    last_evaluation: state.lastEvaluation === null ? null : { ...state.lastEvaluation },
    best_metric: best?.evalLoss ?? null,
    best_global_step: best?.step ?? null,
    best_model_checkpoint: best === null ? null : `checkpoint-${best.step}`,
    elapsed_ms: state.elapsedMs,
    fingerprint: state.fingerprint,
    environment: state.environment,
    log_history: state.logHistory.map((entry) => ({ ...entry })),
  };
}

/**
 * Reads the JSON of `trainer_state.json`.
 *
 * Throws: `TRAIN_CHECKPOINT_CORRUPT` naming the file and the field.
 */
export function parseTrainerState(raw: unknown, where: string): TrainerState {
  const fields = new FieldReader(raw, where);
  const cursor = fields.object('cursor');
  const window = fields.object('window');
  const evaluation = fields.optionalObject('last_evaluation');
  const bestStep = fields.optionalNumber('best_global_step');
  const bestLoss = fields.optionalNumber('best_metric');
  return {
    step: fields.number('global_step'),
    totalSteps: fields.number('max_steps'),
    stepsPerEpoch: fields.number('steps_per_epoch'),
    cursor: { epoch: cursor.number('epoch'), stepInEpoch: cursor.number('step_in_epoch') },
    updates: fields.number('updates'),
    consecutiveNonFinite: fields.number('consecutive_non_finite'),
    skippedSteps: fields.array('skipped_steps').map(Number),
    lossTotal: fields.number('loss_total'),
    tokens: fields.number('num_input_tokens_seen'),
    learnedTokens: fields.number('num_learned_tokens_seen'),
    window: {
      steps: window.number('steps'),
      updates: window.number('updates'),
      lossTotal: window.number('lossTotal'),
      gradNorm: window.optionalNumber('gradNorm'),
      learningRate: window.number('learningRate'),
      tokens: window.number('tokens'),
      trainMs: window.number('trainMs'),
    },
    lastEvaluation:
      evaluation === null
        ? null
        : { step: evaluation.number('step'), evalLoss: evaluation.optionalNumber('evalLoss') },
    best: bestStep === null || bestLoss === null ? null : { step: bestStep, evalLoss: bestLoss },
    elapsedMs: fields.number('elapsed_ms'),
    fingerprint: fields.object('fingerprint').value as Fingerprint,
    environment: fields.object('environment').value as Fingerprint,
    logHistory: fields.array('log_history') as readonly LogEntry[],
  };
}

/** Reads typed fields of a JSON object; every complaint names the file and the path of the field. */
class FieldReader {
  readonly value: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    this.#where = where;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.#wrong('', value, 'an object');
    }
    this.value = value as Readonly<Record<string, unknown>>;
  }

  number(name: string): number {
    const found = this.value[name];
    if (typeof found === 'number') return found;
    throw this.#wrong(name, found, 'a number');
  }

  optionalNumber(name: string): number | null {
    return this.value[name] === null ? null : this.number(name);
  }

  array(name: string): readonly unknown[] {
    const found = this.value[name];
    if (Array.isArray(found)) return found;
    throw this.#wrong(name, found, 'an array');
  }

  object(name: string): FieldReader {
    return new FieldReader(this.value[name], `${this.#where}: ${name}`);
  }

  optionalObject(name: string): FieldReader | null {
    return this.value[name] === null ? null : this.object(name);
  }

  #wrong(name: string, found: unknown, expected: string): TuneyardError {
    const at = name === '' ? this.#where : `${this.#where}: ${name}`;
    const kind = found === null ? 'null' : typeof found;
    return new TuneyardError(
      TRAIN_ERRORS.TRAIN_CHECKPOINT_CORRUPT,
      `${at} is ${kind === 'undefined' ? 'missing' : kind}; it must be ${expected}`,
    );
  }
}

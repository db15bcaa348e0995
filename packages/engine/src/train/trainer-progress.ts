/** How a step changes the state of a run, and what the log says of a state. Pure. */
import type { TrainingResult } from './events.js';
import type { DataCursor } from './loader.js';
import type { TrainingPlan } from './plan.js';
import type { StepOutcome } from './step.js';
import { EMPTY_WINDOW, type TrainerState } from './trainer-state.js';
import { type LogEntry, positionFields, roundTo } from './training-log.js';

/** The state of a run that has done nothing. */
export function initialState(
  plan: TrainingPlan,
  identity: Pick<TrainerState, 'fingerprint' | 'environment'>,
): TrainerState {
  return {
    step: 0,
    totalSteps: plan.totalSteps,
    stepsPerEpoch: plan.stepsPerEpoch,
    cursor: { epoch: 0, stepInEpoch: 0 },
    updates: 0,
    consecutiveNonFinite: 0,
    skippedSteps: [],
    lossTotal: 0,
    tokens: 0,
    learnedTokens: 0,
    window: EMPTY_WINDOW,
    lastEvaluation: null,
    best: null,
    elapsedMs: 0,
    logHistory: [],
    ...identity,
  };
}

/** What {@link afterStep} adds to the state. */
export interface CompletedStep {
  readonly outcome: StepOutcome;
  readonly learningRate: number;
  readonly durationMs: number;
  /** Where the data stands afterwards. */
  readonly cursor: DataCursor;
}

/** The state after a step. A step without labels neither extends nor ends a series of non-finite ones. */
export function afterStep(state: TrainerState, completed: CompletedStep): TrainerState {
  const { outcome, learningRate, durationMs, cursor } = completed;
  const step = state.step + 1;
  const { window } = state;
  const isUpdate = outcome.loss !== null;
  const loss = outcome.loss ?? 0;
  const isNonFinite = outcome.skipped !== null && outcome.skipped !== 'no_learned_tokens';
  return {
    ...state,
    step,
    cursor,
    updates: state.updates + Number(isUpdate),
    consecutiveNonFinite: isUpdate ? 0 : state.consecutiveNonFinite + Number(isNonFinite),
    skippedSteps: isUpdate ? state.skippedSteps : [...state.skippedSteps, step],
    lossTotal: state.lossTotal + loss,
    tokens: state.tokens + outcome.tokens,
    learnedTokens: state.learnedTokens + (isUpdate ? outcome.learnedTokens : 0),
    window: {
      steps: window.steps + 1,
      updates: window.updates + Number(isUpdate),
      lossTotal: window.lossTotal + loss,
      gradNorm: outcome.gradNorm ?? window.gradNorm,
      learningRate,
      tokens: window.tokens + outcome.tokens,
      trainMs: window.trainMs + durationMs,
    },
  };
}

/** Whether steps wait for a line of the log: at every interval and at the end. */
export function isLogDue(state: TrainerState, loggingSteps: number): boolean {
  const isStop = state.step % loggingSteps === 0 || state.step === state.totalSteps;
  return isStop && state.window.steps > 0;
}

/** The line for the steps since the last one. */
export function trainingEntry(state: TrainerState): LogEntry {
  const { window } = state;
  const perSecond = (tokens: number, ms: number): number => roundTo((tokens * 1000) / ms, 2);
  return {
    current_steps: state.step,
    total_steps: state.totalSteps,
    ...(window.updates > 0 && { loss: roundTo(window.lossTotal / window.updates, 6) }),
    lr: window.learningRate,
    ...positionFields(state),
    ...(state.elapsedMs > 0 && { throughput: perSecond(state.tokens, state.elapsedMs) }),
    total_tokens: state.tokens,
    ...(window.gradNorm !== null && { grad_norm: roundTo(window.gradNorm, 6) }),
    learned_tokens: state.learnedTokens,
    ...(window.trainMs > 0 && { tokens_per_second: perSecond(window.tokens, window.trainMs) }),
    ...(state.skippedSteps.length > 0 && { skipped_steps: state.skippedSteps.length }),
  };
}

/** The line for an evaluation. A loss that is not finite is null, which JSON can say. */
export function evaluationEntry(state: TrainerState, loss: number): LogEntry {
  const finite = (value: number): number | null =>
    Number.isFinite(value) ? roundTo(value, 6) : null;
  return {
    current_steps: state.step,
    total_steps: state.totalSteps,
    eval_loss: finite(loss),
    eval_perplexity: finite(Math.exp(loss)),
    ...positionFields(state),
  };
}

/** The state with a line added to its history; a training line closes the window. */
export function withEntry(state: TrainerState, entry: LogEntry): TrainerState {
  const window = entry.lr === undefined ? state.window : EMPTY_WINDOW;
  return { ...state, window, logHistory: [...state.logHistory, entry] };
}

/** The result of a run in its last state. */
export function summarise(
  plan: TrainingPlan,
  state: TrainerState,
  loadedStep: number,
): TrainingResult {
  const evalLossAt = (step: number): number | null =>
    state.logHistory.find((e) => e.current_steps === step && e.eval_loss !== undefined)
      ?.eval_loss ?? null;
  return {
    plan,
    steps: state.step,
    updates: state.updates,
    skippedSteps: state.skippedSteps,
    tokens: state.tokens,
    learnedTokens: state.learnedTokens,
    trainLoss: state.updates === 0 ? null : state.lossTotal / state.updates,
    evalLossBefore: evalLossAt(0),
    evalLossAfter: evalLossAt(plan.totalSteps),
    best: state.best,
    loadedStep,
    elapsedMs: state.elapsedMs,
    logHistory: state.logHistory,
  };
}

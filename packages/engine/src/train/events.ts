/** What a training run tells while it works. */
import type { TrainingPlan } from './plan.js';
import type { Fingerprint } from './settings.js';
import type { SkipReason } from './step.js';
import type { LogEntry } from './training-log.js';

/** One fact about a run, in the order in which things happen. */
export type TrainingEvent =
  | {
      readonly type: 'started';
      readonly plan: TrainingPlan;
      /** Steps already done by the checkpoint that the run goes on from; 0 for a fresh run. */
      readonly step: number;
    }
  | {
      /** A resumed run has other threads or libraries: its last bits may differ from an uninterrupted run. */
      readonly type: 'environment_changed';
      readonly stored: Fingerprint;
      readonly current: Fingerprint;
    }
  | {
      readonly type: 'step';
      readonly step: number;
      readonly totalSteps: number;
      readonly epoch: number;
      /** Mean loss per learned token, in nats. */
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      readonly tokens: number;
      readonly learnedTokens: number;
      readonly durationMs: number;
    }
  | {
      readonly type: 'skipped';
      readonly step: number;
      readonly totalSteps: number;
      readonly reason: SkipReason;
      /** Non-finite steps in a row so far. */
      readonly consecutive: number;
    }
  | { readonly type: 'log'; readonly entry: LogEntry }
  | { readonly type: 'evaluation_started'; readonly step: number }
  | {
      readonly type: 'evaluation';
      readonly step: number;
      readonly loss: number;
      readonly perplexity: number;
      readonly durationMs: number;
    }
  | { readonly type: 'checkpoint'; readonly step: number; readonly path: string }
  | { readonly type: 'checkpoints_removed'; readonly paths: readonly string[] }
  | { readonly type: 'best_loaded'; readonly step: number; readonly evalLoss: number }
  | { readonly type: 'finished'; readonly result: TrainingResult };

/** What a finished run amounts to. */
export interface TrainingResult {
  readonly plan: TrainingPlan;
  readonly steps: number;
  /** Steps that changed the weights. */
  readonly updates: number;
  readonly skippedSteps: readonly number[];
  /** Tokens read, without padding, and labels among them. */
  readonly tokens: number;
  readonly learnedTokens: number;
  /** Mean over all updates of the step's mean loss; null without an update. */
  readonly trainLoss: number | null;
  /** Evaluation loss before the first and after the last step; null when not evaluated or not finite. */
  readonly evalLossBefore: number | null;
  readonly evalLossAfter: number | null;
  readonly best: { readonly step: number; readonly evalLoss: number } | null;
  /** Step of the checkpoint whose weights the model now has; the last step unless the best was loaded. */
  readonly loadedStep: number;
  /** Over all attempts of the run. */
  readonly elapsedMs: number;
  readonly logHistory: readonly LogEntry[];
}

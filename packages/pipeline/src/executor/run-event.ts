/**
 * What a run tells while it runs.
 *
 * The same events go to the caller (`onEvent`), to `events.ndjson` of the run, and over IPC from the
 * process of a stage; all of them are plain JSON.
 */
import type { JsonValue, SerializedError } from '@tuneyard/core';

/** JSON-safe facts under string keys. */
export type Facts = { readonly [key: string]: JsonValue };

/** Severity of a log line; `debug` lines are what a stage process wrote to its own output. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A fact that a stage states before it starts, for people: `{ label: 'Steps', value: '120' }`. */
export interface PlanFact {
  readonly label: string;
  readonly value: string;
}

/** Events that the function of a stage emits; the executor adds stage and time. */
export type StageEvent =
  | { readonly type: 'stage_plan'; readonly facts: readonly PlanFact[] }
  | {
      readonly type: 'stage_progress';
      /** Units of work done and to do; `total` is null while unknown. */
      readonly done: number;
      readonly total: number | null;
      /** What is counted: `steps`, `samples`, `bytes`. */
      readonly unit: string;
      /** Units a second, smoothed; absent while unknown. */
      readonly rate?: number;
      readonly etaMs?: number;
      /** Numbers of this moment: loss, learningRate, gradNorm, tokensPerSecond, heldOutLoss. */
      readonly metrics?: { readonly [name: string]: number };
    }
  | { readonly type: 'stage_log'; readonly level: LogLevel; readonly message: string };

/** Where and when an event of a stage happened. */
interface StageStamp {
  /** ISO 8601, UTC. */
  readonly at: string;
  /** Id of the stage in the plan: `train`, `export-gguf-q8_0`. */
  readonly stage: string;
}

/** Everything that a run reports, in order. */
export type RunEvent =
  | {
      readonly type: 'run_started';
      readonly at: string;
      readonly runId: string;
      readonly recipe: string;
      readonly stages: readonly {
        readonly id: string;
        readonly title: string;
        readonly status: string;
      }[];
    }
  | (StageStamp & {
      readonly type: 'stage_reused';
      readonly title: string;
      readonly reason: string;
      readonly artifact: string;
      readonly metrics: Facts;
    })
  | (StageStamp & {
      readonly type: 'stage_started';
      readonly title: string;
      readonly reason: string;
      /** True when the stage goes on from a checkpoint of an earlier, interrupted run. */
      readonly resumed: boolean;
    })
  | (StageStamp & StageEvent)
  | (StageStamp & {
      readonly type: 'stage_finished';
      readonly title: string;
      readonly durationMs: number;
      /** Directory of the artifact; the HTML file for the report. */
      readonly artifact: string;
      readonly bytes: number;
      readonly metrics: Facts;
    })
  | (StageStamp & {
      readonly type: 'stage_failed';
      readonly title: string;
      readonly durationMs: number;
      readonly error: SerializedError;
      /** True when running the recipe again goes on from where the stage stopped. */
      readonly resumable: boolean;
    })
  | {
      readonly type: 'run_finished';
      readonly at: string;
      readonly runId: string;
      readonly status: 'succeeded' | 'failed' | 'cancelled';
      readonly durationMs: number;
      /** Path of `report.html`; null when the run did not get that far. */
      readonly report: string | null;
    };

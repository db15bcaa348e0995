/** What a run and the process of a stage say to each other over IPC, and errors in that form. */
import { type ErrorCategory, TuneyardError } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';
import type { StageJob } from '../stages/stage.js';
import type { Facts, SerializedError, StageEvent } from './run-event.js';

/** From the run to the stage. */
export type ToStage =
  | {
      readonly type: 'start';
      /** URL of a module that exports `stages`. */
      readonly stageModule: string;
      readonly job: StageJob;
      readonly dir: string;
      readonly workDir: string;
    }
  | { readonly type: 'abort' };

/** From the stage to the run. The last message is a result or an error. */
export type FromStage =
  | { readonly type: 'event'; readonly event: StageEvent }
  | { readonly type: 'result'; readonly metrics: Facts }
  | { readonly type: 'error'; readonly error: SerializedError };

/** Any thrown value in a form that survives JSON. */
export function serializeError(thrown: unknown): SerializedError {
  const error = asTuneyardError(thrown);
  return {
    code: error.code,
    category: error.category,
    message: error.message,
    details: error.details,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** The error again, with its code, category, details and hint. */
export function reviveError(error: SerializedError): TuneyardError {
  const revived = new TuneyardError(error.code, error.message, {
    category: error.category as ErrorCategory,
    details: error.details,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
  if (error.stack !== undefined) revived.stack = error.stack;
  return revived;
}

/** Wraps what is no Tuneyard error as `STAGE_FAILED`, category `internal`. */
export function asTuneyardError(thrown: unknown): TuneyardError {
  if (thrown instanceof TuneyardError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const wrapped = new TuneyardError(PIPELINE_ERRORS.STAGE_FAILED, message, {
    category: 'internal',
    cause: thrown,
  });
  if (thrown instanceof Error && thrown.stack !== undefined) wrapped.stack = thrown.stack;
  return wrapped;
}

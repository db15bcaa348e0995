/** What a run and the process of a stage say to each other over IPC. */
import type { SerializedError } from '@tuneyard/core';
import type { StageJob } from '../stages/stage.js';
import type { Facts, StageEvent } from './run-event.js';

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

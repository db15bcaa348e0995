/** What a stage is: a function from input paths and parameters to files in a directory. */
import type { Facts, StageEvent } from '../executor/run-event.js';

/** One stage's work, as it crosses to the process that does it. */
export interface StageJob {
  readonly id: string;
  readonly kind: string;
  /** Under recipe names; what the fingerprint covers. */
  readonly parameters: Facts;
  /** Paths, threads and cadence; not covered by the fingerprint. */
  readonly settings: Facts;
  /** Absolute paths by role: a model, an adapter, or an artifact directory. */
  readonly inputs: { readonly [role: string]: string };
}

/** What a stage may touch and whom it tells. */
export interface StageIo {
  /** Empty directory; what is written here becomes the artifact. */
  readonly dir: string;
  /** Kept over interruptions until the stage succeeds; for checkpoints. */
  readonly workDir: string;
  /** Fires when the run is cancelled: save what helps to go on, then throw `CANCELLED`. */
  readonly signal: AbortSignal;
  readonly emit: (event: StageEvent) => void;
}

/** Does the work; returns numbers for the manifest and the report. */
export type StageFunction = (job: StageJob, io: StageIo) => Promise<Facts>;

/** Functions by stage kind. */
export interface StageTable {
  readonly [kind: string]: StageFunction;
}

/** Runs the stages of a plan in order, each in its own process, and records everything. */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  asTuneyardError,
  defined,
  serializeError,
  type TuneyardError,
  throwIfAborted,
} from '@tuneyard/core';
import {
  artifactDir,
  beginArtifact,
  commitArtifact,
  discardArtifact,
  sweepTemporaries,
} from '../artifacts/create-artifact.js';
import type { Artifact } from '../artifacts/manifest.js';
import { findArtifact } from '../artifacts/open-artifact.js';
import { hasLeftovers, WorkDir, workDirOf } from '../artifacts/work-dir.js';
import { openWorkspace } from '../artifacts/workspace.js';
import { PIPELINE_ERRORS } from '../errors.js';
import type { PlannedStage, RunPlan } from '../plan/run-plan.js';
import { buildRunReport } from '../report/build-run-report.js';
import { describeTools } from './describe-tools.js';
import type { Facts, RunEvent } from './run-event.js';
import { RUN_FILES, RunRecord } from './run-record.js';
import { isCancelled, runStageProcess } from './run-stage-process.js';

/** Options of {@link executeRun}. */
export interface ExecuteOptions {
  /** Cancels the run: the stage saves a checkpoint and stops; running again goes on from it. */
  readonly signal?: AbortSignal;
  /** Called with every event, in order, before the next thing happens. */
  readonly onEvent?: (event: RunEvent) => void;
  /** Module that exports `stages`, functions by kind; default: the stages of this package. */
  readonly stageModule?: URL;
  /** How long a stage may take to stop before it is killed. Default 30,000. */
  readonly abortGraceMs?: number;
}

/** How a run ended. */
export interface RunOutcome {
  readonly runId: string;
  /** `runs/<run id>/`. */
  readonly dir: string;
  readonly status: 'succeeded' | 'failed' | 'cancelled';
  /** Why it did not succeed; the caller decides how to show it. */
  readonly error: TuneyardError | null;
  /** Path of `report.html`; null when the run did not get that far. */
  readonly report: string | null;
  /** Artifacts by stage id, as far as the run got. */
  readonly artifacts: { readonly [stageId: string]: Artifact };
}

/** How often a run looks whether another one has finished the same stage. */
const WAIT_MS = 300;

/**
 * Runs what the plan says is to be run. Never throws for a failing stage: the outcome carries the error.
 *
 * A stage that another run is working on at the same time is waited for, and its artifact is taken.
 */
export async function executeRun(plan: RunPlan, options: ExecuteOptions = {}): Promise<RunOutcome> {
  await openWorkspace(plan.workspace.root);
  await sweepTemporaries(plan.workspace);
  const run = new ActiveRun(plan, options);
  return await run.execute();
}

/** The state of a run: its record, its artifacts so far. */
class ActiveRun {
  readonly #plan: RunPlan;
  readonly #options: ExecuteOptions;
  readonly #record: RunRecord;
  readonly #startedAt = Date.now();
  readonly #artifacts: { [stageId: string]: Artifact } = {};
  readonly #events: RunEvent[] = [];

  constructor(plan: RunPlan, options: ExecuteOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#record = new RunRecord(plan.workspace, plan.recipe, new Date(this.#startedAt));
  }

  async execute(): Promise<RunOutcome> {
    const { plan } = { plan: this.#plan };
    this.#tell({
      type: 'run_started',
      at: now(),
      runId: this.#record.runId,
      recipe: plan.recipe.name,
      stages: plan.stages.map(({ id, title, status }) => ({ id, title, status })),
    });
    let error: TuneyardError | null = null;
    let report: string | null = null;
    for (const stage of plan.stages) {
      const startedAt = Date.now();
      try {
        throwIfAborted(this.#options.signal);
        if (stage.artifactKind === null) report = await this.#writeReport(stage);
        else this.#artifacts[stage.id] = await this.#obtain(stage, stage.artifactKind);
      } catch (thrown) {
        error = asTuneyardError(thrown, PIPELINE_ERRORS.STAGE_FAILED);
        await this.#tellFailure(stage, error, Date.now() - startedAt);
        break;
      }
    }
    return this.#finish(error, report);
  }

  #finish(error: TuneyardError | null, report: string | null): RunOutcome {
    const status = error === null ? 'succeeded' : isCancelled(error) ? 'cancelled' : 'failed';
    const { runId, dir } = this.#record;
    const durationMs = Date.now() - this.#startedAt;
    this.#tell({ type: 'run_finished', at: now(), runId, status, durationMs, report });
    this.#record.close();
    return { runId, dir, status, error, report, artifacts: this.#artifacts };
  }

  /** The artifact of a stage: found, waited for, or made. */
  async #obtain(stage: PlannedStage, kind: string): Promise<Artifact> {
    const workspace = this.#plan.workspace;
    const workPath = workDirOf(workspace, stage.kind, stage.fingerprint);
    for (let isFirst = true; ; isFirst = false) {
      const found = await findArtifact(workspace, kind, stage.fingerprint);
      if (found !== null) return this.#reuse(stage, found, isFirst);
      const workDir = await WorkDir.tryOpen(workPath);
      if (workDir !== null) return await this.#make(stage, kind, workDir);
      if (isFirst) {
        const message = 'another run is working on this stage; waiting for its result';
        this.#tell({ type: 'stage_log', at: now(), stage: stage.id, level: 'info', message });
      }
      throwIfAborted(this.#options.signal);
      await sleep(WAIT_MS);
    }
  }

  #reuse(stage: PlannedStage, found: Artifact, isFirst: boolean): Artifact {
    const wasPlanned = stage.status === 'reuse';
    const made = `made by another run at ${found.manifest.createdAt}`;
    this.#tell({
      type: 'stage_reused',
      at: now(),
      stage: stage.id,
      title: stage.title,
      reason: wasPlanned && isFirst ? stage.reason : made,
      artifact: found.dir,
      metrics: found.manifest.metrics,
    });
    return found;
  }

  async #make(stage: PlannedStage, kind: string, workDir: WorkDir): Promise<Artifact> {
    const startedAt = Date.now();
    const resumed = await hasLeftovers(workDir.dir);
    this.#tell({
      type: 'stage_started',
      at: now(),
      stage: stage.id,
      title: stage.title,
      reason: stage.status === 'reuse' ? 'its artifact is gone or damaged' : stage.reason,
      resumed,
    });
    const id = { kind, name: this.#plan.recipe.name, fingerprint: stage.fingerprint };
    const draft = await beginArtifact(artifactDir(this.#plan.workspace, id));
    try {
      const metrics = await this.#runProcess(stage, draft.dir, workDir);
      const durationMs = Date.now() - startedAt;
      const artifact = await commitArtifact(
        draft,
        {
          ...id,
          stage: stage.id,
          stageVersion: stage.version,
          parents: this.#parentsOf(stage),
          parameters: { ...stage.parameters },
          metrics: { ...metrics },
          toolVersions: describeTools(),
          createdAt: now(),
          durationMs,
        },
        this.#options.signal,
      );
      await workDir.remove();
      this.#tellFinished(stage, artifact, durationMs);
      return artifact;
    } catch (error) {
      await discardArtifact(draft);
      await workDir.close();
      throw error;
    }
  }

  async #runProcess(stage: PlannedStage, dir: string, workDir: WorkDir): Promise<Facts> {
    const { id, kind, parameters, settings } = stage;
    const { signal, abortGraceMs } = this.#options;
    return await runStageProcess({
      job: { id, kind, parameters, settings, inputs: this.#inputPaths(stage) },
      dir,
      workDir: workDir.dir,
      stageModule: this.#options.stageModule ?? defaultStageModule(),
      onEvent: (event) => this.#tell({ ...event, at: now(), stage: id }),
      onStart: (pid) => workDir.addHolder(pid),
      ...(signal === undefined ? {} : { signal }),
      ...(abortGraceMs === undefined ? {} : { abortGraceMs }),
    });
  }

  #inputPaths(stage: PlannedStage): { [role: string]: string } {
    const paths: { [role: string]: string } = {};
    for (const [role, input] of Object.entries(stage.inputs)) {
      paths[role] =
        input.from === 'path'
          ? input.path
          : defined(this.#artifacts[input.stageId], `artifact of ${input.stageId}`).dir;
    }
    return paths;
  }

  #parentsOf(stage: PlannedStage): Artifact['manifest']['parents'] {
    return Object.entries(stage.inputs).map(([role, input]) => {
      const { fingerprint } = input;
      if (input.from === 'path') return { role, fingerprint, artifact: null, path: input.path };
      const dir = defined(this.#artifacts[input.stageId], `artifact of ${input.stageId}`).dir;
      const relative = path.relative(this.#plan.workspace.artifacts, dir);
      return { role, fingerprint, artifact: relative.split(path.sep).join('/'), path: null };
    });
  }

  async #writeReport(stage: PlannedStage): Promise<string> {
    const file = path.join(this.#record.dir, RUN_FILES.report);
    const startedAt = Date.now();
    const html = await buildRunReport({
      plan: this.#plan,
      runId: this.#record.runId,
      artifacts: this.#artifacts,
      events: this.#events,
    });
    await writeFile(file, html);
    this.#tell({
      type: 'stage_finished',
      at: now(),
      stage: stage.id,
      title: stage.title,
      durationMs: Date.now() - startedAt,
      artifact: file,
      bytes: Buffer.byteLength(html),
      metrics: {},
    });
    return file;
  }

  #tellFinished(stage: PlannedStage, artifact: Artifact, durationMs: number): void {
    this.#tell({
      type: 'stage_finished',
      at: now(),
      stage: stage.id,
      title: stage.title,
      durationMs,
      artifact: artifact.dir,
      bytes: artifact.manifest.files.reduce((sum, file) => sum + file.size, 0),
      metrics: artifact.manifest.metrics,
    });
  }

  async #tellFailure(stage: PlannedStage, error: TuneyardError, durationMs: number): Promise<void> {
    const workPath = workDirOf(this.#plan.workspace, stage.kind, stage.fingerprint);
    this.#tell({
      type: 'stage_failed',
      at: now(),
      stage: stage.id,
      title: stage.title,
      durationMs,
      error: serializeError(error, PIPELINE_ERRORS.STAGE_FAILED),
      resumable: await hasLeftovers(workPath),
    });
  }

  #tell(event: RunEvent): void {
    this.#record.write(event);
    if (event.type !== 'stage_progress') this.#events.push(event);
    this.#options.onEvent?.(event);
  }
}

function defaultStageModule(): URL {
  const isSource = import.meta.url.endsWith('.ts');
  return new URL(`../stages/stage-table.${isSource ? 'ts' : 'js'}`, import.meta.url);
}

function now(): string {
  return new Date().toISOString();
}

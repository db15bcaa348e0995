/**
 * The record of a run on disk: recipe.yaml, events.ndjson, log.txt, metrics.ndjson, and later the report.
 *
 * Lines are written at once and whole, so that a killed run leaves everything up to its last event.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { formatBytes, formatDuration, TuneyardError } from '@tuneyard/core';
import type { Workspace } from '../artifacts/workspace.js';
import { PIPELINE_ERRORS } from '../errors.js';
import type { RunEvent } from './run-event.js';

/** File names in the directory of a run. */
export const RUN_FILES = {
  recipe: 'recipe.yaml',
  events: 'events.ndjson',
  log: 'log.txt',
  metrics: 'metrics.ndjson',
  report: 'report.html',
} as const;

/** A run on disk. */
export interface RunSummary {
  readonly runId: string;
  readonly dir: string;
  readonly recipe: string;
  readonly startedAt: string;
  /** `unfinished` for a run that was killed or still goes on. */
  readonly status: 'succeeded' | 'failed' | 'cancelled' | 'unfinished';
  readonly durationMs: number | null;
  readonly report: string | null;
}

/** Writes the record of one run. */
export class RunRecord {
  readonly runId: string;
  readonly dir: string;
  readonly #events: number;
  readonly #log: number;
  readonly #metrics: number;

  /** Creates `runs/<run id>/` with the recipe's text. */
  constructor(workspace: Workspace, recipe: { name: string; text: string }, startedAt: Date) {
    this.runId = newRunId(recipe.name, startedAt);
    this.dir = path.join(workspace.runs, this.runId);
    mkdirSync(this.dir, { recursive: true });
    writeFileSync(path.join(this.dir, RUN_FILES.recipe), recipe.text);
    this.#events = openSync(path.join(this.dir, RUN_FILES.events), 'a');
    this.#log = openSync(path.join(this.dir, RUN_FILES.log), 'a');
    this.#metrics = openSync(path.join(this.dir, RUN_FILES.metrics), 'a');
  }

  /** Appends one event to the files that it belongs in. */
  write(event: RunEvent): void {
    writeSync(this.#events, `${JSON.stringify(event)}\n`);
    for (const line of logLines(event)) writeSync(this.#log, `${event.at} ${line}\n`);
    if (event.type === 'stage_progress' && event.metrics !== undefined) {
      const { at, stage, done, metrics } = event;
      writeSync(this.#metrics, `${JSON.stringify({ at, stage, done, ...metrics })}\n`);
    }
  }

  close(): void {
    for (const descriptor of [this.#events, this.#log, this.#metrics]) closeSync(descriptor);
  }
}

/** Runs of a workspace, newest first. */
export async function listRuns(workspace: Workspace): Promise<RunSummary[]> {
  const names = await readdir(workspace.runs).catch(() => []);
  const summaries: RunSummary[] = [];
  for (const name of names) {
    const dir = path.join(workspace.runs, name);
    const isRun = (await stat(path.join(dir, RUN_FILES.events)).catch(() => null))?.isFile();
    if (isRun === true) summaries.push(summarize(name, dir, await readRunEvents(workspace, name)));
  }
  return summaries.sort((a, b) => (a.startedAt < b.startedAt ? 1 : -1));
}

/**
 * Events of a run, in order. A last line that a kill cut short is left out.
 *
 * Throws: `RUN_NOT_FOUND`.
 */
export async function readRunEvents(workspace: Workspace, runId: string): Promise<RunEvent[]> {
  const file = path.join(workspace.runs, path.basename(runId), RUN_FILES.events);
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new TuneyardError(PIPELINE_ERRORS.RUN_NOT_FOUND, `No run ${runId}: ${file} is missing`, {
      category: 'not_found',
      details: { runId },
      cause,
    });
  });
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => JSON.parse(line) as RunEvent);
}

function summarize(runId: string, dir: string, events: readonly RunEvent[]): RunSummary {
  const first = events[0];
  const last = events.at(-1);
  const isDone = last?.type === 'run_finished';
  return {
    runId,
    dir,
    recipe: first?.type === 'run_started' ? first.recipe : '',
    startedAt: first?.at ?? '',
    status: isDone ? last.status : 'unfinished',
    durationMs: isDone ? last.durationMs : null,
    report: isDone ? last.report : null,
  };
}

/** `20261125-101500-quickstart-9f3a`: sorts by time, unique by its random end. */
function newRunId(name: string, at: Date): string {
  const stamp = at.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${stamp}-${name}-${randomBytes(2).toString('hex')}`;
}

function logLines(event: RunEvent): string[] {
  switch (event.type) {
    case 'run_started':
      return [`run ${event.runId} of ${event.recipe} started`];
    case 'stage_reused':
      return [`${event.stage}: reused (${event.reason})`];
    case 'stage_started':
      return [`${event.stage}: ${event.resumed ? 'resumed' : 'started'} (${event.reason})`];
    case 'stage_plan':
      return event.facts.map((fact) => `${event.stage}: ${fact.label}: ${fact.value}`);
    case 'stage_log':
      return [`${event.stage}: ${event.level}: ${event.message}`];
    case 'stage_progress':
      return [];
    case 'stage_finished':
      return [
        `${event.stage}: done in ${formatDuration(event.durationMs)}, ${formatBytes(event.bytes)}, ${event.artifact}`,
      ];
    case 'stage_failed':
      return [`${event.stage}: failed: ${event.error.code}: ${event.error.message}`];
    case 'run_finished':
      return [`run ${event.status} after ${formatDuration(event.durationMs)}`];
  }
}

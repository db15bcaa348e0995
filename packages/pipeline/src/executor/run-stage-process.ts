/** Starts the process of one stage, relays its events and turns its end into a result or an error. */
import { type ChildProcess, fork } from 'node:child_process';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CORE_ERRORS, reviveError, type SerializedError, TuneyardError } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';
import type { StageJob } from '../stages/stage.js';
import type { Facts, StageEvent } from './run-event.js';
import type { FromStage, ToStage } from './stage-messages.js';

/** Lines of standard error that a crash report quotes. */
const LAST_LINES = 20;
/** How long a stage may take to save and stop after an abort before it is killed. */
const ABORT_GRACE_MS = 30_000;

/** What a stage process needs. */
export interface StageProcessOptions {
  readonly job: StageJob;
  readonly dir: string;
  readonly workDir: string;
  /** Module that exports `stages`. */
  readonly stageModule: URL;
  readonly onEvent: (event: StageEvent) => void;
  /** Told the process id once it is known. */
  readonly onStart?: (pid: number) => Promise<void>;
  readonly signal?: AbortSignal;
  /** Default 30,000. */
  readonly abortGraceMs?: number;
}

/**
 * Runs a stage in a process of its own and resolves with its metrics.
 *
 * Throws: what the stage threw, with code, details and hint; `STAGE_CRASHED` with the signal and the last
 * lines of standard error when the process died; `STAGE_START_FAILED`; `CANCELLED`.
 */
export async function runStageProcess(options: StageProcessOptions): Promise<Facts> {
  const child = startProcess();
  const lastLines = relayOutput(child, options.onEvent);
  const end = watch(child, options);
  try {
    if (child.pid !== undefined) await options.onStart?.(child.pid);
    const { stageModule, job, dir, workDir } = options;
    sendTo(child, { type: 'start', stageModule: stageModule.href, job, dir, workDir });
    return readEnd(await end, lastLines, options);
  } finally {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  }
}

/** How a process ended. */
interface StageEnd {
  readonly last: FromStage | null;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly startFault: Error | null;
}

/**
 * Source files run through tsx with the source condition, built ones plainly. The parent's own flags are
 * not inherited: a test runner's would not fit.
 */
function startProcess(): ChildProcess {
  const isSource = import.meta.url.endsWith('.ts');
  const entry = new URL(isSource ? './stage-process.ts' : './stage-process.js', import.meta.url);
  const tsx = (): string => pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  return fork(fileURLToPath(entry), [], {
    execArgv: isSource ? ['--conditions=@tuneyard/source', '--import', tsx()] : [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
}

function watch(child: ChildProcess, options: StageProcessOptions): Promise<StageEnd> {
  let last: FromStage | null = null;
  let killer: NodeJS.Timeout | undefined;
  const abort = (): void => {
    sendTo(child, { type: 'abort' });
    killer = setTimeout(() => child.kill('SIGKILL'), options.abortGraceMs ?? ABORT_GRACE_MS);
  };
  if (options.signal?.aborted === true) abort();
  options.signal?.addEventListener('abort', abort, { once: true });
  child.on('message', (message: FromStage) => {
    if (message.type === 'event') options.onEvent(message.event);
    else last = message;
  });
  return new Promise<StageEnd>((resolve) => {
    const finish = (end: Omit<StageEnd, 'last'>): void => {
      clearTimeout(killer);
      options.signal?.removeEventListener('abort', abort);
      resolve({ ...end, last });
    };
    child.once('error', (fault) => {
      if (child.pid === undefined) finish({ code: null, signal: null, startFault: fault });
    });
    child.once('close', (code, signal) => finish({ code, signal, startFault: null }));
  });
}

/** A message to a process that is gone already is of no use; its end is reported by `close`. */
function sendTo(child: ChildProcess, message: ToStage): void {
  if (child.connected) child.send(message, () => undefined);
}

/** Emits the process's own output as debug lines; the returned list holds the last of its errors. */
function relayOutput(child: ChildProcess, onEvent: (event: StageEvent) => void): string[] {
  const lastLines: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    createInterface({ input: stream }).on('line', (message) => {
      onEvent({ type: 'stage_log', level: 'debug', message });
      if (stream !== child.stderr) return;
      lastLines.push(message);
      if (lastLines.length > LAST_LINES) lastLines.shift();
    });
  }
  return lastLines;
}

function readEnd(end: StageEnd, lastLines: readonly string[], options: StageProcessOptions): Facts {
  if (end.startFault !== null) {
    throw new TuneyardError(
      PIPELINE_ERRORS.STAGE_START_FAILED,
      `The process of stage ${options.job.id} did not start: ${end.startFault.message}`,
      { category: 'unavailable', cause: end.startFault },
    );
  }
  if (end.last?.type === 'result') return end.last.metrics;
  if (end.last?.type === 'error') throw reviveError(end.last.error);
  if (options.signal?.aborted === true) {
    throw new TuneyardError(
      CORE_ERRORS.CANCELLED,
      `Stage ${options.job.id} did not stop in time and was ended`,
      { category: 'cancelled' },
    );
  }
  throw crashed(options.job.id, end, lastLines);
}

function crashed(stage: string, end: StageEnd, lastLines: readonly string[]): TuneyardError {
  const how =
    end.signal === null ? `ended with code ${end.code}` : `was ended by signal ${end.signal}`;
  const quoted = lastLines.length === 0 ? '' : `; its last lines: ${lastLines.join(' | ')}`;
  return new TuneyardError(
    PIPELINE_ERRORS.STAGE_CRASHED,
    `The process of stage ${stage} ${how} before it was done${quoted}`,
    {
      category: 'internal',
      details: { stage, signal: end.signal, code: end.code, lastLines: [...lastLines] },
      hint:
        end.signal === 'SIGKILL'
          ? 'The system may have run out of memory: try a smaller batch, cutoff_len or base_type.'
          : 'Run again to go on from the last checkpoint; report the lines if it happens twice.',
    },
  );
}

/** The error of a cancelled stage, told apart by code. */
export function isCancelled(error: SerializedError | TuneyardError): boolean {
  return error.code === CORE_ERRORS.CANCELLED || error.category === 'cancelled';
}

/**
 * Entry of the process that runs one stage.
 *
 * Waits for a start message, runs the stage's function, sends events, and ends with a result or an error.
 * SIGINT, SIGTERM, an abort message and a vanished parent all fire the stage's signal once, so that it can
 * save and stop; the process never ends a stage by itself.
 */
import { serializeError, TuneyardError } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';
import type { StageTable } from '../stages/stage.js';
import type { FromStage, ToStage } from './stage-messages.js';

/** Exit codes; the run goes by messages, these are for people who watch processes. */
const EXIT_FAILED = 1;

const controller = new AbortController();
const abort = (): void => controller.abort();
process.on('SIGINT', abort);
process.on('SIGTERM', abort);
process.on('disconnect', abort);
process.on('message', (message: ToStage) => {
  if (message.type === 'abort') abort();
  else void runStage(message);
});

async function runStage(start: Extract<ToStage, { type: 'start' }>): Promise<void> {
  let last: FromStage;
  try {
    const { stages } = (await import(start.stageModule)) as { readonly stages: StageTable };
    const run = stages[start.job.kind];
    if (run === undefined) throw unknownStage(start.job.kind, Object.keys(stages));
    const metrics = await run(start.job, {
      dir: start.dir,
      workDir: start.workDir,
      signal: controller.signal,
      emit: (event) => send({ type: 'event', event }),
    });
    last = { type: 'result', metrics };
  } catch (error) {
    last = { type: 'error', error: serializeError(error, PIPELINE_ERRORS.STAGE_FAILED) };
    process.exitCode = EXIT_FAILED;
  }
  send(last, () => process.exit());
}

/** A parent that is gone cannot be told anything; the stage's signal has fired already. */
function send(message: FromStage, done?: () => void): void {
  if (!process.connected || process.send === undefined) {
    done?.();
    return;
  }
  process.send(message, undefined, undefined, () => done?.());
}

function unknownStage(kind: string, known: readonly string[]): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.STAGE_UNKNOWN,
    `No stage is of kind ${kind}; known: ${known.join(', ')}`,
    { category: 'internal', details: { kind } },
  );
}

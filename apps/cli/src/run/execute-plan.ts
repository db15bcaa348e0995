/** Runs a plan, shows it while it happens, and says what can be done with the result. */
import { TuneyardError } from '@tuneyard/core';
import {
  executeRun,
  openArtifact,
  type RunOutcome,
  type RunPlan,
  useCommands,
} from '@tuneyard/pipeline';
import type { Cli } from '../cli.js';
import { formatTable } from '../terminal/table.js';
import { RunPrinter } from './run-printer.js';

/** Runs the stages of a plan. Throws: what made the run fail, or `CANCELLED`. */
export async function executePlan(cli: Cli, plan: RunPlan): Promise<void> {
  cli.interruptNote = 'stopping after this step; run the same command to resume';
  const printer = new RunPrinter(cli);
  const outcome = await executeRun(plan, {
    signal: cli.signal,
    onEvent: (event) => printer.print(event),
  });
  cli.progress.clear();
  if (outcome.error !== null) throw withRunRecord(outcome.error, outcome);
  showOutcome(cli, plan, outcome);
}

/** Compares every file of reused artifacts with its hash. Throws: `ARTIFACT_DAMAGED`. */
export async function verifyReused(cli: Cli, plan: RunPlan): Promise<void> {
  const reused = plan.stages.filter(({ status }) => status === 'reuse');
  for (const [i, { artifactPath }] of reused.entries()) {
    cli.progress.update({ stage: 'verify', done: i, total: reused.length, unit: 'artifacts' });
    if (artifactPath !== null) {
      await openArtifact(artifactPath, { verify: true, signal: cli.signal });
    }
  }
  cli.progress.clear();
  cli.note(`${reused.length} reused artifacts verified`);
}

function showOutcome(cli: Cli, plan: RunPlan, outcome: RunOutcome): void {
  const artifacts = Object.entries(outcome.artifacts).map(([id, { dir }]) => [id, dir] as const);
  if (cli.isJson) {
    const { runId, dir, status, report } = outcome;
    cli.event({
      type: 'result',
      runId,
      dir,
      status,
      report,
      artifacts: Object.fromEntries(artifacts),
    });
    return;
  }
  const rows = report(outcome).concat(artifacts);
  cli.write(`${formatTable([{ title: '' }, { title: '' }], rows).join('\n')}\n`);
  for (const { label, command } of useCommands(plan, outcome.artifacts)) {
    cli.note(`\n${cli.err.dim(`# ${label}`)}\n${command}`);
  }
}

function report(outcome: RunOutcome): (readonly [string, string])[] {
  return outcome.report === null ? [] : [['report', outcome.report]];
}

/** The error again, with the place of the run's log among its details. */
function withRunRecord(error: TuneyardError, outcome: RunOutcome): TuneyardError {
  const { code, message, category, details, hint, stack } = error;
  const extended = new TuneyardError(code, message, {
    category,
    details: { ...details, log: `${outcome.dir}/log.txt` },
    ...(hint === undefined ? {} : { hint }),
    cause: error.cause,
  });
  if (stack !== undefined) extended.stack = stack;
  return extended;
}

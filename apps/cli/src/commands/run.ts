/** `tuneyard run`: carries out a recipe. */
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';

interface RunFlags {
  readonly dryRun?: boolean;
  readonly verify?: boolean;
}

/** Adds `run` to the program. */
export function addRunCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'run',
    summary: 'Carry out a recipe: prepare data, train, evaluate, merge, export',
    description:
      'Carries out a recipe. A stage whose inputs and settings are unchanged is not run again; an interrupted one goes on from its last checkpoint.',
    examples: [
      { command: 'tuneyard run recipe.yaml', does: 'run everything that is not done yet' },
      { command: 'tuneyard run recipe.yaml --dry-run', does: 'only show what would run' },
      {
        command: 'tuneyard run recipe.yaml train.learning_rate=2e-4 train.num_train_epochs=1',
        does: 'change settings for this run',
      },
      { command: 'tuneyard run recipe.yaml --json > events.ndjson', does: 'one event per line' },
    ],
  })
    .argument('<recipe>', 'recipe file (YAML)')
    .argument('[changes...]', 'settings to change, as key=value')
    .option('--dry-run', 'show the plan and stop')
    .option('--verify', 'check the content of reused results before they are used')
    .action((file: string, overrides: string[], flags: RunFlags) =>
      run(start(), { file, overrides, flags }),
    );
}

async function run(
  cli: Cli,
  input: { file: string; overrides: readonly string[]; flags: RunFlags },
): Promise<void> {
  const { prepareRun } = await import('../run/prepare-run.js');
  const { formatPlan, showPlan } = await import('../run/show-plan.js');
  const plan = await prepareRun(cli, { ...input, onlyTraining: false });
  if (input.flags.dryRun === true) {
    showPlan(cli, plan);
    return;
  }
  for (const line of formatPlan(plan, cli.err)) cli.note(line);
  cli.note('');
  const { executePlan, verifyReused } = await import('../run/execute-plan.js');
  if (input.flags.verify === true) await verifyReused(cli, plan);
  await executePlan(cli, plan);
}

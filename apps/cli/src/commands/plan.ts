/** `tuneyard plan`: what a recipe would do. */
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';

/** Adds `plan` to the program. */
export function addPlanCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'plan',
    summary: 'Show what a recipe would do, and why',
    description:
      'Shows the stages of a recipe: which results are reused, which stages run, what changed since the last time, and the settings of training. Runs nothing.',
    examples: [
      { command: 'tuneyard plan recipe.yaml', does: 'show the stages' },
      { command: 'tuneyard plan recipe.yaml train.lora_rank=16', does: 'see what a change costs' },
    ],
  })
    .argument('<recipe>', 'recipe file (YAML)')
    .argument('[changes...]', 'settings to change, as key=value')
    .action((file: string, overrides: string[]) => plan(start(), file, overrides));
}

async function plan(cli: Cli, file: string, overrides: readonly string[]): Promise<void> {
  const { prepareRun } = await import('../run/prepare-run.js');
  const { showPlan } = await import('../run/show-plan.js');
  showPlan(cli, await prepareRun(cli, { file, overrides, onlyTraining: false }));
}

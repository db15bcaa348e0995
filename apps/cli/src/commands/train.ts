/** `tuneyard train`: the training of a recipe or a LLaMA-Factory YAML, and nothing else. */
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';

/** Adds `train` to the program. */
export function addTrainCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'train',
    summary: 'Train from a recipe or a LLaMA-Factory YAML',
    description:
      'Prepares the data and trains; evaluation, merging and exports of a recipe are left out. A LLaMA-Factory YAML is taken as it is, and settings can be changed as with llamafactory-cli.',
    examples: [
      { command: 'tuneyard train llama3_lora_sft.yaml', does: 'a LLaMA-Factory YAML' },
      {
        command: 'tuneyard train llama3_lora_sft.yaml learning_rate=1e-5 logging_steps=1',
        does: 'with changed settings',
      },
      {
        command: 'tuneyard train recipe.yaml train.max_steps=10',
        does: "a recipe of Tuneyard's own; its settings are in sections",
      },
    ],
  })
    .argument('<file>', 'recipe or LLaMA-Factory YAML')
    .argument('[changes...]', 'settings to change, as key=value')
    .action((file: string, overrides: string[]) => train(start(), file, overrides));
}

async function train(cli: Cli, file: string, overrides: readonly string[]): Promise<void> {
  const { prepareRun } = await import('../run/prepare-run.js');
  const { executePlan } = await import('../run/execute-plan.js');
  await executePlan(cli, await prepareRun(cli, { file, overrides, onlyTraining: true }));
}

/** `tuneyard merge`: puts a LoRA adapter into the weights of its base model. */
import { formatBytes, formatCount } from '@tuneyard/core';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import { formatFacts } from '../terminal/table.js';

interface MergeFlags {
  readonly output: string;
  readonly dtype?: 'f32' | 'f16' | 'bf16';
}

/** Adds `merge` to the program. */
export function addMergeCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'merge',
    summary: 'Put a LoRA adapter into the weights of its base model',
    description:
      'Writes a new model directory: every adapted weight plus its update, tokenizer and settings carried along. The base model and the adapter stay as they are.',
    examples: [
      { command: 'tuneyard merge models/base adapters/mine -o models/mine', does: 'merge' },
      {
        command: 'tuneyard merge models/base adapters/mine -o models/mine --dtype f32',
        does: 'keep full precision: small updates can round away in 16 bits',
      },
    ],
  })
    .argument('<model>', 'base model: a model directory or a .gguf file')
    .argument('<adapter>', 'adapter directory (PEFT layout)')
    .requiredOption('-o, --output <dir>', 'directory to write')
    .addOption(
      new Option(
        '--dtype <type>',
        "type of the written weights (default: the model's own)",
      ).choices(['f32', 'f16', 'bf16']),
    )
    .action((model: string, adapter: string, flags: MergeFlags) =>
      merge(start(), { model, adapter, flags }),
    );
}

async function merge(
  cli: Cli,
  input: { model: string; adapter: string; flags: MergeFlags },
): Promise<void> {
  const { mergeAdapter, openModel, readPeftAdapter } = await import('@tuneyard/weights');
  const { hfWriteOptions } = await import('../export/export-model.js');
  const { dtype, output } = input.flags;
  const source = await openModel(cli.path(input.model));
  try {
    const adapter = await readPeftAdapter(cli.path(input.adapter));
    const options = await hfWriteOptions(cli, source, dtype);
    const report = await mergeAdapter(source, adapter, cli.path(output), options);
    const elements = report.merged.reduce((sum, tensor) => sum + tensor.elements, 0);
    const changed = report.merged.reduce((sum, tensor) => sum + tensor.changedElements, 0);
    cli.result({ output, ...report }, () => [output]);
    cli.note('merged');
    for (const line of formatFacts([
      ['updated', `${report.merged.length} of ${report.tensors} tensors`],
      ['changed', `${formatCount(changed)} of ${formatCount(elements)} values in them`],
      ['size', formatBytes(report.tensorBytes)],
    ])) {
      cli.note(line);
    }
    if (changed === 0) {
      cli.warn('the written weights equal the base: the update rounded away; try --dtype f32');
    }
  } finally {
    await source.close();
  }
}

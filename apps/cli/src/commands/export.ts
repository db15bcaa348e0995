/** `tuneyard export`: writes a model or adapter in another form. */
import type { Command } from 'commander';
import { Option } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, type StartCommand } from '../define-command.js';
import type { ExportRequest } from '../export/export-model.js';

interface ExportFlags {
  readonly output: string;
  readonly adapter?: string;
  readonly format?: 'gguf' | 'hf' | 'peft';
  readonly type?: string;
}

/** Adds `export` to the program. */
export function addExportCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'export',
    summary: 'Write a model or adapter in another form',
    description:
      'Writes a model as one GGUF file for llama.cpp or as a Hugging Face directory, with an adapter merged in where one is given; or an adapter as a PEFT directory. The form follows from the name of the output unless it is given.',
    examples: [
      {
        command: 'tuneyard export models/mine -o mine-q8_0.gguf --type q8_0',
        does: 'a quantized file for llama.cpp',
      },
      {
        command: 'tuneyard export models/base --adapter adapters/mine -o mine.gguf --type f16',
        does: 'with the adapter merged in',
      },
      {
        command: 'tuneyard export model.gguf -o models/from-gguf --format hf --type bf16',
        does: 'from GGUF back to a model directory',
      },
      {
        command:
          'tuneyard export models/base --adapter adapters/mine -o adapters/copy --format peft',
        does: 'the adapter alone, in 16 bits or 32',
      },
    ],
  })
    .argument('<model>', 'model directory or .gguf file')
    .requiredOption('-o, --output <path>', 'file or directory to write')
    .option('--adapter <dir>', 'LoRA adapter (PEFT layout)')
    .addOption(
      new Option(
        '--format <format>',
        'form to write (default: gguf for a .gguf name, else hf)',
      ).choices(['gguf', 'hf', 'peft']),
    )
    .option(
      '--type <type>',
      "type of the weights: f32, f16, bf16; q8_0, q4_K … for GGUF (default: the model's own)",
    )
    .action((model: string, flags: ExportFlags) => exportAs(start(), model, flags));
}

async function exportAs(cli: Cli, model: string, flags: ExportFlags): Promise<void> {
  const { exportGgufFile, exportHfDirectory, exportPeftDirectory } = await import(
    '../export/export-model.js'
  );
  const isGguf = flags.output.toLowerCase().endsWith('.gguf');
  const format = flags.format ?? (isGguf ? 'gguf' : 'hf');
  const request: ExportRequest = {
    model: cli.path(model),
    adapter: flags.adapter === undefined ? null : cli.path(flags.adapter),
    output: cli.path(flags.output),
    type: flags.type ?? null,
  };
  const run = { gguf: exportGgufFile, hf: exportHfDirectory, peft: exportPeftDirectory }[format];
  const report = await run(cli, request);
  cli.progress.clear();
  cli.result({ output: flags.output, format, ...report }, () => [flags.output]);
}

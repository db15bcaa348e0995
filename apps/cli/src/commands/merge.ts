/** `tuneyard merge`: puts LoRA adapters into the weights of their base model. */
import { formatBytes, formatCount, TuneyardError } from '@tuneyard/core';
import type { MergeReport, PeftAdapter } from '@tuneyard/weights';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import {
  defineCommand,
  integerOption,
  numberOption,
  type StartCommand,
} from '../define-command.js';
import { CLI_ERRORS } from '../errors.js';
import { formatFacts } from '../terminal/table.js';

interface MergeFlags {
  readonly output: string;
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  readonly loraR?: number;
  readonly loraAlpha?: number;
}

interface MergeCall {
  readonly model: string;
  readonly adapters: readonly string[];
  readonly flags: MergeFlags;
}

/** Adds `merge` to the program. */
export function addMergeCommand(program: Command, start: StartCommand): void {
  defineCommand(program, {
    usage: 'merge',
    summary: 'Put LoRA adapters into the weights of their base model',
    description:
      'Writes a new model directory: every adapted weight plus its update, tokenizer and settings carried along. Several adapters are merged one after the other. Reads all that PEFT saves for LoRA: rank-stabilized scaling, patterns, DoRA, trained biases, whole modules, embeddings. A Megatron checkpoint is merged rank by rank, with the adapters that it holds or those of a second checkpoint. Base and adapters stay as they are.',
    examples: [
      { command: 'tuneyard merge models/base adapters/mine -o models/mine', does: 'merge' },
      {
        command: 'tuneyard merge models/base adapters/first adapters/second -o models/both',
        does: 'the second adapter was trained on top of the first',
      },
      {
        command: 'tuneyard merge mg/base mg/lora -o mg/merged',
        does: 'Megatron checkpoints of one parallel layout',
      },
      {
        command: 'tuneyard merge models/base adapters/mine -o models/mine --dtype f32',
        does: 'keep full precision: small updates can round away in 16 bits',
      },
    ],
  })
    .argument('<model>', 'base model: a model directory, a .gguf file or a Megatron checkpoint')
    .argument('[adapters...]', 'adapter directories (PEFT), or one Megatron checkpoint')
    .requiredOption('-o, --output <dir>', 'directory to write')
    .addOption(
      new Option(
        '--dtype <type>',
        "type of the written weights (default: the model's own)",
      ).choices(['f32', 'f16', 'bf16']),
    )
    .option(
      '--lora-r <n>',
      'rank, where a Megatron checkpoint does not state it',
      integerOption({ min: 1 }),
    )
    .option('--lora-alpha <x>', 'alpha, likewise', numberOption({ min: 0 }))
    .action((model: string, adapters: string[], flags: MergeFlags) =>
      merge(start(), { model, adapters, flags }),
    );
}

async function merge(cli: Cli, call: MergeCall): Promise<void> {
  const { isMegatronDirectory } = await import('@tuneyard/weights');
  if (await isMegatronDirectory(cli.path(call.model))) await mergeMegatron(cli, call);
  else await mergeModel(cli, call);
}

async function mergeModel(cli: Cli, { model, adapters, flags }: MergeCall): Promise<void> {
  const { mergeHfDirectory, readAdapter } = await import('@tuneyard/weights');
  if (adapters.length === 0) throw badCall('Name at least one adapter directory after the model.');
  const read: PeftAdapter[] = [];
  for (const adapter of adapters) read.push(await readAdapter(cli.path(adapter)));
  const output = cli.path(flags.output);
  const report = isGgufName(model)
    ? await mergeGguf(cli, read, { model, output, dtype: flags.dtype })
    : await mergeHfDirectory(cli.path(model), read, output, {
        ...(flags.dtype === undefined ? {} : { dtype: flags.dtype }),
        adapterDirs: adapters.map((adapter) => cli.path(adapter)),
        signal: cli.signal,
        onProgress: ({ done, total }) =>
          cli.progress.update({ stage: 'merge', done, total, unit: 'tensors' }),
      });
  cli.progress.clear();
  show(cli, flags.output, report);
}

function isGgufName(path: string): boolean {
  return path.toLowerCase().endsWith('.gguf');
}

async function mergeGguf(
  cli: Cli,
  adapters: readonly PeftAdapter[],
  call: { model: string; output: string; dtype: MergeFlags['dtype'] },
): Promise<MergeReport> {
  const { mergeAdapters, openModel } = await import('@tuneyard/weights');
  const { hfWriteOptions } = await import('../export/export-model.js');
  const source = await openModel(cli.path(call.model));
  try {
    const options = await hfWriteOptions(cli, source, call.dtype);
    return await mergeAdapters(source, adapters, call.output, options);
  } finally {
    await source.close();
  }
}

function show(cli: Cli, output: string, report: MergeReport): void {
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
  if (report.untied)
    cli.note('the head, shared with the embedding in the base, is written by itself');
  if (changed === 0) {
    cli.warn('the written weights equal the base: the update rounded away; try --dtype f32');
  }
}

async function mergeMegatron(cli: Cli, { model, adapters, flags }: MergeCall): Promise<void> {
  const { mergeMegatronCheckpoint } = await import('@tuneyard/weights');
  const [adapter, ...more] = adapters;
  if (more.length > 0) throw badCall('A Megatron checkpoint is merged with one other at a time.');
  if (flags.dtype !== undefined) {
    throw badCall('Megatron checkpoints keep their type; use tuneyard convert --dtype afterwards.');
  }
  const report = await mergeMegatronCheckpoint(cli.path(model), cli.path(flags.output), {
    ...(adapter === undefined ? {} : { adapter: cli.path(adapter) }),
    stated: {
      ...(flags.loraR === undefined ? {} : { rank: flags.loraR }),
      ...(flags.loraAlpha === undefined ? {} : { alpha: flags.loraAlpha }),
    },
    signal: cli.signal,
    onProgress: ({ done, total }) =>
      cli.progress.update({ stage: 'merge', done, total, unit: 'ranks' }),
  });
  cli.progress.clear();
  cli.result({ output: flags.output, ...report }, () => [flags.output]);
  cli.note('merged');
  for (const line of formatFacts([
    ['updated', `${formatCount(report.merged)} weights in ${report.ranks} ranks`],
    ['rank', `${report.rank}, alpha ${report.alpha}`],
    ['size', formatBytes(report.bytes)],
  ])) {
    cli.note(line);
  }
}

function badCall(message: string): TuneyardError {
  return new TuneyardError(CLI_ERRORS.CLI_INVALID_VALUE, message);
}

/** `tuneyard adapter`: LoRA adapters from one form to another. */
import { formatCount } from '@tuneyard/core';
import type { AdapterConversionReport, MegatronSettings, MegatronSpec } from '@tuneyard/weights';
import { type Command, Option } from 'commander';
import type { Cli } from '../cli.js';
import {
  defineCommand,
  integerOption,
  numberOption,
  type StartCommand,
} from '../define-command.js';
import { formatFacts } from '../terminal/table.js';

interface ConvertAdapterFlags {
  readonly to: 'peft' | 'megatron' | 'gguf';
  readonly base?: string;
  readonly tp?: number;
  readonly pp?: number;
  readonly ep?: number;
  readonly spec?: MegatronSpec;
  readonly layersPerVirtualStage?: number;
  readonly type?: 'f32' | 'f16' | 'bf16';
  readonly stack: boolean;
  readonly loraR?: number;
  readonly loraAlpha?: number;
}

/** Adds `adapter convert` to the program. */
export function addAdapterCommands(program: Command, start: StartCommand): void {
  const adapter = program.command('adapter').summary('Convert LoRA adapters');
  adapter.description('Works on LoRA adapters by themselves, without the weights of their base.');
  const command = defineCommand(adapter, {
    usage: 'convert',
    summary: 'Convert a LoRA adapter between PEFT, Megatron and GGUF',
    description:
      'Reads a PEFT directory or the adapters of a Megatron checkpoint and writes one of three forms: a PEFT directory, a Megatron checkpoint for --lora-load in any parallel layout, or a GGUF file that llama.cpp applies to its base. Megatron has one A for query, key and value; different ones are stacked, which is exact and multiplies the rank.',
    examples: [
      {
        command:
          'tuneyard adapter convert adapters/mine mine-lora.gguf --to gguf --base models/base',
        does: 'for llama.cpp (--lora mine-lora.gguf)',
      },
      {
        command: 'tuneyard adapter convert saved/lora adapters/mine --to peft --base models/base',
        does: 'what a Megatron training has saved, for PEFT',
      },
      {
        command:
          'tuneyard adapter convert adapters/mine mg/mine --to megatron --base models/base --tp 4 --pp 2',
        does: 'for training on with Megatron or MindSpeed-LLM',
      },
    ],
  })
    .argument('<adapter>', 'PEFT directory or Megatron checkpoint')
    .argument('<output>', 'directory to write, or file for GGUF')
    .addOption(
      new Option('--to <form>', 'form of the target')
        .choices(['peft', 'megatron', 'gguf'])
        .makeOptionMandatory(),
    )
    .option(
      '--base <dir>',
      "directory of the base's config.json (default: as the adapter names it)",
    );
  addLayoutOptions(command).action((source: string, output: string, flags: ConvertAdapterFlags) =>
    convert(start(), { source, output, flags }),
  );
}

function addLayoutOptions(command: Command): Command {
  const count = integerOption({ min: 1 });
  return command
    .option('--tp <n>', 'tensor parallel size of a Megatron target', count)
    .option('--pp <n>', 'pipeline parallel size', count)
    .option('--ep <n>', 'expert parallel size', count)
    .addOption(
      new Option('--spec <names>', 'names of Megatron parameters (default: local)').choices([
        'local',
        'transformer_engine',
        'legacy',
        'ascendspeed',
      ]),
    )
    .option('--layers-per-virtual-stage <n>', 'layers of a virtual pipeline stage', count)
    .addOption(
      new Option('--type <type>', 'type of the factors (default: f32)').choices([
        'f32',
        'f16',
        'bf16',
      ]),
    )
    .option('--no-stack', "refuse different A's of joined modules instead of stacking them")
    .option('--lora-r <n>', 'rank of a Megatron source that does not state it', count)
    .option('--lora-alpha <x>', 'alpha of a Megatron source', numberOption({ min: 0 }));
}

async function convert(
  cli: Cli,
  call: { source: string; output: string; flags: ConvertAdapterFlags },
): Promise<void> {
  const { convertAdapterFiles } = await import('@tuneyard/weights');
  const { source, output, flags } = call;
  const report = await convertAdapterFiles({
    source: cli.path(source),
    output: cli.path(output),
    to: flags.to,
    layout: layoutOf(flags),
    different: flags.stack ? 'stack' : 'refuse',
    signal: cli.signal,
    stated: {
      ...(flags.loraR === undefined ? {} : { rank: flags.loraR }),
      ...(flags.loraAlpha === undefined ? {} : { alpha: flags.loraAlpha }),
    },
    ...(flags.base === undefined ? {} : { baseDir: cli.path(flags.base) }),
    ...(flags.type === undefined ? {} : { type: flags.type }),
  });
  cli.result({ output, ...report }, () => [output]);
  cli.note(`converted from ${report.from} to ${report.to}`);
  for (const line of formatFacts(factsOf(report))) cli.note(line);
}

function layoutOf(flags: ConvertAdapterFlags): Partial<MegatronSettings> {
  return {
    ...(flags.tp === undefined ? {} : { tensorParallel: flags.tp }),
    ...(flags.pp === undefined ? {} : { pipelineParallel: flags.pp }),
    ...(flags.ep === undefined ? {} : { expertParallel: flags.ep }),
    ...(flags.spec === undefined ? {} : { spec: flags.spec }),
    ...(flags.layersPerVirtualStage === undefined
      ? {}
      : { layersPerVirtualStage: flags.layersPerVirtualStage }),
  };
}

function factsOf(report: AdapterConversionReport): (readonly [string, string])[] {
  const { modules, rank, alpha, stacked, rescaled, dropped, zeroFilled } = report;
  const facts: (readonly [string, string])[] = [
    ['modules', formatCount(modules)],
    ['rank', `${rank}, alpha ${alpha}`],
  ];
  if (stacked.length > 0) {
    facts.push([
      'stacked',
      `${formatCount(stacked.length)} joined modules keep an A for each part`,
    ]);
  }
  if (rescaled.length > 0) {
    facts.push([
      'rescaled',
      `B of ${formatCount(rescaled.length)} modules carries a part of the scale`,
    ]);
  }
  if (dropped.length > 0) {
    facts.push(['left away', `${formatCount(dropped.length)} modules without effect`]);
  }
  if (zeroFilled > 0) {
    facts.push(['zeros', `in ${formatCount(zeroFilled)} shards that the adapter leaves alone`]);
  }
  return facts;
}

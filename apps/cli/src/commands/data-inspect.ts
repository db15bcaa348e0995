/** `tuneyard data inspect`: what a prepared data set holds. */
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { showTokenSummary } from '../data/show-tokens.js';
import { defineCommand, integerOption, type StartCommand } from '../define-command.js';

interface InspectFlags {
  readonly model?: string;
  readonly decode?: number;
}

/** Samples that are shown when a tokenizer is given. */
const DECODED = 3;

/** Adds `data inspect`. */
export function addDataInspectCommand(parent: Command, start: StartCommand): void {
  defineCommand(parent, {
    usage: 'inspect',
    summary: 'Show what a prepared data set holds',
    description:
      "Shows fields, counts and lengths of a prepared data set: a token set, or indexed data sets (.bin, .idx) of this program, Megatron, ModelLink or MindSpeed-LLM. With a model's tokenizer the first samples are decoded; what is learned is coloured, or in ⟦ ⟧ without colour.",
    examples: [
      { command: 'tuneyard data inspect data/alpaca', does: 'fields, counts and lengths' },
      {
        command: 'tuneyard data inspect data/alpaca --model models/my-model --decode 5',
        does: 'and the first five samples as text',
      },
      {
        command: 'tuneyard data inspect data/wiki_text_document',
        does: 'raw text, by the whole name without .bin and .idx',
      },
    ],
  })
    .argument('<prefix>', 'prefix of the data set as a trainer takes it, or a directory')
    .option('--model <path>', 'model directory or tokenizer that decodes samples')
    .option(
      '--decode <n>',
      'show this many sequences (default: 3 with --model)',
      integerOption({ min: 0 }),
    )
    .action((prefix: string, flags: InspectFlags) => inspect(start(), prefix, flags));
}

async function inspect(cli: Cli, prefix: string, flags: InspectFlags): Promise<void> {
  const { formatPreview, inspectTokens, loadTokenizer, previewSamples } = await import(
    '@tuneyard/data'
  );
  const { model } = flags;
  const samples = flags.decode ?? (model === undefined ? 0 : DECODED);
  const summary = await inspectTokens(cli.path(prefix), { samples });
  const tokenizer = model === undefined ? null : await loadTokenizer(cli.path(model));
  const shown = tokenizer === null ? null : previewSamples(summary.samples, tokenizer);
  cli.result({ ...summary, samples: shown ?? summary.samples }, () => {
    const color = cli.out.isColorSupported;
    const texts =
      shown?.map((sample) => formatPreview(sample, { color })) ??
      summary.samples.map(({ row, source, ids }) => `${source}, row ${row}: ${ids.join(' ')}`);
    return [...showTokenSummary(summary), ...texts.flatMap((text) => ['', text])];
  });
}

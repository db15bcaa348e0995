/** `tuneyard data merge`: several prepared data sets as one. */
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { showWrittenFields } from '../data/show-tokens.js';
import { defineCommand, type StartCommand } from '../define-command.js';

/** Adds `data merge`. */
export function addDataMergeCommand(parent: Command, start: StartCommand): void {
  defineCommand(parent, {
    usage: 'merge',
    summary: 'Put prepared data sets together',
    description:
      'Writes the samples of several prepared data sets one after another as one, field by field. They must be of one kind and element type. Nothing is tokenized again.',
    examples: [
      { command: 'tuneyard data merge data/all data/alpaca data/dolly', does: 'two into one' },
      {
        command: 'tuneyard data merge data/all data/wiki_text_document data/news_text_document',
        does: 'raw text: writes data/all_text_document.bin and .idx',
      },
    ],
  })
    .argument('<output>', 'prefix to write')
    .argument('<prefix...>', 'prepared data sets, in order')
    .action((output: string, prefixes: string[]) => merge(start(), output, prefixes));
}

async function merge(cli: Cli, output: string, prefixes: readonly string[]): Promise<void> {
  const { mergeTokens } = await import('@tuneyard/data');
  const paths = prefixes.map((prefix) => cli.path(prefix));
  const fields = await mergeTokens(cli.path(output), paths, { signal: cli.signal });
  cli.result({ fields }, () => [output, ...showWrittenFields(fields)]);
}

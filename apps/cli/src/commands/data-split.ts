/** `tuneyard data split`: a prepared data set in parts. */
import { TuneyardError } from '@tuneyard/core';
import { type Command, InvalidArgumentError } from 'commander';
import type { Cli } from '../cli.js';
import { showWrittenFields } from '../data/show-tokens.js';
import { defineCommand, integerOption, type StartCommand } from '../define-command.js';
import { CLI_ERRORS } from '../errors.js';

interface SplitFlags {
  readonly fractions?: readonly number[];
  readonly counts?: readonly number[];
  readonly names?: readonly string[];
  readonly seed?: number;
  readonly output?: string;
}

const DEFAULT_NAMES = ['train', 'valid', 'test'];

/** Adds `data split`. */
export function addDataSplitCommand(parent: Command, start: StartCommand): void {
  defineCommand(parent, {
    usage: 'split',
    summary: 'Divide a prepared data set by documents',
    description:
      'Writes parts of a prepared data set as data sets of their own, all fields alike: consecutive documents, or with a seed documents drawn at random. Shares are rounded as Megatron rounds --split.',
    examples: [
      {
        command: 'tuneyard data split data/alpaca --fractions 0.9,0.1',
        does: 'writes data/alpaca_train and data/alpaca_valid',
      },
      {
        command:
          'tuneyard data split data/alpaca --counts 5000,500 --names big,small --seed 1 --output out/a',
        does: 'so many documents each, drawn at random, elsewhere',
      },
    ],
  })
    .argument('<prefix>', 'prefix of the data set, or the directory of a token set')
    .option(
      '--fractions <list>',
      'shares of the documents, such as 0.9,0.1 or 949,50,1',
      numberList,
    )
    .option('--counts <list>', 'documents of each part instead', numberList)
    .option('--names <list>', 'names of the parts (default: train, valid, test)', nameList)
    .option('--seed <n>', 'draw documents at random', integerOption({ min: 0 }))
    .option('-o, --output <prefix>', 'what the new names begin with (default: the prefix)')
    .action((prefix: string, flags: SplitFlags) => split(start(), prefix, flags));
}

async function split(cli: Cli, prefix: string, flags: SplitFlags): Promise<void> {
  const { splitTokens } = await import('@tuneyard/data');
  const { sizes, names } = planParts(flags);
  const parts = await splitTokens(cli.path(prefix), {
    names,
    sizes,
    signal: cli.signal,
    ...(flags.seed === undefined ? {} : { seed: flags.seed }),
    ...(flags.output === undefined ? {} : { output: cli.path(flags.output) }),
  });
  cli.result({ parts }, () =>
    parts.flatMap((part) => [part.prefix, ...showWrittenFields(part.fields)]),
  );
}

function planParts({ fractions, counts, names }: SplitFlags) {
  const sizes = fractions ?? counts;
  if (sizes === undefined || (fractions !== undefined && counts !== undefined)) {
    throw badUsage('Say how large the parts are, with --fractions or with --counts.');
  }
  const isCounted = fractions === undefined;
  const given = names ?? sizes.map((_, i) => DEFAULT_NAMES[i] ?? `part${i}`);
  if (given.length !== sizes.length || new Set(given).size !== given.length) {
    throw badUsage(
      `${sizes.length} parts need as many different names; given: ${given.join(', ')}`,
    );
  }
  return { names: given, sizes: isCounted ? { counts: sizes } : { fractions: sizes } };
}

function numberList(text: string): number[] {
  const numbers = text.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)));
  if (numbers.every((number) => Number.isFinite(number) && number >= 0)) return numbers;
  throw new InvalidArgumentError('Expected numbers with commas between, such as 0.9,0.1.');
}

function nameList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => /^[\w.-]+$/.test(name))) return names;
  throw new InvalidArgumentError('Expected names with commas between, such as train,valid.');
}

function badUsage(message: string): TuneyardError {
  return new TuneyardError(CLI_ERRORS.CLI_BAD_USAGE, message);
}

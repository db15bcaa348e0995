/** `tuneyard data verify`: whether a prepared data set is sound. */
import { formatCount } from '@tuneyard/core';
import type { TokenVerification } from '@tuneyard/data';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { defineCommand, integerOption, type StartCommand } from '../define-command.js';

interface VerifyFlags {
  readonly vocabSize?: number;
  readonly model?: string;
  readonly hash?: boolean;
}

/** Exit code of a data set that has errors. */
const EXIT_FOUND_ERRORS = 1;

/** Adds `data verify`. */
export function addDataVerifyCommand(parent: Command, start: StartCommand): void {
  defineCommand(parent, {
    usage: 'verify',
    summary: 'Check a prepared data set from end to end',
    description:
      'Reads all of a prepared data set: indexes against file sizes, ids against the vocabulary, fields against each other, attention masks, and whether samples teach anything. Exits with 1 when it finds errors.',
    examples: [
      {
        command: 'tuneyard data verify data/alpaca --model models/my-model',
        does: "ids must be in the model's vocabulary",
      },
      {
        command: 'tuneyard data verify data/wiki_text_document --vocab-size 32000 --hash',
        does: 'with SHA-256 of the files, to compare copies',
      },
    ],
  })
    .argument('<prefix>', 'prefix of the data set as a trainer takes it, or a directory')
    .option('--vocab-size <n>', 'ids must be below this', integerOption({ min: 1 }))
    .option('--model <path>', 'model directory or tokenizer with that vocabulary')
    .option('--hash', 'hash all files')
    .action((prefix: string, flags: VerifyFlags) => verify(start(), prefix, flags));
}

async function verify(cli: Cli, prefix: string, flags: VerifyFlags): Promise<void> {
  const { loadTokenizer, verifyTokens } = await import('@tuneyard/data');
  const { model, hash = false } = flags;
  const tokenizer = model === undefined ? null : await loadTokenizer(cli.path(model));
  const vocabSize = flags.vocabSize ?? tokenizer?.vocabSize;
  const found = await verifyTokens(cli.path(prefix), {
    hash,
    signal: cli.signal,
    ...(vocabSize === undefined ? {} : { vocabSize }),
  });
  cli.result(found, () => showVerification(cli, found));
  if (found.faults.some(({ severity }) => severity === 'error')) cli.exitCode = EXIT_FOUND_ERRORS;
}

function showVerification(cli: Cli, found: TokenVerification): string[] {
  const { fields, faults, learnedTokens } = found;
  const [first] = fields;
  const paint = { error: cli.out.red, warning: cli.out.yellow };
  const learned = learnedTokens === null ? '' : `, ${formatCount(learnedTokens)} learned`;
  const hashes = fields.flatMap(({ field, sha256 }) =>
    sha256 === null ? [] : [`${sha256.bin}  ${field}.bin`, `${sha256.idx}  ${field}.idx`],
  );
  return [
    ...faults.map(
      ({ severity, field, message }) => `${paint[severity](severity)} ${field}: ${message}`,
    ),
    ...hashes,
    `${found.prefix}: ${found.kind}, ${formatCount(first?.sequences ?? 0)} sequences, ` +
      `${formatCount(first?.tokens ?? 0)} tokens${learned}`,
    faults.length === 0 ? 'no faults' : `${faults.length} fault${faults.length === 1 ? '' : 's'}`,
  ];
}

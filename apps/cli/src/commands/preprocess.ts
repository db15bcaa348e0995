/** `tuneyard preprocess`: data sets in, indexed data sets of tokens out. */
import { dirname, join } from 'node:path';
import { formatBytes, formatCount, formatDuration } from '@tuneyard/core';
import type { MegatronDataSettings, PreparedFiles, PreprocessProgress } from '@tuneyard/data';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import { addPreprocessOptions, type PreprocessFlags } from '../data/preprocess-options.js';
import { defineCommand, type StartCommand } from '../define-command.js';

/** Exit code when settings of a launch script do not fit the data; the files are written all the same. */
const EXIT_FOUND_ERRORS = 1;

/** Adds `preprocess` to the program. */
export function addPreprocessCommand(program: Command, start: StartCommand): void {
  const command = defineCommand(program, {
    usage: 'preprocess',
    summary: 'Tokenize, mask and pack data sets into .bin/.idx files',
    description:
      'Turns data sets into the indexed data sets that Megatron, MindSpeed-LLM and this trainer read by their prefix. Files may be json, jsonl, csv, tsv, txt, parquet or arrow, text also as .gz or .zst; a folder, a glob or a name in dataset_info.json stand for several. An interrupted job goes on where it stopped. Names of preprocess_data.py (--input, --tokenizer-name-or-path, --prompt-type, --seq-length) are taken too.',
    examples: [
      {
        command:
          'tuneyard preprocess alpaca.json --model models/qwen --template qwen --output-prefix out/alpaca',
        does: 'fine-tuning data: out/alpaca_packed_{input_ids,attention_mask,labels}_document.*',
      },
      {
        command:
          'tuneyard preprocess "corpus/*.jsonl.gz" --model models/llama --stage pt --append-eod --output-prefix out/corpus',
        does: 'raw text for pre-training: out/corpus_text_document.*',
      },
      {
        command:
          'tuneyard preprocess a.jsonl b.jsonl --model models/qwen --mix-strategy interleave_under --interleave-probs 0.7,0.3 --pack --neat-pack --seq-length 4096 --output-prefix out/mix',
        does: 'two data sets mixed and packed',
      },
    ],
  }).argument('[datasets...]', 'data files, folders, globs, or names in dataset_info.json');
  addPreprocessOptions(command).action((names: string[], flags: PreprocessFlags) =>
    preprocess(start(), names, flags),
  );
}

async function preprocess(
  cli: Cli,
  names: readonly string[],
  flags: PreprocessFlags,
): Promise<void> {
  const { planPreprocess } = await import('../data/plan-preprocess.js');
  const { prepareFiles } = await import('@tuneyard/data');
  const plan = await planPreprocess(cli, names, flags);
  cli.interruptNote = 'stopping; the same command goes on from here';
  const startedAt = cli.host.now();
  const prepared = await prepareFiles({
    ...plan,
    signal: cli.signal,
    onProgress: (progress) => showProgress(cli, progress),
  });
  cli.progress.clear();
  const settings = await checkSettings(prepared, flags);
  const seconds = (cli.host.now() - startedAt) / 1000;
  if (settings?.findings.some(({ severity }) => severity === 'error') === true) {
    cli.exitCode = EXIT_FOUND_ERRORS;
  }
  await showResult(cli, { prepared, settings, seconds });
}

function showProgress(cli: Cli, progress: PreprocessProgress): void {
  if (progress.phase === 'write') {
    const { samples: done, totalSamples: total } = progress;
    cli.progress.update({ stage: 'write', done, total, unit: 'samples' });
    return;
  }
  const { bytes: done, totalBytes: total, rows } = progress;
  const facts = [`${formatCount(rows)} rows`];
  cli.progress.update({ stage: 'tokenize', done, total, unit: 'bytes', facts });
}

/** Settings of a launch script held against what was counted; null when there are none. */
async function checkSettings(
  { record }: PreparedFiles,
  flags: PreprocessFlags,
): Promise<MegatronDataSettings | null> {
  const { settingsOf } = await import('../data/plan-preprocess.js');
  const given = settingsOf(flags);
  if (Object.keys(given).length === 0) return null;
  const { parseMegatronDataSettings } = await import('@tuneyard/data');
  return parseMegatronDataSettings(given, {
    samples: record.train.samples,
    unit: flags.pack === true ? 'packed rows' : 'samples',
    longest: record.report.longest,
  });
}

interface Shown {
  readonly prepared: PreparedFiles;
  readonly settings: MegatronDataSettings | null;
  readonly seconds: number;
}

async function showResult(cli: Cli, { prepared, settings, seconds }: Shown): Promise<void> {
  const { formatDataReport } = await import('@tuneyard/data');
  const { record, status, workers, reusedParts, recordPath } = prepared;
  const { train, validation, report } = record;
  const document = { status, workers, reusedParts, recordPath, ...record, settings };
  cli.result(document, () => [
    formatDataReport(report, { width: Math.min(cli.host.stdout.columns ?? 100, 120) }),
    '',
    ...(status === 'unchanged'
      ? ['Nothing to do: these files were made from the same data with the same options.']
      : [tellWork(report.tokens, seconds, { workers, reusedParts })]),
    ...[train, ...(validation === null ? [] : [validation])].flatMap(({ samples, fields }) =>
      fields.map(
        ({ prefix, bytes }) =>
          `  ${join(dirname(recordPath), prefix)}.{bin,idx}  ${formatCount(samples)} sequences, ${formatBytes(bytes)}`,
      ),
    ),
    ...(record.media === null
      ? []
      : [`  ${join(dirname(recordPath), record.media)}  the media of these rows by hash`]),
    `Pass ${trainerPrefix(prepared)} to the trainer.`,
    ...(settings === null ? [] : ['', ...tellSettings(settings)]),
  ]);
}

function tellSettings({ iterations, findings }: MegatronDataSettings): string[] {
  const nearest = (values: readonly number[]): string =>
    values.length === 0 ? '' : ` (nearest: ${values.join(', ')})`;
  return [
    ...(iterations?.text ?? []),
    ...findings.map((found) => `${found.severity}: ${found.message}${nearest(found.nearest)}`),
  ];
}

function tellWork(
  tokens: number,
  seconds: number,
  { workers, reusedParts }: Pick<PreparedFiles, 'workers' | 'reusedParts'>,
): string {
  const rate = formatCount(Math.round(tokens / Math.max(seconds, 0.001)));
  const threads = workers < 2 ? 'one thread' : `${workers} threads`;
  const resumed = reusedParts === 0 ? '' : `; ${formatCount(reusedParts)} parts were there already`;
  return `Written in ${formatDuration(1000 * seconds)}: ${rate} tokens/s on ${threads}${resumed}.`;
}

/** Raw text is named in whole, parallel fields by what comes before them. */
function trainerPrefix({ record, recordPath }: PreparedFiles): string {
  const { kind, train } = record;
  const isText =
    kind === 'pretrain' && !train.fields.some(({ field }) => field.startsWith('packed_'));
  const name = isText ? (train.fields[0]?.prefix ?? train.prefix) : train.prefix;
  return join(dirname(recordPath), name);
}

/** `tuneyard data check`: finds what would make a training fail in silence. */
import { formatCount } from '@tuneyard/core';
import type { DataReport, Finding, PreparedSamples } from '@tuneyard/data';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import {
  addDataOptions,
  type DataFlags,
  documentEncodingOf,
  encodingOf,
  findDatasets,
  type OpenedData,
  openData,
} from '../data/data-options.js';
import { defineCommand, repeatedOption, type StartCommand } from '../define-command.js';
import { visibleText } from '../terminal/visible-text.js';

interface CheckFlags extends DataFlags {
  readonly model: string;
  readonly validation?: readonly string[];
}

/** Exit code of a check that found errors. */
const EXIT_FOUND_ERRORS = 1;

/** Adds `data check`. */
export function addDataCheckCommand(parent: Command, start: StartCommand): void {
  const command = defineCommand(parent, {
    usage: 'check',
    summary: 'Find what would make a training fail in silence',
    description:
      'Prepares data sets as training would and looks for rows that teach nothing, answers that never end, rows that are left out or cut, repeats, and held-out rows that are trained on. Exits with 1 when it finds errors; warnings do not count.',
    examples: [
      {
        command: 'tuneyard data check train.jsonl --model models/my-model',
        does: 'check one file',
      },
      {
        command:
          'tuneyard data check train.jsonl --validation valid.jsonl --model models/base --template plain --cutoff-len 512',
        does: 'with held-out data, as a recipe would use them',
      },
    ],
  })
    .argument('<dataset...>', 'data files, or names in dataset_info.json')
    .requiredOption('--model <path>', 'model directory or .gguf file')
    .option('--validation <dataset>', 'held-out data set (repeatable)', repeatedOption);
  addDataOptions(command).action((datasets: string[], flags: CheckFlags) =>
    check(start(), datasets, flags),
  );
}

async function check(cli: Cli, datasets: readonly string[], flags: CheckFlags): Promise<void> {
  const { checkDataset, summarizeReport } = await import('@tuneyard/data');
  const data = await openData(cli, flags.model, flags);
  const train = await prepare(cli, datasets, data);
  const validation =
    flags.validation === undefined ? null : await prepare(cli, flags.validation, data);
  cli.progress.clear();
  const findings = checkDataset({
    tokenizer: data.tokenizer,
    template: data.template,
    modelVocabSize: data.config.vocabSize,
    train: train.samples,
    validation: validation?.samples ?? [],
    report: train.report,
  });
  const report = summarizeReport(train.report);
  cli.result({ findings, report }, () => [
    ...formatFindings(cli, findings),
    ...summarize(report, findings),
  ]);
  if (findings.some(({ severity }) => severity === 'error')) cli.exitCode = EXIT_FOUND_ERRORS;
}

async function prepare(
  cli: Cli,
  names: readonly string[],
  data: OpenedData,
): Promise<PreparedSamples> {
  const { prepareConversations, prepareDocuments } = await import('@tuneyard/data');
  const specs = await findDatasets(cli, names, data.flags);
  const options = {
    signal: cli.signal,
    onProgress: (rows: number) => {
      if (!cli.isJson) cli.progress.update({ stage: 'read', done: rows, unit: 'rows' });
    },
  };
  const { template } = data;
  return template === null
    ? await prepareDocuments(specs, documentEncodingOf(data), options)
    : await prepareConversations(specs, encodingOf({ ...data, template }), options);
}

const ROWS_LISTED = 10;

function formatFindings(cli: Cli, findings: readonly Finding[]): string[] {
  const paint = { error: cli.out.red, warning: cli.out.yellow, info: cli.out.cyan };
  return findings.flatMap((finding) => {
    const rows = finding.rows.slice(0, ROWS_LISTED).map(({ row }) => row);
    const more = finding.count > rows.length ? ', …' : '';
    return [
      `${paint[finding.severity](finding.severity)} ${cli.out.bold(finding.code)}  ${visibleText(finding.message)}`,
      `  rows ${rows.join(', ')}${more}`,
      `  ${cli.out.dim(finding.fix)}`,
      '',
    ];
  });
}

function summarize(report: DataReport, findings: readonly Finding[]): string[] {
  const count = (severity: Finding['severity']): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const plural = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  return [
    `${formatCount(report.samples)} samples of ${formatCount(report.rows)} rows, ` +
      `${formatCount(report.tokens)} tokens, ${formatCount(report.learnedTokens)} learned, ` +
      `longest ${formatCount(report.longest)}`,
    `${plural(count('error'), 'error')}, ${plural(count('warning'), 'warning')}`,
  ];
}

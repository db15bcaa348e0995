/** `tuneyard data check`: finds what would make a training fail in silence. */
import { dirname } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import type { CleanCopyReport, DatasetSpec, Diagnosis, Finding, ModelFacts } from '@tuneyard/data';
import type { Command } from 'commander';
import type { Cli } from '../cli.js';
import {
  addDataOptions,
  type DataFlags,
  findDatasets,
  type OpenedData,
  openData,
} from '../data/data-options.js';
import { showCleanCopy, showCounts, showFindings, showSummary } from '../data/show-findings.js';
import {
  defineCommand,
  integerOption,
  numberOption,
  repeatedOption,
  type StartCommand,
} from '../define-command.js';
import { CLI_ERRORS } from '../errors.js';

interface CheckFlags extends DataFlags {
  readonly model: string;
  readonly validation?: readonly string[];
  readonly valSize?: number;
  readonly seed: number;
  readonly mediaDir?: string;
  readonly fix?: string;
  readonly strict?: boolean;
}

/** Exit code of a check that found errors. */
const EXIT_FOUND_ERRORS = 1;

/** Adds `data check`. */
export function addDataCheckCommand(parent: Command, start: StartCommand): void {
  const command = defineCommand(parent, {
    usage: 'check',
    summary: 'Find what would make a training fail in silence',
    description:
      'Reads data sets as training would and looks for rows that teach nothing, answers that never end, rows that are left out or cut, repeats, contradictions, held-out rows that are trained on, damaged text, and templates or tokenizers that do not fit the model. Token sets, and the prefixes of indexed data sets, are checked as far as tokens tell. Exits with 1 when it finds errors; with --strict also for warnings. docs/data-doctor.md explains every finding.',
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
      {
        command:
          'tuneyard data check train.jsonl --model models/my-model --fix clean.jsonl --strict',
        does: 'write a copy without repeated, damaged and unusable rows',
      },
      {
        command: 'tuneyard data check tokens/alpaca --model models/my-model',
        does: 'check prepared tokens: alpaca_packed_input_ids_document.bin and its fellows',
      },
    ],
  })
    .argument(
      '<dataset...>',
      'data files, names in dataset_info.json, a token set, or the prefix of indexed data sets',
    )
    .requiredOption('--model <path>', 'model directory or .gguf file')
    .option('--validation <dataset>', 'held-out data set (repeatable)', repeatedOption)
    .option(
      '--val-size <n>',
      'hold out so many samples, or that share of them, as training would',
      numberOption({ min: 0 }),
    )
    .option(
      '--seed <n>',
      'seed of that draw, train.seed in a recipe',
      integerOption({ min: 0 }),
      42,
    )
    .option('--media-dir <dir>', 'what paths of images, videos and audios are relative to')
    .option('--fix <file>', 'write a clean copy of the one data set as JSON Lines')
    .option('--strict', 'exit with 1 for warnings too');
  addDataOptions(command).action((datasets: string[], flags: CheckFlags) =>
    check(start(), datasets, flags),
  );
}

/** What is printed. */
interface Outcome {
  readonly findings: readonly Finding[];
  readonly summary: Diagnosis['summary'] | null;
  readonly fix: CleanCopyReport | null;
}

async function check(cli: Cli, datasets: readonly string[], flags: CheckFlags): Promise<void> {
  const outcome = await examine(cli, datasets, flags);
  cli.progress.clear();
  const { findings, summary, fix } = outcome;
  cli.result(outcome, () => [
    ...showFindings(cli, findings),
    ...(summary === null ? [] : showSummary(summary, flags.cutoffLen)),
    ...(fix === null ? [] : showCleanCopy(fix)),
    showCounts(findings),
  ]);
  const isBad = ({ severity }: Finding): boolean =>
    severity === 'error' || (flags.strict === true && severity === 'warning');
  if (findings.some(isBad)) cli.exitCode = EXIT_FOUND_ERRORS;
}

async function examine(cli: Cli, datasets: readonly string[], flags: CheckFlags): Promise<Outcome> {
  checkFixable(datasets, flags);
  const tokens = await findTokens(cli, datasets);
  if (tokens !== null) return await examinePrepared(cli, tokens, flags);
  const train = await findDatasets(cli, datasets, flags);
  const validation = await findDatasets(cli, flags.validation ?? [], flags);
  const data = await openOrExplain(cli, flags);
  if ('code' in data) return { findings: [data], summary: null, fix: null };
  const diagnosis = await examineRows(cli, { train, validation, data, flags });
  const fix = await writeFix(cli, train, diagnosis, flags);
  return { findings: diagnosis.findings, summary: diagnosis.summary, fix };
}

function checkFixable(datasets: readonly string[], { fix }: CheckFlags): void {
  if (fix === undefined || datasets.length === 1) return;
  throw new TuneyardError(
    CLI_ERRORS.CLI_BAD_USAGE,
    `--fix writes a copy of one data set; ${datasets.length} were named`,
    { hint: 'Run it once for each.' },
  );
}

/** The path of prepared tokens, when that is what the one argument names. */
async function findTokens(cli: Cli, datasets: readonly string[]): Promise<string | null> {
  const [only = ''] = datasets;
  if (datasets.length !== 1) return null;
  const { isTokenPath } = await import('@tuneyard/data');
  const path = cli.path(only);
  return (await isTokenPath(path)) ? path : null;
}

async function examinePrepared(cli: Cli, path: string, flags: CheckFlags): Promise<Outcome> {
  if (flags.fix !== undefined) {
    throw new TuneyardError(CLI_ERRORS.CLI_BAD_USAGE, `${path} holds tokens, not rows to copy`, {
      hint: 'Use --fix on the data set that they were made from.',
    });
  }
  if (flags.validation !== undefined || flags.valSize !== undefined) {
    cli.warn('held-out data is not compared with tokens; check the data sets they were made from');
  }
  const { examineTokens, loadTokenizer } = await import('@tuneyard/data');
  const tokenizer = await loadTokenizer(cli.path(flags.model));
  const { findings, summary } = await examineTokens({
    path,
    tokenizer,
    model: await factsOf(cli, flags.model),
    cutoffLength: flags.cutoffLen,
    signal: cli.signal,
  });
  return { findings, summary, fix: null };
}

/** Opens model and template; a template that does not fit is itself a finding. */
async function openOrExplain(cli: Cli, flags: CheckFlags): Promise<OpenedData | Finding> {
  const { DATA_ERRORS, generalFinding, likelyTemplates, loadChatTemplate, loadTokenizer } =
    await import('@tuneyard/data');
  try {
    return await openData(cli, flags.model, flags);
  } catch (error) {
    const isMismatch =
      error instanceof TuneyardError && error.code === DATA_ERRORS.DATA_TEMPLATE_MISMATCH;
    if (!isMismatch) throw error;
    const path = cli.path(flags.model);
    const tokenizer = await loadTokenizer(path);
    const own = await loadChatTemplate(path, tokenizer);
    const names = await likelyTemplates(path, tokenizer);
    const fitting = own === null ? [...names, 'plain'] : ['auto', ...names];
    const fix = `Use template: ${fitting.join(' or ')}.`;
    return generalFinding('template_unusable', { what: error.message, fix });
  }
}

async function examineRows(
  cli: Cli,
  input: {
    readonly train: readonly DatasetSpec[];
    readonly validation: readonly DatasetSpec[];
    readonly data: OpenedData;
    readonly flags: CheckFlags;
  },
): Promise<Diagnosis> {
  const { examineData, loadChatTemplate } = await import('@tuneyard/data');
  const { train, validation, data, flags } = input;
  const { tokenizer, template, stopTokenId } = data;
  const modelPath = cli.path(flags.model);
  const mediaDir = flags.mediaDir ?? flags.datasetDir;
  return await examineData({
    train,
    validation,
    ...(flags.valSize === undefined || flags.valSize === 0
      ? {}
      : { split: { valSize: flags.valSize, seed: flags.seed } }),
    encoding: {
      tokenizer,
      template,
      stopTokenId,
      cutoffLength: flags.cutoffLen,
      overlength: flags.overlength,
      maskHistory: flags.maskHistory ?? false,
      trainOnPrompt: flags.trainOnPrompt ?? false,
    },
    model: await factsOf(cli, flags.model),
    template: {
      name: flags.template,
      modelPath,
      own: await loadChatTemplate(modelPath, tokenizer),
    },
    mediaDir: mediaDir === undefined ? dirname(train[0]?.path ?? '.') : cli.path(mediaDir),
    signal: cli.signal,
    onProgress: (rows) => {
      if (!cli.isJson) cli.progress.update({ stage: 'check', done: rows, unit: 'rows' });
    },
  });
}

async function factsOf(cli: Cli, modelPath: string): Promise<ModelFacts> {
  const { openModel } = await import('@tuneyard/weights');
  const source = await openModel(cli.path(modelPath));
  await source.close();
  const { config, generationConfig, parameters } = source;
  const embedding = parameters.find(({ name }) => name === 'model.embed_tokens.weight');
  const { vocabSize, bosTokenId, eosTokenIds, padTokenId } = config;
  const embeddingRows = embedding?.shape[0] ?? null;
  return { vocabSize, embeddingRows, bosTokenId, eosTokenIds, padTokenId, generationConfig };
}

async function writeFix(
  cli: Cli,
  train: readonly DatasetSpec[],
  { faults }: Diagnosis,
  { fix }: CheckFlags,
): Promise<CleanCopyReport | null> {
  const [spec] = train;
  if (fix === undefined || spec === undefined) return null;
  const { writeCleanCopy } = await import('@tuneyard/data');
  return await writeCleanCopy(spec, faults, { path: cli.path(fix), signal: cli.signal });
}

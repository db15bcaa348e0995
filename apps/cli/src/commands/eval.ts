/** `tuneyard eval`: loss and right answers of a model on held-out data. */
import type { TokenizedSample } from '@tuneyard/data';
import type { LossEvaluation, TextModel } from '@tuneyard/engine';
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
import {
  defineCommand,
  integerOption,
  repeatedOption,
  type StartCommand,
} from '../define-command.js';
import { type AnswerReport, measureAnswers } from '../eval/measure-answers.js';
import { addModelOptions, type ModelFlags } from '../model-options.js';
import { formatFacts } from '../terminal/table.js';
import { threadsFor } from '../threads.js';

interface EvalFlags extends DataFlags, ModelFlags {
  readonly data: readonly string[];
  readonly samples: number;
  readonly maxNewTokens: number;
  readonly batchSize: number;
}

/** Adds `eval` to the program. */
export function addEvalCommand(program: Command, start: StartCommand): void {
  const command = defineCommand(program, {
    usage: 'eval',
    summary: 'Measure a model on held-out data',
    description:
      'Measures the loss of a model on the answers of a data set, then lets it answer some of the questions and counts how many answers are exactly right.',
    examples: [
      {
        command: 'tuneyard eval models/my-model --data valid.jsonl',
        does: 'a model with its own chat template',
      },
      {
        command:
          'tuneyard eval models/base --adapter adapters/mine --data valid.jsonl --template plain',
        does: 'a base model with an adapter',
      },
      {
        command: 'tuneyard eval models/my-model --data valid.jsonl --samples 0',
        does: 'the loss only',
      },
    ],
  })
    .argument('<model>', 'model directory or .gguf file')
    .requiredOption('--data <dataset>', 'data file or registered name (repeatable)', repeatedOption)
    .option('--samples <n>', 'questions to let it answer', integerOption({ min: 0 }), 64)
    .option('--max-new-tokens <n>', 'longest answer, in tokens', integerOption({ min: 1 }), 128)
    .option('--batch-size <n>', 'samples computed together', integerOption({ min: 1 }), 8);
  addDataOptions(addModelOptions(command)).action((model: string, flags: EvalFlags) =>
    evaluate(start(), model, flags),
  );
}

async function evaluate(cli: Cli, path: string, flags: EvalFlags): Promise<void> {
  const { openTextModel } = await import('@tuneyard/engine');
  const data = await openData(cli, path, flags);
  const samples = await readSamples(cli, flags, data);
  using model = await openTextModel({
    path: cli.path(path),
    adapterPath: flags.adapter === undefined ? undefined : cli.path(flags.adapter),
    baseType: flags.baseType,
    threads: flags.threads ?? threadsFor(cli.path(path)),
    signal: cli.signal,
  });
  const loss = await measureLoss(cli, { model, samples, batchSize: flags.batchSize });
  const answers =
    flags.samples === 0
      ? null
      : await measureAnswers(cli, {
          model,
          samples: samples.slice(0, flags.samples),
          stopTokenIds: data.template?.stopTokenIds ?? [],
          maxNewTokens: flags.maxNewTokens,
          batchSize: flags.batchSize,
        });
  cli.progress.clear();
  cli.result({ model: path, ...loss, answers }, () => formatFacts(facts(loss, answers)));
}

async function readSamples(
  cli: Cli,
  flags: EvalFlags,
  data: OpenedData,
): Promise<readonly TokenizedSample[]> {
  const { prepareConversations, prepareDocuments } = await import('@tuneyard/data');
  const specs = await findDatasets(cli, flags.data, flags);
  const options = { signal: cli.signal };
  const { template } = data;
  const { samples, report } =
    template === null
      ? await prepareDocuments(specs, documentEncodingOf(data), options)
      : await prepareConversations(specs, encodingOf({ ...data, template }), options);
  const left = report.rows - report.keptRows;
  if (left > 0) cli.warn(`${left} of ${report.rows} rows left out; see tuneyard data check`);
  if (report.truncated.count > 0) cli.warn(`${report.truncated.count} rows cut to fit`);
  return samples;
}

async function measureLoss(
  cli: Cli,
  input: { model: TextModel; samples: readonly TokenizedSample[]; batchSize: number },
): Promise<LossEvaluation> {
  const { evaluateLoss } = await import('@tuneyard/engine');
  const { buildUnpackedRows } = await import('@tuneyard/data');
  const { model, samples, batchSize } = input;
  return await evaluateLoss(model.model, buildUnpackedRows(samples), batchSize, {
    signal: cli.signal,
    onProgress: ({ rowsDone, rows }) => {
      if (cli.isJson) return;
      cli.progress.update({ stage: 'loss', done: rowsDone, total: rows, unit: 'samples' });
    },
  });
}

function facts(loss: LossEvaluation, answers: AnswerReport | null): [string, string][] {
  const rows: [string, string][] = [
    ['loss', `${loss.loss.toFixed(4)} over ${loss.learnedTokens} learned tokens`],
    ['perplexity', loss.perplexity.toPrecision(4)],
  ];
  if (answers !== null) {
    const { low, high } = answers.interval;
    const percent = (share: number): string => (100 * share).toFixed(1);
    rows.push([
      'right answers',
      `${answers.right} of ${answers.asked} (${percent(answers.right / Math.max(1, answers.asked))} %, 95 % interval ${percent(low)}–${percent(high)} %)`,
    ]);
  }
  return rows;
}

/** Turns data sets into tokens with an exact account of every row. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { formatCount } from '@tuneyard/core';
import {
  chooseStopToken,
  type DataReport,
  type DatasetSpec,
  loadTokenizer,
  type OverlengthPolicy,
  openPromptTemplate,
  type PreparedSamples,
  prepareConversations,
  prepareDocuments,
  splitSamples,
  type TokenizedSample,
  type Tokenizer,
  writeTokenSet,
} from '@tuneyard/data';
import type { Facts } from '../executor/run-event.js';
import { flagOf, inputPath, numberOf, optionalNumber, optionalText, textOf } from './job-values.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo, StageJob } from './stage.js';
import type { PreprocessMetrics } from './stage-outputs.js';

/** Reads, renders, tokenizes and masks; writes a token set with its report. */
export const preprocessStage: StageFunction = async (job, io) => {
  const modelPath = inputPath(job, 'tokenizer');
  const tokenizer = await loadTokenizer(modelPath);
  const generationConfig = await readGenerationConfig(modelPath);
  const isText = textOf(job, 'train.stage') === 'pt';
  const prepared = isText
    ? await prepareText(job, io, { tokenizer, generationConfig })
    : await prepareDialogues(job, io, { tokenizer, generationConfig, modelPath });
  const samples = chosenPart(job, prepared.samples);
  const { report } = prepared;
  await writeTokenSet(io.dir, samples, {
    meta: {
      vocabSize: tokenizer.vocabSize,
      template: prepared.template,
      cutoffLength: numberOf(job, 'data.cutoff_len'),
      stopTokenIds: prepared.stopTokenIds,
    },
    report,
    signal: io.signal,
  });
  tellDropped(report, io);
  return metricsOf(samples, report);
};

/** Prepared samples with how their answers end. */
interface Prepared extends PreparedSamples {
  readonly template: string | null;
  readonly stopTokenIds: readonly number[];
}

interface ModelText {
  readonly tokenizer: Tokenizer;
  readonly generationConfig: Readonly<Record<string, unknown>> | null;
}

async function prepareDialogues(
  job: StageJob,
  io: StageIo,
  model: ModelText & { readonly modelPath: string },
): Promise<Prepared> {
  const defaultSystem = optionalText(job, 'data.default_system');
  const template = await openPromptTemplate({
    ...model,
    name: textOf(job, 'data.template'),
    ...(defaultSystem === undefined ? {} : { defaultSystem }),
  });
  tellPlan(job, io, template.name);
  const prepared = await prepareConversations(
    datasetsOf(job),
    {
      tokenizer: model.tokenizer,
      template,
      cutoffLength: numberOf(job, 'data.cutoff_len'),
      overlength: textOf(job, 'data.overlength') as OverlengthPolicy,
      maskHistory: flagOf(job, 'data.mask_history'),
      trainOnPrompt: flagOf(job, 'data.train_on_prompt'),
    },
    progressOf(io),
  );
  return { ...prepared, template: template.name, stopTokenIds: template.stopTokenIds };
}

async function prepareText(
  job: StageJob,
  io: StageIo,
  { tokenizer, generationConfig }: ModelText,
): Promise<Prepared> {
  const stopTokenId = chooseStopToken(generationConfig, tokenizer);
  tellPlan(job, io, 'none: raw text');
  const cutoffLength = numberOf(job, 'data.cutoff_len');
  const options = { tokenizer, stopTokenId, cutoffLength };
  const prepared = await prepareDocuments(datasetsOf(job), options, progressOf(io));
  return { ...prepared, template: null, stopTokenIds: [stopTokenId] };
}

/** Data sets of the job: descriptions are parameters, files are inputs of the same number. */
function datasetsOf(job: StageJob): DatasetSpec[] {
  const descriptions = job.parameters['data.datasets'] as unknown as readonly Omit<
    DatasetSpec,
    'path'
  >[];
  return descriptions.map((description, i) => ({
    ...description,
    path: inputPath(job, `data${i}`),
  }));
}

/** This stage's side of a split; everything when nothing is split off. */
function chosenPart(
  job: StageJob,
  samples: readonly TokenizedSample[],
): readonly TokenizedSample[] {
  const valSize = optionalNumber(job, 'data.val_size');
  if (valSize === undefined) return samples;
  const split = splitSamples(samples, valSize, numberOf(job, 'train.seed'));
  return textOf(job, 'part') === 'train' ? split.train : split.validation;
}

async function readGenerationConfig(
  modelPath: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  try {
    const text = await readFile(path.join(modelPath, 'generation_config.json'), 'utf8');
    return JSON.parse(text) as Record<string, unknown>;
  } catch (error) {
    // A GGUF file is no directory, and a model directory need not have the file.
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

function progressOf(io: StageIo): { signal: AbortSignal; onProgress: (rows: number) => void } {
  const report = createProgressMeter({ unit: 'rows', total: null, emit: io.emit });
  return { signal: io.signal, onProgress: (rows) => report(rows) };
}

function tellPlan(job: StageJob, io: StageIo, template: string): void {
  const files = Object.keys(job.inputs).filter((role) => role.startsWith('data')).length;
  io.emit({
    type: 'stage_plan',
    facts: [
      { label: 'Data sets', value: formatCount(files) },
      { label: 'Template', value: template },
      { label: 'Longest sample', value: `${formatCount(numberOf(job, 'data.cutoff_len'))} tokens` },
    ],
  });
}

/** Rows that gave no sample must not go unnoticed. */
function tellDropped(report: DataReport, io: StageIo): void {
  for (const [bucket, { count, rows }] of Object.entries(report.dropped)) {
    const first = rows[0];
    const example =
      first === undefined ? '' : `; first: ${first.source}, row ${first.row}: ${first.reason}`;
    const message = `${formatCount(count)} rows dropped, ${bucket.replaceAll('_', ' ')}${example}`;
    io.emit({ type: 'stage_log', level: 'warn', message });
  }
  const { truncated } = report;
  if (truncated.count === 0) return;
  const message = `${formatCount(truncated.count)} rows cut to cutoff_len; see data_report.json`;
  io.emit({ type: 'stage_log', level: 'warn', message });
}

function metricsOf(samples: readonly TokenizedSample[], report: DataReport): Facts {
  const dropped = Object.entries(report.dropped).map(([bucket, { count }]) => [bucket, count]);
  const metrics: PreprocessMetrics = {
    rows: report.rows,
    samples: samples.length,
    tokens: sum(samples, (sample) => sample.ids.length),
    learnedTokens: sum(samples, (sample) => sample.learned.reduce((a, b) => a + b, 0)),
    longest: samples.reduce((longest, sample) => Math.max(longest, sample.ids.length), 0),
    buckets: { ...Object.fromEntries(dropped), truncated: report.truncated.count },
  };
  return { ...metrics };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

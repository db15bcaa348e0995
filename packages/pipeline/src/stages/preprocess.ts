/** Turns data sets into tokens with an exact account of every row. */
import path from 'node:path';
import { defined, formatCount } from '@tuneyard/core';
import {
  chooseStopToken,
  type DataReport,
  type DatasetSpec,
  handlerSettingsFor,
  loadTokenizer,
  type MixStrategy,
  needsTemplate,
  type OverlengthPolicy,
  type PreprocessDataset,
  type PreprocessProgress,
  type PreprocessResult,
  preprocess,
  readGenerationConfig,
  type TemplateSettings,
  type ToolFormat,
  type WrittenTokens,
  writeTokenSetMeta,
} from '@tuneyard/data';
import type { Facts } from '../executor/run-event.js';
import { flagOf, inputPath, numberOf, optionalNumber, optionalText, textOf } from './job-values.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo, StageJob } from './stage.js';
import type { PreprocessMetrics } from './stage-outputs.js';

/** Reads, renders, tokenizes and masks; writes a token set with its report. */
export const preprocessStage: StageFunction = async (job, io) => {
  const tokenizerPath = inputPath(job, 'tokenizer');
  const cutoffLength = numberOf(job, 'data.cutoff_len');
  const stopTokenId = await textEnd(job);
  const datasets = datasetsOf(job, stopTokenId);
  const template = needsTemplate(datasets.map(({ handler }) => handler)) ? templateOf(job) : null;
  tellPlan(job, io, template);
  const isHeldOut = optionalText(job, 'part') === 'validation';
  const output = { prefix: path.join(io.dir, 'data') };
  const workers = optionalNumber(job, 'data.preprocessing_num_workers');
  const result = await preprocess({
    tokenizer: tokenizerPath,
    template,
    datasets,
    documentLength: cutoffLength,
    cutoffLength,
    dropDuplicates: flagOf(job, 'data.drop_duplicates'),
    mix: mixOf(job),
    valSize: optionalNumber(job, 'data.val_size') ?? 0,
    // Named only where something is drawn: data does not change with the seed otherwise.
    seed: optionalNumber(job, 'train.seed') ?? 0,
    packing: null,
    train: isHeldOut ? null : output,
    validation: isHeldOut ? output : null,
    dtype: 'auto',
    workDir: path.join(io.workDir, 'parts'),
    ...(workers === undefined ? {} : { workers }),
    signal: io.signal,
    onProgress: progressOf(io),
  });
  const written = defined(isHeldOut ? result.validation : result.train, 'what was asked for');
  const sources = datasets.map(({ spec }) => spec.name);
  await writeMeta(job, io, { result, written, sources, stopTokenId });
  tellDropped(result.report, io);
  return metricsOf(written, result.report);
};

/** Data sets of the job: descriptions are parameters, files are inputs of the same number. */
function datasetsOf(job: StageJob, stopTokenId: number | null): PreprocessDataset[] {
  const descriptions = job.parameters['data.datasets'] as unknown as readonly Omit<
    DatasetSpec,
    'path'
  >[];
  const handler = optionalText(job, 'data.handler_name');
  const options = {
    stage: textOf(job, 'train.stage') === 'pt' ? 'pt' : 'sft',
    ...(handler === undefined ? {} : { handler }),
    cutoffLength: numberOf(job, 'data.cutoff_len'),
    overlength: textOf(job, 'data.overlength') as OverlengthPolicy,
    maskHistory: flagOf(job, 'data.mask_history'),
    trainOnPrompt: flagOf(job, 'data.train_on_prompt'),
    ...(stopTokenId === null ? {} : { appendEod: true, stopTokenId }),
  } as const;
  return descriptions.map((description, i) => {
    const spec = { ...description, path: inputPath(job, `data${i}`) };
    return { spec, handler: handlerSettingsFor(spec, options) };
  });
}

/** What a raw text ends with, as the generation config of its model says; null for dialogues. */
async function textEnd(job: StageJob): Promise<number | null> {
  if (textOf(job, 'train.stage') !== 'pt') return null;
  const tokenizerPath = inputPath(job, 'tokenizer');
  const tokenizer = await loadTokenizer(tokenizerPath);
  return chooseStopToken(await readGenerationConfig(tokenizerPath), tokenizer);
}

function templateOf(job: StageJob): TemplateSettings {
  const defaultSystem = optionalText(job, 'data.default_system');
  const toolFormat = optionalText(job, 'data.tool_format');
  const enableThinking = job.parameters['data.enable_thinking'];
  return {
    name: textOf(job, 'data.template'),
    ...(defaultSystem === undefined ? {} : { defaultSystem }),
    ...(toolFormat === undefined ? {} : { toolFormat: toolFormat as ToolFormat }),
    ...(typeof enableThinking === 'boolean' ? { enableThinking } : {}),
  };
}

function mixOf(job: StageJob) {
  const probabilities = job.parameters['data.interleave_probs'];
  return {
    strategy: textOf(job, 'data.mix_strategy') as MixStrategy,
    probabilities: Array.isArray(probabilities) ? (probabilities as readonly number[]) : null,
  };
}

async function writeMeta(
  job: StageJob,
  io: StageIo,
  set: {
    readonly result: PreprocessResult;
    readonly written: WrittenTokens;
    readonly sources: readonly string[];
    readonly stopTokenId: number | null;
  },
): Promise<void> {
  const { kind, fields, vocabSize, template, stopTokenIds, report } = set.result;
  const { rows, datasets } = set.written;
  await writeTokenSetMeta(
    io.dir,
    {
      kind,
      fields: kind === 'pretrain' ? fields : [],
      meta: {
        vocabSize,
        template,
        cutoffLength: numberOf(job, 'data.cutoff_len'),
        stopTokenIds: set.stopTokenId === null ? stopTokenIds : [set.stopTokenId],
      },
      sources: set.sources,
      origins: { rows, sources: datasets },
    },
    report,
    { signal: io.signal },
  );
}

function progressOf(io: StageIo): (progress: PreprocessProgress) => void {
  let meter: { readonly phase: string; readonly report: (done: number) => void } | null = null;
  return (progress) => {
    const [done, total, unit] =
      progress.phase === 'encode'
        ? [progress.bytes, progress.totalBytes, 'bytes']
        : [progress.samples, progress.totalSamples, 'samples'];
    if (meter?.phase !== progress.phase) {
      const report = createProgressMeter({ unit, total, emit: io.emit });
      meter = { phase: progress.phase, report };
    }
    meter.report(done);
  };
}

function tellPlan(job: StageJob, io: StageIo, template: TemplateSettings | null): void {
  const files = Object.keys(job.inputs).filter((role) => role.startsWith('data')).length;
  io.emit({
    type: 'stage_plan',
    facts: [
      { label: 'Data sets', value: formatCount(files) },
      { label: 'Template', value: template?.name ?? 'none: raw text' },
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

function metricsOf(written: WrittenTokens, report: DataReport): Facts {
  const { samples, tokens, learnedTokens, longest } = written;
  const dropped = Object.entries(report.dropped).map(([bucket, { count }]) => [bucket, count]);
  const metrics: PreprocessMetrics = {
    rows: report.rows,
    samples,
    tokens,
    learnedTokens,
    longest,
    buckets: { ...Object.fromEntries(dropped), truncated: report.truncated.count },
  };
  return { ...metrics };
}

/**
 * Preprocessing: data sets in, indexed data sets of tokens out.
 *
 * In two steps. First every unit of every file becomes a part, on all workers; then the parts are put in order (mixed,
 * repeated rows left out, some held out), packed, and written. What is written depends on the data and the options
 * alone, never on the number of workers or on interruptions.
 */
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import type { WrittenDtype } from '@tuneyard/formats';
import { DATA_ERRORS } from '../errors.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import type { HandlerSettings } from '../handlers/open-row-handler.js';
import type { ManifestEntry } from '../media/media-manifest.js';
import type { MixStrategy } from '../mixing/plan-mixing.js';
import { parseSplit } from '../mixing/split-slices.js';
import type { WindowOptions } from '../packing/pack-window.js';
import { discoverDataFiles } from '../readers/discover-data-files.js';
import type { DataReport } from '../report/data-report.js';
import { finishReport } from '../report/finish-report.js';
import { readsInOrder } from './choose-rows.js';
import { type EncodeInput, type EncodeProgress, encodeParts } from './encode-parts.js';
import type { EncodeSettings, MediaSettings, TemplateSettings } from './encode-settings.js';
import type { OpenedFacts } from './opened-facts.js';
import { type PartSurvey, surveyParts } from './part-survey.js';
import { type WrittenTokens, writeTokens } from './write-tokens.js';

/** A data set and how its records are read. */
export interface PreprocessDataset {
  readonly spec: DatasetSpec;
  readonly handler: HandlerSettings;
}

/** How data sets are mixed. */
export interface MixSettings {
  readonly strategy: MixStrategy;
  readonly probabilities: readonly number[] | null;
}

/** A set to be written. */
export interface PreprocessOutput {
  /** Path that all file names begin with; its directory exists. */
  readonly prefix: string;
}

/** What {@link preprocess} does. */
export interface PreprocessOptions {
  /** Model directory, tokenizer file or GGUF file. */
  readonly tokenizer: string;
  /** Null where no handler renders dialogues. */
  readonly template: TemplateSettings | null;
  readonly datasets: readonly PreprocessDataset[];
  /** Raw text is cut into samples of at most this many tokens; null = one sequence a document, as Megatron reads. */
  readonly documentLength: number | null;
  /** Null or left out = records with pictures, videos, sounds or series are refused. */
  readonly media?: MediaSettings | null;
  /** Samples longer than this do not exist; for the report's padding. */
  readonly cutoffLength: number;
  readonly dropDuplicates: boolean;
  /** Null = one data set after the other. */
  readonly mix: MixSettings | null;
  /** Samples to hold out, as a count or a share; 0 = none. */
  readonly valSize: number;
  /** Of everything that is drawn: mixing, held-out samples, rows of data sets with `num_samples`. */
  readonly seed: number;
  /** Null = one sample a row. */
  readonly packing: WindowOptions | null;
  /** Where samples to train on go; null = they are not written. */
  readonly train: PreprocessOutput | null;
  /** Where held-out samples go; null = they are not written. */
  readonly validation: PreprocessOutput | null;
  readonly dtype: WrittenDtype | 'auto';
  /** For parts; an interrupted job of the same options goes on from there. Removed at the end. */
  readonly workDir: string;
  /** Threads; 0 = this one. Left out: one a core, as far as there is work. */
  readonly workers?: number;
  /** Bytes of data that a worker takes at a time. */
  readonly unitBytes?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: PreprocessProgress) => void;
}

/** How far a job is. */
export type PreprocessProgress =
  | ({ readonly phase: 'encode' } & EncodeProgress)
  | { readonly phase: 'write'; readonly samples: number; readonly totalSamples: number };

/** What a job did. */
export interface PreprocessResult extends OpenedFacts {
  readonly report: DataReport;
  /** Media that rows show; empty without any. */
  readonly media: readonly ManifestEntry[];
  readonly train: WrittenTokens | null;
  readonly validation: WrittenTokens | null;
  readonly workers: number;
  /** Parts taken from an interrupted run. */
  readonly reusedParts: number;
}

/** Bytes of a unit: small enough that cores end together, large enough that a unit costs nothing. */
const MIN_UNIT_BYTES = 1024 * 1024;
const MAX_UNIT_BYTES = 4 * 1024 * 1024;
const UNITS = 64;

/** A thread takes half a second to load a tokenizer, in which this much is encoded. */
const MIN_THREADED_BYTES = 8 * 1024 * 1024;

/**
 * Runs a job.
 *
 * Memory: a tokenizer, a unit and its tokens per worker; a part per data set, a packing window and 12 bytes a sample
 * while writing.
 * Throws: the codes of readers, handlers, templates and tokenizers; `DATA_NOTHING_KEPT` when no row gives a sample;
 * `DATA_MIXED_KINDS` when handlers write different fields; `CANCELLED`. Nothing is written then.
 */
export async function preprocess(options: PreprocessOptions): Promise<PreprocessResult> {
  const inputs = await findInputs(options);
  const bytes = inputs.flatMap((input) => input.files).reduce((sum, file) => sum + file.bytes, 0);
  const unitBytes =
    options.unitBytes ??
    Math.min(MAX_UNIT_BYTES, Math.max(MIN_UNIT_BYTES, Math.ceil(bytes / UNITS)));
  const workers = options.workers ?? defaultWorkers(bytes, unitBytes);
  const { parts, facts, reusedParts } = await encodeParts({
    settings: encodeSettingsOf(options),
    inputs,
    workDir: options.workDir,
    workers,
    unitBytes,
    ...withSignal(options),
    onProgress: (progress) => options.onProgress?.({ phase: 'encode', ...progress }),
  });
  const { kind, fields, vocabSize } = facts;
  const survey = await surveyParts(parts, {
    sources: options.datasets.map(({ spec }) => spec.name),
    fields: fields.length,
    dropDuplicates: options.dropDuplicates,
    hasMedia: options.media != null,
  });
  if (survey.samples === 0) throw nothingKept(options, survey);
  const { train, validation } = await writeTokens({ options, survey, kind, fields, vocabSize });
  await rm(options.workDir, { recursive: true, force: true });
  return {
    ...facts,
    report: reportOf(options, survey, train),
    media: survey.media,
    train,
    validation,
    workers,
    reusedParts,
  };
}

/** The files of each data set and how much of them is read. Throws: the codes of readers. */
export async function findInputs(
  options: Pick<PreprocessOptions, 'datasets' | 'signal'>,
): Promise<EncodeInput[]> {
  const inputs: EncodeInput[] = [];
  for (const { spec } of options.datasets) {
    throwIfAborted(options.signal);
    const files = await discoverDataFiles(spec.path, {
      baseDir: process.cwd(),
      split: parseSplit(spec.split).name,
      ...withSignal(options),
    });
    inputs.push({ files, rowLimit: readsInOrder(spec) ? spec.maxSamples : null });
  }
  return inputs;
}

function defaultWorkers(bytes: number, unitBytes: number): number {
  const useful = Math.min(availableParallelism(), Math.floor(bytes / unitBytes));
  return bytes < MIN_THREADED_BYTES || useful < 2 ? 0 : useful;
}

function encodeSettingsOf(options: PreprocessOptions): EncodeSettings {
  return {
    tokenizer: options.tokenizer,
    template: options.template,
    datasets: options.datasets.map(({ spec, handler }) => ({
      name: spec.name,
      handler,
      columns: null,
    })),
    documentLength: options.documentLength,
    media: options.media ?? null,
    digests: options.dropDuplicates,
  };
}

function reportOf(
  { cutoffLength, packing }: PreprocessOptions,
  { report }: PartSurvey,
  written: WrittenTokens | null,
): DataReport {
  if (packing === null || written === null) return finishReport(report, { cutoffLength });
  const { samples: rows, tokens } = written;
  const { capacity } = packing;
  return finishReport(report, { cutoffLength, packing: { capacity, rows, tokens } });
}

function withSignal({ signal }: Pick<PreprocessOptions, 'signal'>): {
  readonly signal?: AbortSignal;
} {
  return signal === undefined ? {} : { signal };
}

function nothingKept({ datasets }: PreprocessOptions, { report }: PartSurvey): TuneyardError {
  const names = datasets.map(({ spec }) => spec.path).join(', ');
  const dropped = Object.entries(report.dropped);
  const buckets = dropped.map(([bucket, { count }]) => `${bucket} ${count}`).join(', ');
  const first = dropped[0]?.[1].rows[0];
  const example =
    first === undefined ? '' : `; first: ${first.source}, row ${first.row}: ${first.reason}`;
  return new TuneyardError(
    DATA_ERRORS.DATA_NOTHING_KEPT,
    `No row of ${names} gives a sample (${buckets || 'no records'}${example})`,
    { details: { rejected: Object.fromEntries(dropped.map(([b, { count }]) => [b, count])) } },
  );
}

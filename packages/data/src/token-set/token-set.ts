/**
 * A token set: prepared samples as the indexed data sets that Megatron trainers read, so that training starts without
 * tokenizing again. Read from its own directory, or from data sets that ModelLink or MindSpeed-LLM prepared.
 */
import { mkdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { IndexedDatasetWriter } from '@tuneyard/formats';
import { buildDataReport } from '../encode/data-report.js';
import type { TokenizedSample } from '../encode/samples.js';
import type { HandlerKind } from '../handlers/row-handler.js';
import type { DataReport } from '../report/data-report.js';
import { fillLabels, findForeignId, maxOf } from './kernels/labels.js';
import { instructionSamples, type StoredSample, textSamples } from './stored-samples.js';
import type { TokenFileSet } from './token-files.js';
import { badSet } from './token-set-error.js';
import {
  readTokenSetReport,
  type TokenOrigins,
  type TokenSetDescription,
  type TokenSetMeta,
  tokenSetFiles,
  writeTokenSetMeta,
} from './token-set-meta.js';
import { locateTokenSet, TokenSetReader } from './token-set-reader.js';

/** Name of the field of raw text. */
const TEXT_FIELD = 'text';

/** A token set read from disk. */
export interface TokenSet {
  readonly samples: readonly StoredSample[];
  readonly meta: TokenSetMeta;
  readonly report: DataReport;
}

/** Options of {@link writeTokenSet}. */
export interface WriteTokenSetOptions {
  readonly meta: TokenSetMeta;
  readonly report: DataReport;
  readonly signal?: AbortSignal;
}

/** Options of {@link openTokenSet}, for data sets that another tool wrote. */
export interface OpenTokenSetOptions {
  /** Ids must be below this. Default: what the directory says, else one more than the largest id. */
  readonly vocabSize?: number;
  /** Raw text is cut into samples of at most this many tokens. Default: every sequence is one sample. */
  readonly maxLength?: number;
}

/**
 * Writes samples that are all in memory, with their report, into a directory, which is created.
 *
 * Samples of raw text, every token learned, become one data set; others become ids, masks and labels.
 *
 * Throws: `DATA_BAD_TOKEN_SET` when an id does not fit the vocabulary; `FILE_…`, `CANCELLED`.
 */
export async function writeTokenSet(
  dir: string,
  samples: readonly StoredSample[],
  options: WriteTokenSetOptions,
): Promise<void> {
  const { meta, report, signal } = options;
  for (const [index, { ids }] of samples.entries())
    checkIds(ids, meta.vocabSize, `${dir}, sample ${index}`);
  await mkdir(dir, { recursive: true });
  const isText = meta.template === null && samples.every(isWhollyLearned);
  const kind: HandlerKind = isText ? 'pretrain' : 'instruction';
  const fields = isText ? [TEXT_FIELD] : [];
  const stop = signal === undefined ? {} : { signal };
  for (const { field, prefix } of tokenSetFiles(dir, kind, fields)) {
    await using writer = await IndexedDatasetWriter.create(prefix, stop);
    for (const sample of samples) {
      await writer.append(fieldOf(sample, field));
      writer.endDocument();
    }
    await writer.commit();
  }
  const sources = [...new Set(samples.map((sample) => sample.source))];
  const origins = originsOf(samples, sources);
  await writeTokenSetMeta(dir, { kind, fields, meta, sources, origins }, report, stop);
}

/**
 * Reads a token set into memory: the directory of one, or the prefix of data sets in the layout of ModelLink.
 *
 * Rows that hold several samples keep their boundaries where the attention mask numbers them. Padding is left out: what
 * the mask gives 0, and in padded rows of other tools what follows the last token that is learned.
 *
 * Throws: `DATA_BAD_TOKEN_SET` naming the sequence and what is wrong, `DATA_TOKEN_FILES_…`, `INDEXED_DATASET_…`,
 * `FILE_…`. Cost: five bytes per token, nine where labels differ from their tokens.
 */
export async function openTokenSet(
  path: string,
  options: OpenTokenSetOptions = {},
): Promise<TokenSet> {
  const { files, description } = await locateTokenSet(path);
  const samples =
    files.kind === 'pretrain'
      ? await readTexts(files, description, options)
      : await readInstructions(files, description);
  const largest = samples.reduce((max, sample) => Math.max(max, maxOf(sample.ids)), -1);
  const meta = description?.meta ?? foreignMeta(samples, options.vocabSize ?? largest + 1);
  for (const sample of samples) {
    checkIds(sample.ids, options.vocabSize ?? meta.vocabSize, `${path}, row ${sample.row}`);
  }
  const report = description === null ? reportOf(samples) : await readTokenSetReport(path);
  return { samples, meta, report };
}

async function readTexts(
  { files, kind, prefix }: TokenFileSet,
  description: TokenSetDescription | null,
  options: OpenTokenSetOptions,
): Promise<StoredSample[]> {
  const samples: StoredSample[] = [];
  for (const file of files) {
    await using reader = await TokenSetReader.open({ kind, prefix, files: [file] });
    const origin = originFinder(description, file.prefix, reader.sequenceCount);
    const pieces = { origin, maxLength: options.maxLength ?? Number.POSITIVE_INFINITY };
    for await (const sample of textSamples(reader, pieces)) samples.push(sample);
  }
  return samples;
}

async function readInstructions(
  files: TokenFileSet,
  description: TokenSetDescription | null,
): Promise<StoredSample[]> {
  if (files.kind !== 'instruction') {
    throw badSet(
      files.prefix,
      `the data set is of kind ${files.kind}; supervised training reads instruction data and text`,
    );
  }
  await using reader = await TokenSetReader.open(files);
  const origin = originFinder(description, files.prefix, reader.sequenceCount);
  const isPadded = description === null || (description.meta.packing ?? null) !== null;
  const samples: StoredSample[] = [];
  for await (const sample of instructionSamples(reader, { origin, isPadded })) samples.push(sample);
  return samples;
}

/** Where sequence `i` comes from; without a record of that, sequence numbers stand in for rows. */
function originFinder(
  description: TokenSetDescription | null,
  prefix: string,
  count: number,
): (sequence: number) => { row: number; source: string } {
  const origins = description?.origins ?? null;
  if (description === null || origins === null) {
    const source = basename(prefix);
    return (sequence) => ({ row: sequence + 1, source });
  }
  const { rows, sources } = origins;
  if (rows.length !== count || sources.length !== count) {
    throw badSet(
      prefix,
      `${rows.length} rows and ${sources.length} sources for ${count} sequences`,
    );
  }
  return (sequence) => ({
    row: rows[sequence] ?? 0,
    source: description.sources[sources[sequence] ?? 0] ?? '',
  });
}

function originsOf(samples: readonly TokenizedSample[], sources: readonly string[]): TokenOrigins {
  const index = new Map(sources.map((name, i) => [name, i]));
  return {
    rows: Int32Array.from(samples, (sample) => sample.row),
    sources: Int32Array.from(samples, (sample) => index.get(sample.source) ?? 0),
  };
}

/** True when everything but the first token is learned as it is. */
function isWhollyLearned({ learned, labels, segmentLengths }: StoredSample): boolean {
  if (labels !== undefined || segmentLengths !== undefined) return false;
  return learned.every((flag, i) => flag === (i === 0 ? 0 : 1));
}

function fieldOf(sample: StoredSample, field: string): Int32Array {
  if (field === 'labels') {
    const labels = new Int32Array(sample.ids.length);
    fillLabels(sample, labels, 0);
    return labels;
  }
  if (field !== 'attention_mask') return sample.ids;
  const mask = new Int32Array(sample.ids.length).fill(1);
  let at = 0;
  for (const [i, length] of (sample.segmentLengths ?? []).entries()) {
    mask.fill(i + 1, at, at + length);
    at += length;
  }
  return mask;
}

function checkIds(ids: Int32Array, vocabSize: number, where: string): void {
  const at = findForeignId(ids, vocabSize);
  if (at < 0) return;
  throw badSet(where, `token ${at} has the id ${ids[at]}; the vocabulary has ${vocabSize}`);
}

function foreignMeta(samples: readonly StoredSample[], vocabSize: number): TokenSetMeta {
  const cutoffLength = samples.reduce((max, sample) => Math.max(max, sample.ids.length), 0);
  return { vocabSize, template: null, cutoffLength, stopTokenIds: [] };
}

function reportOf(samples: readonly StoredSample[]): DataReport {
  const rows = new Set(samples.map((sample) => sample.row)).size;
  const none = { truncated: [], rejected: [], packCapacity: null };
  return buildDataReport({ rows, keptRows: rows, samples, ...none });
}

/**
 * Preprocessing into files that are kept: what was written is recorded beside it, so that the same job is not done
 * twice and another one does not replace its files unless that is asked for.
 */
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { defined, TuneyardError } from '@tuneyard/core';
import { writeFileAtomically } from '@tuneyard/formats';
import { DATA_ERRORS } from '../errors.js';
import type { HandlerKind } from '../handlers/row-handler.js';
import { type ManifestEntry, writeMediaManifest } from '../media/media-manifest.js';
import type { DataReport } from '../report/data-report.js';
import { stampsOf, tokenizerFilesIn } from './file-stamps.js';
import { withOutputLock } from './output-lock.js';
import {
  findInputs,
  type PreprocessOptions,
  type PreprocessOutput,
  preprocess,
} from './preprocess.js';
import type { WrittenField } from './token-outputs.js';
import type { WrittenTokens } from './write-tokens.js';

const RECORD_VERSION = 1;

/** A set of files in a record; prefixes are relative to the record. */
export interface RecordedTokens {
  readonly prefix: string;
  readonly samples: number;
  readonly fields: readonly WrittenField[];
}

/** What stands beside prepared files, as `<prefix>_preprocess.json`. */
export interface PreparedRecord {
  readonly format: 'tuneyard-preprocess';
  readonly version: number;
  /** Hash of everything that the files depend on. */
  readonly key: string;
  readonly kind: HandlerKind;
  readonly handlers: readonly string[];
  readonly template: string | null;
  /** Name of the file beside the record that lists media; null = rows have none. */
  readonly media: string | null;
  readonly vocabSize: number;
  readonly stopTokenIds: readonly number[];
  readonly sequenceLength: number;
  readonly train: RecordedTokens;
  readonly validation: RecordedTokens | null;
  readonly report: DataReport;
}

/** What {@link prepareFiles} did. */
export interface PreparedFiles {
  /** `unchanged`: the same job was done before, and its files are there. */
  readonly status: 'written' | 'unchanged';
  readonly recordPath: string;
  readonly record: PreparedRecord;
  readonly workers: number;
  readonly reusedParts: number;
}

/** Options of {@link prepareFiles}; the working directory lies beside the files. */
export type PrepareFilesOptions = Omit<PreprocessOptions, 'workDir' | 'train'> & {
  readonly train: PreprocessOutput;
  /** Replace files that another job has written. */
  readonly overwrite: boolean;
};

/**
 * Prepares files, unless they are there already.
 *
 * Throws: the codes of {@link preprocess}; `DATA_OUTPUT_EXISTS` when the files of another job are in the way.
 */
export async function prepareFiles(options: PrepareFilesOptions): Promise<PreparedFiles> {
  const { prefix } = options.train;
  const directory = dirname(prefix);
  const recordPath = `${prefix}_preprocess.json`;
  const workDir = join(directory, `.${basename(prefix)}_preprocess`);
  const key = await keyOf(options);
  const earlier = await readRecord(recordPath);
  if (earlier !== null && earlier.key === key && (await hasFiles(directory, earlier))) {
    return { status: 'unchanged', recordPath, record: earlier, workers: 0, reusedParts: 0 };
  }
  if (!options.overwrite) await checkIsFree(prefix);
  await mkdir(directory, { recursive: true });
  const result = await withOutputLock(`${workDir}.lock`, () => preprocess({ ...options, workDir }));
  const record: PreparedRecord = {
    format: 'tuneyard-preprocess',
    version: RECORD_VERSION,
    key,
    kind: result.kind,
    handlers: result.handlers,
    template: result.template,
    media: await writeMedia(`${prefix}_media.json`, result.media, options.signal),
    vocabSize: result.vocabSize,
    stopTokenIds: result.stopTokenIds,
    sequenceLength: options.cutoffLength,
    train: recorded(defined(result.train, 'the training set')),
    validation: result.validation === null ? null : recorded(result.validation),
    report: result.report,
  };
  const text = `${JSON.stringify(record, null, 2)}\n`;
  await writeFileAtomically(recordPath, (sink) => sink.write(Buffer.from(text)));
  const { workers, reusedParts } = result;
  return { status: 'written', recordPath, record, workers, reusedParts };
}

/** The record beside files of a prefix; null when there is none that can be read. */
async function readRecord(path: string): Promise<PreparedRecord | null> {
  try {
    const record = JSON.parse(await readFile(path, 'utf8')) as PreparedRecord;
    const isOurs = record.format === 'tuneyard-preprocess' && record.version === RECORD_VERSION;
    return isOurs ? record : null;
  } catch {
    // None there, or not one of ours: the job is done anew.
    return null;
  }
}

/** Hashes what the files depend on: options, and path, size and time of change of every file that is read. */
async function keyOf(options: PrepareFilesOptions): Promise<string> {
  const {
    signal: _s,
    onProgress: _p,
    workers: _w,
    unitBytes: _u,
    overwrite: _o,
    ...rest
  } = options;
  const inputs = await findInputs(options);
  const paths = inputs.flatMap(({ files }) => files.map(({ path }) => path));
  const stamps = await stampsOf([...paths, ...(await tokenizerFilesIn(options.tokenizer))]);
  const identity = JSON.stringify({ version: RECORD_VERSION, rest, stamps });
  return createHash('sha256').update(identity).digest('hex');
}

async function writeMedia(
  path: string,
  entries: readonly ManifestEntry[],
  signal: AbortSignal | undefined,
): Promise<string | null> {
  if (entries.length === 0) return null;
  await writeMediaManifest(path, entries, signal);
  return basename(path);
}

function recorded({ prefix, samples, fields }: WrittenTokens): RecordedTokens {
  return {
    prefix: basename(prefix),
    samples,
    fields: fields.map((field) => ({ ...field, prefix: basename(field.prefix) })),
  };
}

async function hasFiles(directory: string, record: PreparedRecord): Promise<boolean> {
  const fields = [...record.train.fields, ...(record.validation?.fields ?? [])];
  const paths = fields.flatMap(({ prefix }) => [`${prefix}.bin`, `${prefix}.idx`]);
  const found = await Promise.all(
    paths.map((name) =>
      access(join(directory, name)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.every(Boolean);
}

/** Throws when files begin with the prefix; a directory that does not exist yet is free. */
async function checkIsFree(prefix: string): Promise<void> {
  const names = await readdir(dirname(prefix)).catch(() => []);
  const start = `${basename(prefix)}_`;
  const found = names.filter((name) => name.startsWith(start) && /\.(bin|idx)$/.test(name));
  if (found.length === 0) return;
  throw new TuneyardError(
    DATA_ERRORS.DATA_OUTPUT_EXISTS,
    `${dirname(prefix)} already has ${found.slice(0, 3).join(', ')}${found.length > 3 ? ', …' : ''}, made from other data or with other options`,
    {
      category: 'conflict',
      details: { prefix, files: found },
      hint: 'Choose another --output-prefix, or replace them with --overwrite.',
    },
  );
}

/**
 * A token set: prepared samples as one safetensors file, so that training starts without tokenizing again and
 * any safetensors reader can look inside.
 *
 * `tokens.safetensors`: `input_ids` I32 [N], `learned` U8 [N], `sample_offsets` I64 [n+1], `rows` I32 [n],
 * `sources` I32 [n] (index into the names in the metadata). `data_report.json` beside it.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { SafetensorsReader, writeSafetensors } from '@tuneyard/formats';
import type { DataReport } from '../encode/data-report.js';
import type { TokenizedSample } from '../encode/samples.js';
import { DATA_ERRORS } from '../errors.js';

const TOKENS_FILE = 'tokens.safetensors';
const REPORT_FILE = 'data_report.json';
const FORMAT_VERSION = '1';

/** What a token set was made with. */
export interface TokenSetMeta {
  readonly vocabSize: number;
  /** Name of the prompt template; null for raw text. */
  readonly template: string | null;
  readonly cutoffLength: number;
  /** Ids that end an answer. */
  readonly stopTokenIds: readonly number[];
}

/** A token set read from disk. */
export interface TokenSet {
  readonly samples: readonly TokenizedSample[];
  readonly meta: TokenSetMeta;
  readonly report: DataReport;
}

/** Options of {@link writeTokenSet}. */
export interface WriteTokenSetOptions {
  readonly meta: TokenSetMeta;
  readonly report: DataReport;
  readonly signal?: AbortSignal;
}

/**
 * Writes samples and their report into a directory, which is created.
 *
 * Throws: `DATA_BAD_TOKEN_SET` when an id does not fit the vocabulary; `FILE_…`.
 */
export async function writeTokenSet(
  dir: string,
  samples: readonly TokenizedSample[],
  options: WriteTokenSetOptions,
): Promise<void> {
  const { meta, report, signal } = options;
  await mkdir(dir, { recursive: true });
  const total = samples.reduce((sum, sample) => sum + sample.ids.length, 0);
  const ids = new Int32Array(total);
  const learned = new Uint8Array(total);
  const offsets = new BigInt64Array(samples.length + 1);
  const names = [...new Set(samples.map((sample) => sample.source))];
  const nameIndex = new Map(names.map((name, index) => [name, index]));
  let at = 0;
  for (const [index, sample] of samples.entries()) {
    ids.set(sample.ids, at);
    learned.set(sample.learned, at);
    at += sample.ids.length;
    offsets[index + 1] = BigInt(at);
  }
  checkIds(ids, meta.vocabSize, dir);
  const rows = Int32Array.from(samples, (sample) => sample.row);
  const sources = Int32Array.from(samples, (sample) => nameIndex.get(sample.source) ?? 0);
  const entries = [
    { name: 'input_ids', dtype: 'I32', shape: [total], data: bytesOf(ids) },
    { name: 'learned', dtype: 'U8', shape: [total], data: learned },
    { name: 'sample_offsets', dtype: 'I64', shape: [offsets.length], data: bytesOf(offsets) },
    { name: 'rows', dtype: 'I32', shape: [rows.length], data: bytesOf(rows) },
    { name: 'sources', dtype: 'I32', shape: [sources.length], data: bytesOf(sources) },
  ] as const;
  await writeSafetensors(join(dir, TOKENS_FILE), entries, {
    metadata: {
      format: 'tuneyard-token-set',
      version: FORMAT_VERSION,
      sources: JSON.stringify(names),
      meta: JSON.stringify(meta),
    },
    ...(signal === undefined ? {} : { signal }),
  });
  await writeFile(join(dir, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
}

/**
 * Reads a token set into memory. Samples share one buffer per tensor.
 *
 * Throws: `DATA_BAD_TOKEN_SET` naming the tensor and what is wrong; `FILE_…`, `SAFETENSORS_…`.
 * Cost: five bytes per token.
 */
export async function openTokenSet(dir: string): Promise<TokenSet> {
  const path = join(dir, TOKENS_FILE);
  const reader = await SafetensorsReader.open(path);
  try {
    const { metadata } = reader;
    if (metadata['format'] !== 'tuneyard-token-set' || metadata['version'] !== FORMAT_VERSION) {
      throw badSet(path, `not a token set of version ${FORMAT_VERSION}`);
    }
    const meta = parseJsonField<TokenSetMeta>(metadata['meta'], `${path}: meta`);
    const names = parseJsonField<string[]>(metadata['sources'], `${path}: sources`);
    const ids = new Int32Array(await readTensor(reader, 'input_ids', 'I32'));
    const learned = new Uint8Array(await readTensor(reader, 'learned', 'U8'));
    const offsets = new BigInt64Array(await readTensor(reader, 'sample_offsets', 'I64'));
    const rows = new Int32Array(await readTensor(reader, 'rows', 'I32'));
    const sources = new Int32Array(await readTensor(reader, 'sources', 'I32'));
    checkIds(ids, meta.vocabSize, path);
    const samples = cutSamples({ ids, learned, offsets, rows, sources, names }, path);
    const text = await readFile(join(dir, REPORT_FILE), 'utf8');
    const report = parseJsonField<DataReport>(text, join(dir, REPORT_FILE));
    return { samples, meta, report };
  } finally {
    await reader.close();
  }
}

interface TokenArrays {
  readonly ids: Int32Array;
  readonly learned: Uint8Array;
  readonly offsets: BigInt64Array;
  readonly rows: Int32Array;
  readonly sources: Int32Array;
  readonly names: readonly string[];
}

function checkLengths(arrays: TokenArrays, path: string): void {
  const { ids, learned, offsets, rows, sources } = arrays;
  const count = rows.length;
  if (learned.length !== ids.length) throw badSet(path, 'learned and input_ids differ in length');
  if (offsets.length !== count + 1 || sources.length !== count) {
    throw badSet(path, `${count} rows, ${offsets.length} offsets and ${sources.length} sources`);
  }
  if (learned.some((flag) => flag > 1)) throw badSet(path, 'learned has a value other than 0, 1');
}

function cutSamples(arrays: TokenArrays, path: string): TokenizedSample[] {
  checkLengths(arrays, path);
  const { ids, learned, offsets, rows, sources, names } = arrays;
  const samples: TokenizedSample[] = [];
  let begin = 0;
  for (let index = 0; index < rows.length; index++) {
    const end = Number(offsets[index + 1]);
    const source = names[sources[index] ?? -1];
    const isInOrder = Number.isSafeInteger(end) && end > begin && end <= ids.length;
    if (!isInOrder || Number(offsets[index]) !== begin) {
      throw badSet(path, `sample_offsets[${index + 1}] is ${end} after ${begin}`);
    }
    if (source === undefined) throw badSet(path, `sources[${index}] is out of range`);
    if (learned[begin] !== 0) throw badSet(path, `sample ${index} learns its first token`);
    samples.push({
      ids: ids.subarray(begin, end),
      learned: learned.subarray(begin, end),
      row: rows[index] ?? 0,
      source,
    });
    begin = end;
  }
  if (begin !== ids.length) throw badSet(path, 'tokens follow the last sample');
  return samples;
}

async function readTensor(
  reader: SafetensorsReader,
  name: string,
  dtype: string,
): Promise<ArrayBuffer> {
  const tensor = reader.tensors.get(name);
  if (tensor === undefined) throw badSet(reader.files[0] ?? '', `tensor ${name} is missing`);
  if (tensor.dtype !== dtype || tensor.shape.length !== 1) {
    throw badSet(tensor.file, `tensor ${name} is ${tensor.dtype}; expected a list of ${dtype}`);
  }
  const bytes = await reader.read(name);
  return Uint8Array.from(bytes).buffer;
}

function checkIds(ids: Int32Array, vocabSize: number, where: string): void {
  const at = ids.findIndex((id) => id < 0 || id >= vocabSize);
  if (at < 0) return;
  throw badSet(where, `token ${at} has the id ${ids[at]}; the vocabulary has ${vocabSize}`);
}

function parseJsonField<T>(text: string | undefined, where: string): T {
  try {
    return JSON.parse(text ?? '') as T;
  } catch (cause) {
    throw badSet(where, 'not JSON', cause);
  }
}

function bytesOf(array: Int32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function badSet(where: string, what: string, cause?: unknown): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_TOKEN_SET, `${where}: ${what}`, {
    details: { where },
    hint: 'Remove the directory and prepare the data again.',
    cause,
  });
}

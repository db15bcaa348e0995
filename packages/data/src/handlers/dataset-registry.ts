/** `dataset_info.json`: the file by which LLaMA-Factory recipes name their data sets. */
import { readFile } from 'node:fs/promises';
import { extname, isAbsolute, join, resolve } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { nearestNames } from '../nearest-names.js';
import {
  type ColumnNames,
  type DatasetFormat,
  type DatasetSpec,
  DEFAULT_COLUMNS,
  DEFAULT_TAGS,
  describeDataFile,
  type RoleTags,
} from './dataset-spec.js';
import { isJsonRecord, type JsonRecord } from './record-fields.js';

const DATA_EXTENSIONS = ['.json', '.jsonl', '.ndjson', '.txt'];
const ENTRY_KEYS = ['file_name', 'formatting', 'columns', 'tags', 'num_samples', 'ranking'];
/** Sources that need the network or code of others; the message says what to do instead. */
const REMOTE_KEYS = ['hf_hub_url', 'ms_hub_url', 'om_hub_url', 'script_url', 'cloud_file_name'];
/** Columns of other tasks; named so that their refusal is a sentence and not "unknown key". */
const OTHER_TASK_COLUMNS = ['images', 'videos', 'audios', 'chosen', 'rejected', 'kto_tag'];

/** Options of {@link resolveDatasets}. */
export interface ResolveOptions {
  /** Folder of `dataset_info.json`; also where its files are looked for. */
  readonly datasetDir?: string;
  /** Folder that relative file paths start from. */
  readonly baseDir: string;
  /** Form of files that are named directly; registered sets carry their own. */
  readonly format?: DatasetFormat;
  /** Read at most this many records of each set. */
  readonly maxSamples?: number;
}

/**
 * Turns the names of a recipe into data sets: a name with a data file's extension is a path, any other
 * is looked up in `dataset_info.json`.
 *
 * Throws: `DATA_NOT_REGISTERED` for a name without an entry, `DATA_BAD_REGISTRY` for a bad entry,
 * `DATA_FILE_NOT_FOUND` when there is no registry.
 */
export async function resolveDatasets(
  names: readonly string[],
  options: ResolveOptions,
): Promise<DatasetSpec[]> {
  const isFile = (name: string): boolean => DATA_EXTENSIONS.includes(extname(name).toLowerCase());
  const needsRegistry = names.some((name) => !isFile(name));
  const dir = options.datasetDir ?? options.baseDir;
  const registry = needsRegistry ? await readRegistry(dir) : {};
  return names.map((name) => {
    const spec = isFile(name)
      ? describeDataFile(resolve(options.baseDir, name), options.format)
      : registeredDataset(name, registry, dir);
    return { ...spec, sampleLimit: smallerLimit(spec.sampleLimit, options.maxSamples ?? null) };
  });
}

async function readRegistry(dir: string): Promise<JsonRecord> {
  const path = join(dir, 'dataset_info.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new TuneyardError(DATA_ERRORS.DATA_FILE_NOT_FOUND, `Cannot read ${path}`, {
      category: 'not_found',
      details: { file: path },
      hint: 'Set dataset_dir to the folder of dataset_info.json, or name a .json or .jsonl file.',
      cause,
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    throw badRegistry(path, `not JSON: ${(cause as Error).message}`);
  }
  if (!isJsonRecord(parsed)) throw badRegistry(path, 'not a JSON object of data set entries');
  return parsed;
}

function registeredDataset(name: string, registry: JsonRecord, dir: string): DatasetSpec {
  const path = join(dir, 'dataset_info.json');
  if (!Object.hasOwn(registry, name)) {
    const names = Object.keys(registry);
    const near = nearestNames(name, names);
    throw new TuneyardError(
      DATA_ERRORS.DATA_NOT_REGISTERED,
      `Data set '${name}' is not in ${path}; registered are ${names.slice(0, 20).join(', ')}`,
      {
        category: 'not_found',
        details: { file: path, name },
        ...(near.length === 0 ? {} : { hint: `Did you mean ${near.join(' or ')}?` }),
      },
    );
  }
  const entry = registry[name];
  if (!isJsonRecord(entry)) throw badRegistry(path, `${name}: not an object`);
  checkEntry(entry, `${path}: ${name}`);
  const file = entry['file_name'] as string;
  return {
    name,
    path: isAbsolute(file) ? file : join(dir, file),
    format: entry['formatting'] === 'sharegpt' ? 'sharegpt' : 'alpaca',
    columns: namesIn(entry, 'columns', DEFAULT_COLUMNS, `${path}: ${name}`),
    tags: namesIn(entry, 'tags', DEFAULT_TAGS, `${path}: ${name}`),
    sampleLimit: sampleCount(entry['num_samples'], `${path}: ${name}`),
  };
}

function checkEntry(entry: JsonRecord, where: string): void {
  const remote = REMOTE_KEYS.find((key) => Object.hasOwn(entry, key));
  if (remote !== undefined) {
    throw badRegistry(
      where,
      `${remote} names a remote source; only file_name is read`,
      'Save the data set as a .json or .jsonl file and set file_name.',
    );
  }
  const unknown = Object.keys(entry).find((key) => !ENTRY_KEYS.includes(key));
  if (unknown !== undefined) {
    throw badRegistry(where, `unknown key '${unknown}'; known are ${ENTRY_KEYS.join(', ')}`);
  }
  if (typeof entry['file_name'] !== 'string') throw badRegistry(where, 'file_name is missing');
  if (entry['ranking'] === true) {
    throw badRegistry(where, 'ranking: true marks preference pairs; this trainer does sft and pt');
  }
  const formatting = entry['formatting'] ?? 'alpaca';
  if (formatting !== 'alpaca' && formatting !== 'sharegpt') {
    throw badRegistry(where, `formatting is '${formatting}'; allowed are alpaca, sharegpt`);
  }
}

/** The `columns` or `tags` of an entry; every name is checked against the known ones. */
function namesIn<T extends ColumnNames | RoleTags>(
  entry: JsonRecord,
  section: 'columns' | 'tags',
  known: T,
  where: string,
): Partial<T> {
  const names = entry[section];
  if (names === undefined) return {};
  if (!isJsonRecord(names)) throw badRegistry(where, `${section} is not an object`);
  for (const [key, value] of Object.entries(names)) {
    if (OTHER_TASK_COLUMNS.includes(key)) {
      throw badRegistry(where, `column '${key}' is for media or preference training`);
    }
    if (!Object.hasOwn(known, key)) {
      const allowed = Object.keys(known).join(', ');
      throw badRegistry(where, `${section} has the unknown key '${key}'; known are ${allowed}`);
    }
    if (typeof value !== 'string') throw badRegistry(where, `${section}.${key} is not text`);
  }
  return names as Partial<T>;
}

function sampleCount(value: unknown, where: string): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw badRegistry(where, `num_samples is ${JSON.stringify(value)}; expected a whole number > 0`);
}

function smallerLimit(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

function badRegistry(where: string, what: string, hint?: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_REGISTRY, `${where}: ${what}`, {
    details: { where },
    ...(hint === undefined ? {} : { hint }),
  });
}

/**
 * Data sets by name: files, folders and globs, and the entries of `dataset_info.json`, by which LLaMA-Factory recipes
 * name theirs.
 *
 * Differences from LLaMA-Factory 0.9.3: a key that is not known is an error here and passed over there; a set named twice
 * is read twice, where there it is read once; a folder's files need not all be of one type; nothing is downloaded.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { isDynamicPattern } from 'tinyglobby';
import { DATA_ERRORS } from '../errors.js';
import { nearestNames } from '../nearest-names.js';
import { kindOfName } from '../readers/data-file.js';
import { type DatasetFormat, type DatasetSpec, describeDataFile } from './dataset-spec.js';
import { isJsonRecord, type JsonRecord } from './record-fields.js';
import { type EntryPlace, parseRegistryEntry, registryError } from './registry-entry.js';

/** What the caller can make of a data set besides dialogues with one answer, and texts. */
export type DatasetTrait = 'ranking' | 'kto' | 'media';

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
  /** Which kinds of data sets are taken; by default none: preference pairs, KTO and media are refused. */
  readonly accepts?: readonly DatasetTrait[];
}

/**
 * Turns the names of a recipe into data sets. A name with the extension of a data file, and a glob, are paths. Any
 * other is looked up in `dataset_info.json`; where that has no such entry, it may be a folder.
 *
 * Throws: `DATA_NOT_REGISTERED` for a name without an entry, `DATA_BAD_REGISTRY` for a bad entry,
 * `DATA_FILE_NOT_FOUND` when there is no registry, `DATA_BAD_OPTION` when `dataset_dir` names a hub.
 */
export async function resolveDatasets(
  names: readonly string[],
  options: ResolveOptions,
): Promise<DatasetSpec[]> {
  const dir = options.datasetDir ?? options.baseDir;
  await checkIsLocal(dir);
  let registry: JsonRecord | null | undefined;
  const specs: DatasetSpec[] = [];
  for (const name of names) {
    if (kindOfName(name) === undefined && !isDynamicPattern(name)) {
      registry ??= await readRegistry(dir);
    }
    const spec =
      registry != null && Object.hasOwn(registry, name)
        ? await registeredDataset(name, { registry, dir, options })
        : await namedPath(name, { registry, dir, options });
    const maxSamples = options.maxSamples ?? null;
    specs.push({ ...spec, maxSamples, sampleLimit: smallerLimit(spec.numSamples, maxSamples) });
  }
  return withDistinctNames(specs, names);
}

interface Lookup {
  readonly registry: JsonRecord | null | undefined;
  readonly dir: string;
  readonly options: ResolveOptions;
}

/** LLaMA-Factory reads data sets of a hub when `dataset_dir` is `ONLINE` or `REMOTE:<repository>`. */
async function checkIsLocal(dir: string): Promise<void> {
  const name = /(?:^|[/\\])(ONLINE|REMOTE:.*)$/.exec(dir)?.[1];
  if (name === undefined || (await isFolder(dir))) return;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `dataset_dir is ${name}, which means data sets of a hub; only local ones are read`,
    { hint: 'Save the data sets as files and set dataset_dir to the folder of dataset_info.json.' },
  );
}

/** The registry of a folder; null when there is none. */
async function readRegistry(dir: string): Promise<JsonRecord | null> {
  const file = registryPath(dir);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (['ENOENT', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? '')) return null;
    throw noRegistry(file, cause);
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(text.replace(/^\ufeff/, ''));
  } catch (cause) {
    const what = `not JSON: ${(cause as Error).message}${placeOfFault(text, cause as Error)}`;
    throw registryError({ file, path: '' }, what);
  }
  if (isJsonRecord(parsed)) return parsed;
  throw registryError({ file, path: '' }, 'not a JSON object of data set entries');
}

async function registeredDataset(
  name: string,
  { registry, dir, options }: Lookup,
): Promise<DatasetSpec> {
  const place: EntryPlace = { file: registryPath(dir), path: name };
  const spec = await parseRegistryEntry(registry?.[name], { name, dir, place });
  const accepts = options.accepts ?? [];
  if (spec.ranking && !accepts.includes('ranking')) {
    throw registryError(place, 'ranking: true marks preference pairs, which are not read here');
  }
  const { images = '', videos = '', audios = '', kto_tag = '' } = spec.columns;
  const media = [images, videos, audios].find((column) => column !== '');
  if (media !== undefined && !accepts.includes('media')) {
    throw registryError(place, `column '${media}' holds media, which is not read here`);
  }
  if (kto_tag !== '' && !accepts.includes('kto')) {
    throw registryError(place, `column '${kto_tag}' is for KTO, which is not read here`);
  }
  return spec;
}

async function namedPath(name: string, { registry, dir, options }: Lookup): Promise<DatasetSpec> {
  const path = resolve(options.baseDir, name);
  const isPath = kindOfName(name) !== undefined || isDynamicPattern(name);
  if (isPath || (await isFolder(path))) return describeDataFile(path, options.format);
  const file = registryPath(dir);
  if (registry == null) throw noRegistry(file);
  const names = Object.keys(registry);
  const near = nearestNames(name, names);
  throw new TuneyardError(
    DATA_ERRORS.DATA_NOT_REGISTERED,
    `Data set '${name}' is not in ${file}, nor a folder; registered are ${names.slice(0, 20).join(', ')}`,
    {
      category: 'not_found',
      details: { file, name },
      ...(near.length === 0 ? {} : { hint: `Did you mean ${near.join(' or ')}?` }),
    },
  );
}

/** Different data under one name would be one in reports: there, such sets go by what they were asked for as. */
function withDistinctNames(specs: readonly DatasetSpec[], asked: readonly string[]): DatasetSpec[] {
  return specs.map((spec, i) => {
    const isAmbiguous = specs.some(({ name, path }) => name === spec.name && path !== spec.path);
    return isAmbiguous ? { ...spec, name: asked[i] ?? spec.name } : spec;
  });
}

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}

function registryPath(dir: string): string {
  return basename(dir) === 'dataset_info.json' ? dir : join(dir, 'dataset_info.json');
}

/** Node names a position; people want lines. */
function placeOfFault(text: string, { message }: Error): string {
  const position = /position (\d+)/.exec(message)?.[1];
  if (position === undefined || message.includes('line')) return '';
  const before = text.slice(0, Number(position)).split('\n');
  return ` (line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1})`;
}

function smallerLimit(a: number | null, b: number | null): number | null {
  if (a === null) return b;
  return b === null ? a : Math.min(a, b);
}

function noRegistry(file: string, cause?: unknown): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_FILE_NOT_FOUND, `Cannot read ${file}`, {
    category: 'not_found',
    details: { file },
    hint: 'Set dataset_dir to the folder of dataset_info.json, or name a data file, a folder or a glob.',
    cause,
  });
}

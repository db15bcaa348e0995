/** One entry of `dataset_info.json`: checked key by key, so that a slip is told by name and not found by its effects. */
import { readdir, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { parseSplit } from '../mixing/split-slices.js';
import { nearestNames } from '../nearest-names.js';
import { kindOfName } from '../readers/data-file.js';
import { type DatasetSpec, DEFAULT_TAGS, type RoleTags } from './dataset-spec.js';
import { DEFAULT_RECORD_COLUMNS, type RecordColumns } from './record-columns.js';
import { isJsonRecord, type JsonRecord } from './record-fields.js';

/** Where in a registry something stands. */
export interface EntryPlace {
  /** Path of the registry. */
  readonly file: string;
  /** JSON path: `identity.columns.prompt`. */
  readonly path: string;
}

/** What {@link parseRegistryEntry} needs besides the entry. */
export interface EntryContext {
  readonly name: string;
  /** Folder that its files are looked for in. */
  readonly dir: string;
  readonly place: EntryPlace;
}

/** Sources that need the network or code of others. */
const REMOTE_KEYS = ['hf_hub_url', 'ms_hub_url', 'om_hub_url', 'script_url', 'cloud_file_name'];
/** `file_sha1` is in registries of older versions, which did not check it either. */
const ENTRY_KEYS = [
  'file_name',
  ...REMOTE_KEYS,
  'formatting',
  'ranking',
  'subset',
  'split',
  'folder',
  'num_samples',
  'columns',
  'tags',
  'file_sha1',
];
/** `openai` is taken by LLaMA-Factory from 0.9.4. */
const FORMATTINGS = ['alpaca', 'sharegpt', 'openai'] as const;
/** Columns that are read only when an entry names them. `query` is among them once it names any. */
const OPTIONAL_COLUMNS = [
  'history',
  'system',
  'tools',
  'images',
  'videos',
  'audios',
  'chosen',
  'rejected',
  'kto_tag',
] as const;

/** Reads an entry. Throws: `DATA_BAD_REGISTRY` with the place, what was found, what was expected and a way out. */
export async function parseRegistryEntry(
  entry: unknown,
  { name, dir, place }: EntryContext,
): Promise<DatasetSpec> {
  if (!isJsonRecord(entry)) throw registryError(place, 'not an object');
  checkKeys(entry, ENTRY_KEYS, place);
  const ranking = flagIn(entry, 'ranking', place);
  const columns = columnsIn(entry, ranking, place);
  const numSamples = sampleCount(entry, place);
  return {
    name,
    path: await localPath(entry, dir, place),
    format: formattingIn(entry, place),
    columns,
    tags: namesIn(entry, 'tags', DEFAULT_TAGS, place),
    sampleLimit: numSamples,
    split: splitIn(entry, place),
    numSamples,
    maxSamples: null,
    ranking,
    kto: columns.kto_tag !== '',
  };
}

function columnsIn(entry: JsonRecord, ranking: boolean, place: EntryPlace): Partial<RecordColumns> {
  const named: Partial<RecordColumns> = namesIn(entry, 'columns', DEFAULT_RECORD_COLUMNS, place);
  const unread = 'columns' in entry ? ['query', ...OPTIONAL_COLUMNS] : OPTIONAL_COLUMNS;
  const columns = { ...Object.fromEntries(unread.map((column) => [column, ''])), ...named };
  if (ranking && (columns.chosen === '' || columns.rejected === '')) {
    throw registryError(
      at(place, 'columns'),
      'ranking: true marks preference pairs; the columns chosen and rejected are not named',
      { hint: 'For example "columns": {"chosen": "chosen", "rejected": "rejected"}.' },
    );
  }
  return columns;
}

/** The `columns` or `tags` of an entry; every name is checked against the known ones. */
function namesIn<T extends RecordColumns | RoleTags>(
  entry: JsonRecord,
  section: 'columns' | 'tags',
  known: T,
  place: EntryPlace,
): Partial<T> {
  const names = entry[section];
  if (names === undefined) return {};
  const where = at(place, section);
  if (!isJsonRecord(names)) throw wrongValue(where, names, `an object of ${section}`);
  checkKeys(names, Object.keys(known), where);
  const given = Object.entries(names).filter(([, value]) => value !== null);
  for (const [key, value] of given) {
    if (typeof value !== 'string' || value === '') {
      throw wrongValue(at(where, key), value, 'the text of a name');
    }
  }
  return Object.fromEntries(given) as Partial<T>;
}

function formattingIn(entry: JsonRecord, place: EntryPlace): (typeof FORMATTINGS)[number] {
  const found = entry['formatting'] ?? 'alpaca';
  const formatting = FORMATTINGS.find((known) => known === found);
  if (formatting !== undefined) return formatting;
  const near = typeof found === 'string' ? nearestNames(found, FORMATTINGS) : [];
  const shown = typeof found === 'string' ? `'${found}'` : JSON.stringify(found);
  throw registryError(
    at(place, 'formatting'),
    `formatting is ${shown}; allowed are ${FORMATTINGS.join(', ')}`,
    { found, near },
  );
}

function splitIn(entry: JsonRecord, place: EntryPlace): string {
  const split = textIn(entry, 'split', place) ?? 'train';
  try {
    parseSplit(split);
  } catch (error) {
    if (!(error instanceof TuneyardError)) throw error;
    throw registryError(at(place, 'split'), error.message, { found: split });
  }
  return split;
}

function sampleCount(entry: JsonRecord, place: EntryPlace): number | null {
  const value = entry['num_samples'] ?? null;
  if (value === null) return null;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw wrongValue(at(place, 'num_samples'), value, 'a whole number > 0');
}

function flagIn(entry: JsonRecord, key: string, place: EntryPlace): boolean {
  const value = entry[key] ?? false;
  if (typeof value === 'boolean') return value;
  throw wrongValue(at(place, key), value, 'true or false');
}

function textIn(entry: JsonRecord, key: string, place: EntryPlace): string | undefined {
  const value = entry[key] ?? undefined;
  if (value === undefined || (typeof value === 'string' && value !== '')) return value;
  throw wrongValue(at(place, key), value, 'text');
}

/** The file or folder of an entry. A remote source is read from a copy beside the registry. */
async function localPath(entry: JsonRecord, dir: string, place: EntryPlace): Promise<string> {
  const parts = [textIn(entry, 'folder', place), textIn(entry, 'subset', place)];
  const inner = parts.filter((part) => part !== undefined);
  const file = textIn(entry, 'file_name', place);
  if (file !== undefined) return isAbsolute(file) ? file : join(dir, file);
  const key = REMOTE_KEYS.find((remote) => typeof entry[remote] === 'string');
  if (key === undefined) {
    throw registryError(place, 'file_name is missing', {
      hint: 'Set "file_name" to a file, or a folder of files, beside dataset_info.json.',
    });
  }
  const remote = textIn(entry, key, place) ?? '';
  const last = remote.split(/[/\\]/).at(-1) ?? remote;
  const found = await firstExisting([join(dir, remote), join(dir, last)]);
  if (found === undefined) throw isRemote(at(place, key), { key, remote, last, dir });
  if (inner.length === 0) return await withoutScript(found, place, key);
  const path = join(found, ...inner);
  if ((await firstExisting([path])) !== undefined) return path;
  throw registryError(place, `${path} is missing; folder and subset name folders in ${found}`, {
    hint: 'Move the files of the subset into a folder of its name.',
  });
}

/** Loading scripts are code of others and are not run; the data that they load may lie beside them. */
async function withoutScript(path: string, place: EntryPlace, key: string): Promise<string> {
  if (key !== 'script_url' || !(await stat(path)).isDirectory()) return path;
  const names = await readdir(path);
  const hasScript = names.some((name) => name.endsWith('.py'));
  const hasData = names.includes('data') || names.some((name) => kindOfName(name) !== undefined);
  if (!hasScript || hasData) return path;
  throw registryError(at(place, key), `${path} holds a loading script, which is not run`, {
    hint: 'Put the data files that it loads into the folder.',
  });
}

async function firstExisting(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) return path;
  }
  return undefined;
}

function checkKeys(record: JsonRecord, known: readonly string[], place: EntryPlace): void {
  const unknown = Object.keys(record).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw registryError(
    at(place, unknown),
    `unknown key '${unknown}'; known are ${known.join(', ')}`,
    { near: nearestNames(unknown, known) },
  );
}

interface Remote {
  readonly key: string;
  readonly remote: string;
  readonly last: string;
  readonly dir: string;
}

function isRemote(place: EntryPlace, { key, remote, last, dir }: Remote): TuneyardError {
  return registryError(place, `${key} names the remote source ${remote}; nothing is downloaded`, {
    found: remote,
    hint: `Put its files into ${join(dir, last)}, or save them as a file and set file_name.`,
  });
}

function wrongValue(place: EntryPlace, found: unknown, expected: string): TuneyardError {
  const text = JSON.stringify(found) ?? 'nothing';
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const key = place.path.split('.').at(-1);
  return registryError(place, `${key} is ${shown}; expected ${expected}`, { found, expected });
}

interface Fault {
  readonly found?: unknown;
  readonly expected?: string;
  /** Names that may have been meant. */
  readonly near?: readonly string[];
  readonly hint?: string;
}

/** An error in a registry: file, JSON path, what is wrong and what to do. */
export function registryError(place: EntryPlace, what: string, fault: Fault = {}): TuneyardError {
  const { near = [], found, expected } = fault;
  const hint = near.length > 0 ? `Did you mean ${near.join(' or ')}?` : fault.hint;
  const where = place.path === '' ? place.file : `${place.file}: ${place.path}`;
  return new TuneyardError(DATA_ERRORS.DATA_BAD_REGISTRY, `${where}: ${what}`, {
    details: {
      file: place.file,
      path: place.path,
      ...(found === undefined ? {} : { found: JSON.stringify(found).slice(0, 200) }),
      ...(expected === undefined ? {} : { expected }),
    },
    ...(hint === undefined ? {} : { hint }),
  });
}

function at(place: EntryPlace, key: string): EntryPlace {
  return { file: place.file, path: place.path === '' ? key : `${place.path}.${key}` };
}

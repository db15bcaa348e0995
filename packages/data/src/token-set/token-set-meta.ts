/**
 * What stands beside the indexed data sets of a token set in its directory:
 *
 * - `token_set.json`: kind, fields, how the tokens were made, names of the sources; written last, so that a directory
 *   that has it is whole;
 * - `origins.safetensors`: `rows` I32 [n], `sources` I32 [n], where each sequence comes from; missing where a sequence
 *   holds several samples;
 * - `data_report.json`: what became of every row.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SafetensorsReader, writeFileAtomically, writeSafetensors } from '@tuneyard/formats';
import type { HandlerKind } from '../handlers/row-handler.js';
import type { PackLayout, PackStyle } from '../packing/pack-window.js';
import type { DataReport } from '../report/data-report.js';
import { describeOutputs, type TokenFile } from './token-files.js';
import { badSet } from './token-set-error.js';

const DESCRIPTION_FILE = 'token_set.json';
const ORIGINS_FILE = 'origins.safetensors';
const REPORT_FILE = 'data_report.json';
const FORMAT = 'tuneyard-token-set';
const VERSION = 2;

/** What the names of the data sets in a directory begin with. */
const STEM = 'data';

/** What a token set was made with. */
export interface TokenSetMeta {
  readonly vocabSize: number;
  /** Name of the prompt template; null for raw text. */
  readonly template: string | null;
  readonly cutoffLength: number;
  /** Ids that end an answer. */
  readonly stopTokenIds: readonly number[];
  /** How sequences were packed and padded; left out or null = they were not. */
  readonly packing?: (PackLayout & { readonly style: PackStyle }) | null;
}

/** Where sequences come from. */
export interface TokenOrigins {
  /** 1-based row of the source, per sequence. */
  readonly rows: Int32Array;
  /** Index into the names of the sources, per sequence. */
  readonly sources: Int32Array;
}

/** What {@link writeTokenSetMeta} writes. */
export interface TokenSetDescription {
  readonly kind: HandlerKind;
  /** JSON keys of `pretrain`; other kinds have fixed fields. */
  readonly fields: readonly string[];
  readonly meta: TokenSetMeta;
  /** Names of the data sets that the rows come from. */
  readonly sources: readonly string[];
  /** Null where a sequence holds several samples, or where `pretrain` has several fields. */
  readonly origins: TokenOrigins | null;
}

/** A description as it was found. */
interface StoredDescription extends Omit<TokenSetDescription, 'origins'> {
  readonly format: typeof FORMAT;
  readonly version: typeof VERSION;
  readonly hasOrigins: boolean;
}

/** The indexed data sets of a token set in `dir`: to be written before {@link writeTokenSetMeta}. */
export function tokenSetFiles(
  dir: string,
  kind: HandlerKind,
  fields: readonly string[] = [],
): TokenFile[] {
  return describeOutputs(join(dir, STEM), kind, fields);
}

/** Completes a token set whose indexed data sets are written. Throws: `FILE_…`, `CANCELLED`. */
export async function writeTokenSetMeta(
  dir: string,
  description: TokenSetDescription,
  report: DataReport,
  options: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const { kind, fields, meta, sources, origins } = description;
  if (origins !== null) await writeOrigins(join(dir, ORIGINS_FILE), origins, options);
  await writeJson(join(dir, REPORT_FILE), report, options.signal);
  const stored: StoredDescription = {
    format: FORMAT,
    version: VERSION,
    kind,
    fields,
    meta,
    sources,
    hasOrigins: origins !== null,
  };
  await writeJson(join(dir, DESCRIPTION_FILE), stored, options.signal);
}

/** Reads the description of a directory; null when it has none. Throws: `DATA_BAD_TOKEN_SET`, `SAFETENSORS_…`. */
export async function readTokenSetMeta(dir: string): Promise<TokenSetDescription | null> {
  const path = join(dir, DESCRIPTION_FILE);
  const text = await readTextOrNull(path);
  if (text === null) return null;
  const stored = parseJson(text, path);
  if (!isStoredDescription(stored)) throw badSet(path, `not a token set of version ${VERSION}`);
  const { kind, fields, meta, sources, hasOrigins } = stored;
  const origins = hasOrigins ? await readOrigins(join(dir, ORIGINS_FILE)) : null;
  if (origins?.sources.some((source) => sources[source] === undefined) === true) {
    throw badSet(join(dir, ORIGINS_FILE), 'a source is out of range');
  }
  return { kind, fields, meta, sources, origins };
}

/** Reads the report beside a description. Throws: `DATA_BAD_TOKEN_SET`. */
export async function readTokenSetReport(dir: string): Promise<DataReport> {
  const path = join(dir, REPORT_FILE);
  const text = await readTextOrNull(path);
  if (text === null) throw badSet(path, 'the report is missing');
  return parseJson(text, path) as DataReport;
}

async function writeOrigins(
  path: string,
  { rows, sources }: TokenOrigins,
  options: { readonly signal?: AbortSignal },
): Promise<void> {
  const entryOf = (name: string, values: Int32Array) => ({
    name,
    dtype: 'I32' as const,
    shape: [values.length],
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
  await writeSafetensors(path, [entryOf('rows', rows), entryOf('sources', sources)], options);
}

async function readOrigins(path: string): Promise<TokenOrigins> {
  await using reader = await SafetensorsReader.open(path);
  const read = async (name: string): Promise<Int32Array> => {
    const tensor = reader.tensors.get(name);
    if (tensor?.dtype !== 'I32' || tensor.shape.length !== 1) {
      throw badSet(path, `${name} is not a list of I32`);
    }
    const bytes = await reader.read(name);
    return new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  };
  return { rows: await read('rows'), sources: await read('sources') };
}

async function writeJson(path: string, value: unknown, signal?: AbortSignal): Promise<void> {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  await writeFileAtomically(path, (sink) => sink.write(bytes), signal);
}

async function readTextOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw badSet(path, 'cannot be read', error);
  }
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw badSet(path, 'not JSON', cause);
  }
}

const KINDS: readonly string[] = [
  'pretrain',
  'instruction',
  'pairwise',
  'kto',
] satisfies HandlerKind[];

/** Checks what later code relies on, and that fields stay file names; the rest is only shown. */
function isStoredDescription(value: unknown): value is StoredDescription {
  if (typeof value !== 'object' || value === null) return false;
  const { format, version, kind, fields, sources, meta } = value as Partial<StoredDescription>;
  return (
    format === FORMAT &&
    version === VERSION &&
    KINDS.includes(kind ?? '') &&
    isStringList(fields) &&
    !fields?.some((field) => /[/\\\0]/.test(field)) &&
    isStringList(sources) &&
    Number.isSafeInteger(meta?.vocabSize) &&
    Array.isArray(meta?.stopTokenIds)
  );
}

function isStringList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

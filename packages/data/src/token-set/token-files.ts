/**
 * Names of the indexed data sets that hold tokens, as ModelLink and MindSpeed-LLM write and look for them.
 *
 * Raw text: `<prefix>_<key>_document`, one data set per JSON key. Everything else: parallel fields
 * `<prefix>_packed_<field>_document`, where "packed" says nothing about packing. Users pass the whole name of a text
 * data set, and the bare prefix of parallel fields.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { indexedDatasetPaths } from '@tuneyard/formats';
import { DATA_ERRORS } from '../errors.js';
import type { HandlerKind } from '../handlers/row-handler.js';

/** What one sequence is: a document, or with `--split-sentences` a sentence. */
export type TokenLevel = 'document' | 'sentence';

/** One indexed data set of a token set. */
export interface TokenFile {
  readonly field: string;
  /** Path without `.bin` and `.idx`. */
  readonly prefix: string;
}

/** The data sets that belong together. */
export interface TokenFileSet {
  readonly kind: HandlerKind;
  /** What a user passes to a trainer. */
  readonly prefix: string;
  readonly level: TokenLevel;
  readonly files: readonly TokenFile[];
}

/** Fields of the kinds that have fixed ones, in the order in which they are written. */
const FIELDS_BY_KIND = {
  instruction: ['input_ids', 'attention_mask', 'labels'],
  pairwise: ['chosen_input_ids', 'chosen_labels', 'rejected_input_ids', 'rejected_labels'],
  kto: ['input_ids', 'attention_mask', 'labels', 'kto_tags'],
} as const;

const PACKED_NAME = /^(.*)_packed_(.+)_(document|sentence)$/;
/** Keys may hold underscores; the last part is taken, as the prefix before it cannot be told apart. */
const TEXT_NAME = /^(.*)_([^_]+)_(document|sentence)$/;

/**
 * Names the data sets to be written for `kind`. `fields` are the JSON keys of `pretrain`; other kinds have their own.
 */
export function describeOutputs(
  prefix: string,
  kind: HandlerKind,
  fields: readonly string[] = [],
  level: TokenLevel = 'document',
): TokenFile[] {
  if (kind === 'pretrain') {
    return fields.map((field) => ({ field, prefix: `${prefix}_${field}_${level}` }));
  }
  return FIELDS_BY_KIND[kind].map((field) => ({
    field,
    prefix: `${prefix}_packed_${field}_${level}`,
  }));
}

/**
 * Finds the data sets that a path means: a directory that holds one set, the prefix of parallel fields, the whole name
 * of a text data set, or any file of a set.
 *
 * Throws: `DATA_TOKEN_FILES_NOT_FOUND`, `DATA_TOKEN_FILES_AMBIGUOUS`, `DATA_BAD_TOKEN_SET` when a field is missing.
 */
export async function findTokenFiles(path: string): Promise<TokenFileSet> {
  const isDirectory = (await stat(path).catch(() => null))?.isDirectory() ?? false;
  const bare = indexedDatasetPaths(path).prefix;
  const dir = isDirectory ? path : dirname(bare);
  const names = await listIndexNames(dir);
  const sets = groupNames(dir, names);
  const found = isDirectory ? sets : chooseSets(join(dir, basename(bare)), sets);
  const [first, second] = found;
  if (first === undefined) throw notFound(path, names);
  if (second !== undefined) throw ambiguous(path, found);
  checkFields(first);
  return first;
}

/** Base names of the indexed data sets of a directory, sorted. */
async function listIndexNames(dir: string): Promise<string[]> {
  try {
    const entries = await readdir(dir);
    const names = entries.filter((name) => name.endsWith('.idx') && !name.startsWith('.'));
    return names.map((name) => name.slice(0, -'.idx'.length)).sort();
  } catch {
    // A directory that is missing or closed to us holds no data set; the caller says so with the path.
    return [];
  }
}

function groupNames(dir: string, names: readonly string[]): TokenFileSet[] {
  const packed = new Map<string, { prefix: string; level: TokenLevel; files: TokenFile[] }>();
  const sets: TokenFileSet[] = [];
  for (const name of names) {
    const match = PACKED_NAME.exec(name);
    if (match === null) {
      sets.push(textSet(dir, name));
      continue;
    }
    const [, stem = '', field = '', level = 'document'] = match;
    const key = `${stem}\n${level}`;
    const set = packed.get(key) ?? {
      prefix: join(dir, stem),
      level: level as TokenLevel,
      files: [],
    };
    set.files.push({ field, prefix: join(dir, name) });
    packed.set(key, set);
  }
  for (const set of packed.values()) {
    const kind = kindOf(set.files.map((file) => file.field));
    sets.push({ ...set, kind, files: inOrder(kind, set.files) });
  }
  return sets;
}

/** A text data set; a name outside the rule is a set of its own as well, as other tools call theirs anything. */
function textSet(dir: string, name: string): TokenFileSet {
  const [, , field = 'text', level = 'document'] = TEXT_NAME.exec(name) ?? [];
  const prefix = join(dir, name);
  const files = [{ field, prefix }];
  return { kind: 'pretrain', prefix, level: level as TokenLevel, files };
}

/** Sets of exactly that prefix; failing these, sets with such a file and text data sets whose key was left off. */
function chooseSets(wanted: string, sets: readonly TokenFileSet[]): TokenFileSet[] {
  const exact = sets.filter((set) => set.prefix === wanted);
  if (exact.length > 0) return exact;
  return sets.filter(({ kind, level, files }) =>
    files.some(
      ({ field, prefix }) =>
        prefix === wanted || (kind === 'pretrain' && prefix === `${wanted}_${field}_${level}`),
    ),
  );
}

function kindOf(fields: readonly string[]): HandlerKind {
  if (fields.includes('kto_tags')) return 'kto';
  return fields.some((field) => field.startsWith('chosen_')) ? 'pairwise' : 'instruction';
}

/** The known fields in their order, others after them. */
function inOrder(kind: HandlerKind, files: readonly TokenFile[]): TokenFile[] {
  const order: readonly string[] = kind === 'pretrain' ? [] : FIELDS_BY_KIND[kind];
  const known = files.filter(({ field }) => order.includes(field));
  const others = files.filter(({ field }) => !order.includes(field));
  known.sort((a, b) => order.indexOf(a.field) - order.indexOf(b.field));
  return [...known, ...others];
}

/** Trainers need every field but the attention mask, which some writers leave out. */
function checkFields({ kind, prefix, files }: TokenFileSet): void {
  if (kind === 'pretrain') return;
  const missing = FIELDS_BY_KIND[kind].find(
    (field) => field !== 'attention_mask' && !files.some((file) => file.field === field),
  );
  if (missing === undefined) return;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_TOKEN_SET,
    `${prefix} has the fields ${files.map((file) => file.field).join(', ')}, but not ${missing}`,
    { details: { prefix, missing }, hint: 'Copy all fields of the data set, or prepare it again.' },
  );
}

function notFound(path: string, names: readonly string[]): TuneyardError {
  const shown = names.slice(0, 6).join(', ');
  return new TuneyardError(
    DATA_ERRORS.DATA_TOKEN_FILES_NOT_FOUND,
    `${path} is not the prefix of a prepared data set: neither ${basename(path)}.idx nor ` +
      `${basename(path)}_packed_…_document.idx is there`,
    {
      category: 'not_found',
      details: { path },
      hint:
        names.length === 0
          ? 'Pass the prefix without .bin and .idx, such as data/alpaca or data/wiki_text_document.'
          : `The directory holds ${shown}${names.length > 6 ? ', …' : ''}.`,
    },
  );
}

function ambiguous(path: string, sets: readonly TokenFileSet[]): TuneyardError {
  const prefixes = sets.map((set) => basename(set.prefix));
  return new TuneyardError(
    DATA_ERRORS.DATA_TOKEN_FILES_AMBIGUOUS,
    `${path} could mean ${prefixes.slice(0, 6).join(', ')}`,
    { details: { path, prefixes }, hint: 'Pass the prefix of one of them.' },
  );
}

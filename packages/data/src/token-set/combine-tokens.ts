/** Puts prepared data sets together and takes them apart, all fields alike. */
import { TuneyardError } from '@tuneyard/core';
import {
  IndexedDatasetReader,
  mergeIndexedDatasets,
  planDocumentSplit,
  type SplitSizes,
  splitIndexedDataset,
  type WrittenIndexedDataset,
} from '@tuneyard/formats';
import { DATA_ERRORS } from '../errors.js';
import type { TokenFile, TokenFileSet } from './token-files.js';
import { badSet } from './token-set-error.js';
import { locateTokenSet } from './token-set-reader.js';

/** One field that was written. */
export interface CombinedField extends WrittenIndexedDataset {
  readonly field: string;
}

/**
 * Writes the samples of several prepared data sets one after another as the data sets of `prefix`.
 *
 * Throws: `DATA_BAD_TOKEN_SET` when kinds or fields differ, `INDEXED_DATASET_…`, `FILE_…`, `CANCELLED`.
 */
export async function mergeTokens(
  prefix: string,
  paths: readonly string[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<CombinedField[]> {
  const sets: TokenFileSet[] = [];
  for (const path of paths) sets.push((await locateTokenSet(path)).files);
  const [first, ...others] = sets;
  if (first === undefined) throw badSet(prefix, 'there is nothing to merge');
  for (const other of others) checkSameFields(first, other);
  for (const set of sets) await documentCounts(set);
  const written: CombinedField[] = [];
  for (const [i, output] of outputsOf(prefix, first).entries()) {
    const parts = sets.map((set) => set.files[i]?.prefix ?? '');
    const result = await mergeIndexedDatasets(output.prefix, parts, options);
    written.push({ field: output.field, ...result });
  }
  return written;
}

/** A part of a split, all fields. */
export interface SplitPart {
  readonly name: string;
  /** What a user passes to a trainer. */
  readonly prefix: string;
  readonly fields: readonly CombinedField[];
}

/**
 * Divides a prepared data set by documents into `<prefix>_<name>` data sets beside it or at `output`.
 *
 * Throws: `INDEXED_DATASET_BAD_SPLIT`, and as {@link mergeTokens}.
 */
export async function splitTokens(
  path: string,
  parts: {
    readonly names: readonly string[];
    readonly sizes: SplitSizes;
    readonly seed?: number;
    /** What the new names begin with. Default: the prefix of the data set. */
    readonly output?: string;
    readonly signal?: AbortSignal;
  },
): Promise<SplitPart[]> {
  const { files, description } = await locateTokenSet(path);
  if (description !== null && parts.output === undefined) throw needsOutput(path);
  const counts = await documentCounts(files);
  const seed = parts.seed === undefined ? {} : { seed: parts.seed };
  const stem = parts.output ?? stemOf(files);
  const outputs = parts.names.map((name) => outputsOf(`${stem}_${name}`, files));
  const stop = parts.signal === undefined ? {} : { signal: parts.signal };
  const fields: CombinedField[][] = parts.names.map(() => []);
  for (const [i, file] of files.files.entries()) {
    const targets = outputs.map((output) => output[i]?.prefix ?? '');
    const split = planDocumentSplit(counts[i] ?? 0, parts.sizes, seed);
    const written = await splitIndexedDataset(file.prefix, targets, split, stop);
    for (const [part, result] of written.entries()) {
      fields[part]?.push({ field: file.field, ...result });
    }
  }
  return parts.names.map((name, part) => ({
    name,
    prefix: files.kind === 'pretrain' ? (outputs[part]?.[0]?.prefix ?? '') : `${stem}_${name}`,
    fields: fields[part] ?? [],
  }));
}

/**
 * Documents of each field. Fields of a set go document by document, so one that has more or fewer would come apart from
 * its fellows; text fields are data sets of their own.
 */
async function documentCounts({ kind, prefix, files }: TokenFileSet): Promise<number[]> {
  const counts: number[] = [];
  for (const file of files) {
    await using reader = await IndexedDatasetReader.open(file.prefix, { allowUnusedBytes: true });
    counts.push(reader.documentCount);
  }
  const odd = counts.findIndex((count) => count !== counts[0]);
  if (odd < 0 || kind === 'pretrain') return counts;
  throw badSet(
    prefix,
    `${files[odd]?.field} has ${counts[odd]} documents, ${files[0]?.field} has ${counts[0]}`,
  );
}

function needsOutput(path: string): TuneyardError {
  return new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `${path} is a token set; its parts need a place of their own`,
    { details: { path }, hint: 'Say what the new names begin with (--output).' },
  );
}

function checkSameFields(first: TokenFileSet, other: TokenFileSet): void {
  const listOf = ({ kind, files }: TokenFileSet) =>
    `${kind} (${files.map((file) => file.field).join(', ')})`;
  if (listOf(first) === listOf(other)) return;
  throw badSet(other.prefix, `${listOf(other)} cannot follow ${listOf(first)} of ${first.prefix}`);
}

/** Names of the same fields under another prefix. */
function outputsOf(prefix: string, { kind, files, level }: TokenFileSet): TokenFile[] {
  const middle = kind === 'pretrain' ? '' : 'packed_';
  return files.map(({ field }) => ({ field, prefix: `${prefix}_${middle}${field}_${level}` }));
}

/** What the names of a set begin with: for raw text, the name without key and level. */
function stemOf({ kind, prefix, level, files }: TokenFileSet): string {
  const ending = `_${files[0]?.field}_${level}`;
  const isNamed = kind === 'pretrain' && prefix.endsWith(ending);
  return isNamed ? prefix.slice(0, -ending.length) : prefix;
}

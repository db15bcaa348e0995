/** What a prepared data set holds, from its indexes and its first samples. */
import { basename } from 'node:path';
import type { IndexedDtype } from '@tuneyard/formats';
import type { HandlerKind } from '../handlers/row-handler.js';
import type { LengthBin } from '../report/data-report.js';
import { binLengths, countedLength } from '../report/length-counts.js';
import {
  instructionSamples,
  type StoredSample,
  separateSegments,
  textSamples,
} from './stored-samples.js';
import type { TokenFileSet } from './token-files.js';
import type { TokenSetMeta } from './token-set-meta.js';
import { locateTokenSet, TokenSetReader } from './token-set-reader.js';

/** One field of a prepared data set. */
export interface FieldSummary {
  readonly field: string;
  /** Path without `.bin` and `.idx`. */
  readonly prefix: string;
  readonly dtype: IndexedDtype;
  readonly sequences: number;
  readonly documents: number;
  readonly tokens: number;
}

/** Tokens of the sequences of a field. */
export interface TokenLengths {
  readonly shortest: number;
  readonly mean: number;
  readonly longest: number;
  readonly histogram: readonly LengthBin[];
}

/** What {@link inspectTokens} found. */
export interface TokenSummary {
  readonly kind: HandlerKind;
  /** What a user passes to a trainer. */
  readonly prefix: string;
  /** How the tokens were made; null for data sets that another tool wrote. */
  readonly meta: TokenSetMeta | null;
  readonly fields: readonly FieldSummary[];
  /** Of the first field. */
  readonly lengths: TokenLengths;
  /** The first samples; of packed rows each sample by itself, of pairs both sides. */
  readonly samples: readonly StoredSample[];
}

/**
 * Looks at a token set: indexes, and the first `samples` sequences.
 *
 * Throws: as `openTokenSetReader`. Cost: the indexes; values are read of the first sequences only.
 */
export async function inspectTokens(
  path: string,
  options: { readonly samples: number },
): Promise<TokenSummary> {
  const { files, description } = await locateTokenSet(path);
  const fields: FieldSummary[] = [];
  const samples: StoredSample[] = [];
  let lengths: TokenLengths | null = null;
  for (const part of partsOf(files)) {
    await using reader = await TokenSetReader.open(part, { allowUnusedBytes: true });
    for (const { field, prefix } of part.files) fields.push(summarize(field, prefix, reader));
    lengths ??= summarizeLengths(
      reader.field(reader.fields[0] ?? '')?.lengths ?? new Int32Array(0),
    );
    samples.push(...(await firstSamples(part, reader, options.samples)));
  }
  return {
    kind: files.kind,
    prefix: files.prefix,
    meta: description?.meta ?? null,
    fields,
    lengths: lengths ?? summarizeLengths(new Int32Array(0)),
    samples,
  };
}

/** Text fields are data sets of their own; other fields belong together. */
function partsOf(set: TokenFileSet): TokenFileSet[] {
  if (set.kind !== 'pretrain') return [set];
  return set.files.map((file) => ({ ...set, prefix: file.prefix, files: [file] }));
}

function summarize(field: string, prefix: string, reader: TokenSetReader): FieldSummary {
  const {
    dtype = 'int32',
    sequenceCount = 0,
    documentCount = 0,
    tokenCount = 0,
  } = reader.field(field) ?? {};
  return {
    field,
    prefix,
    dtype,
    sequences: sequenceCount,
    documents: documentCount,
    tokens: tokenCount,
  };
}

function summarizeLengths(lengths: Int32Array): TokenLengths {
  const counts = new Map<number, number>();
  let shortest = Number.POSITIVE_INFINITY;
  let longest = 0;
  let total = 0;
  for (const length of lengths) {
    const counted = countedLength(length);
    counts.set(counted, (counts.get(counted) ?? 0) + 1);
    shortest = Math.min(shortest, length);
    longest = Math.max(longest, length);
    total += length;
  }
  if (lengths.length === 0) return { shortest: 0, mean: 0, longest: 0, histogram: [] };
  const histogram = binLengths(counts, longest);
  return { shortest, mean: total / lengths.length, longest, histogram };
}

async function firstSamples(
  set: TokenFileSet,
  reader: TokenSetReader,
  wanted: number,
): Promise<StoredSample[]> {
  const end = Math.min(wanted, reader.sequenceCount);
  if (end === 0) return [];
  const name = basename(set.prefix);
  const origin = (sequence: number) => ({ row: sequence + 1, source: name });
  if (set.kind === 'pretrain') {
    const options = { origin, end, maxLength: Number.POSITIVE_INFINITY };
    return await gather(textSamples(reader, options));
  }
  if (set.kind === 'pairwise') return await firstPairs(reader, name, end);
  const rows = await gather(instructionSamples(reader, { origin, end, isPadded: true }));
  if (set.kind === 'instruction') return rows.flatMap(separateSegments);
  const tags = await reader.field('kto_tags')?.range(0, end);
  return rows.map((row) => ({
    ...row,
    source: `${name} (${tags?.[row.row - 1] === 1 ? 'wanted' : 'unwanted'})`,
  }));
}

/** Both sides of each pair, one after the other. */
async function firstPairs(
  reader: TokenSetReader,
  name: string,
  end: number,
): Promise<StoredSample[]> {
  const sides = ['chosen', 'rejected'].map(async (side) => {
    const origin = (sequence: number) => ({ row: sequence + 1, source: `${name} ${side}` });
    const fields = { ids: `${side}_input_ids`, labels: `${side}_labels` };
    return await gather(instructionSamples(reader, { origin, end, isPadded: true, fields }));
  });
  const [chosen = [], rejected = []] = await Promise.all(sides);
  return [...chosen, ...rejected].sort((a, b) => a.row - b.row);
}

async function gather(samples: AsyncIterable<StoredSample>): Promise<StoredSample[]> {
  const gathered: StoredSample[] = [];
  for await (const sample of samples) gathered.push(sample);
  return gathered;
}

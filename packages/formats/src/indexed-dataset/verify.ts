/** Reads a data set from end to end, and says what is in it. */
import { createHash } from 'node:crypto';
import { throwIfAborted } from '@tuneyard/core';
import { RandomAccessFile } from '../io/random-access-file.js';
import { findOutside, rangeOf } from './kernels/values.js';
import { type IndexedDtype, indexedDatasetPaths } from './layout.js';
import { BLOCK_BYTES } from './limits.js';
import { IndexedDatasetReader } from './reader.js';

/** Options of {@link verifyIndexedDataset}. */
export interface VerifyIndexedDatasetOptions {
  /** Values that are legal: `min` to `max`, and `also` (labels use −100). Left out: any. */
  readonly range?: { readonly min: number; readonly max: number; readonly also?: number };
  /** Hash both files. Default false. */
  readonly hash?: boolean;
  readonly signal?: AbortSignal;
}

/** A value that is not legal, and where it was found first. */
export interface ValueFault {
  readonly sequence: number;
  /** Place in the sequence. */
  readonly position: number;
  readonly value: number;
}

/** What a data set holds. */
export interface IndexedDatasetReport {
  readonly prefix: string;
  readonly dtype: IndexedDtype;
  readonly sequences: number;
  readonly documents: number;
  readonly tokens: number;
  readonly emptySequences: number;
  readonly emptyDocuments: number;
  readonly longest: number;
  /** Smallest and largest value; both 0 without values. */
  readonly minValue: number;
  readonly maxValue: number;
  /** Bytes of `.bin` that belong to no sequence. */
  readonly unusedBytes: number;
  /** First value out of range; null = none, or no range was asked for. */
  readonly fault: ValueFault | null;
  /** SHA-256 in hexadecimal; null when not asked for. */
  readonly sha256: { readonly bin: string; readonly idx: string } | null;
}

/**
 * Checks index and values of a data set of token ids. A value out of range is a finding, anything else an error.
 *
 * Throws: as `IndexedDatasetReader.open`, `INDEXED_DATASET_NOT_TOKENS`, `CANCELLED`.
 */
export async function verifyIndexedDataset(
  prefix: string,
  options: VerifyIndexedDatasetOptions = {},
): Promise<IndexedDatasetReport> {
  await using reader = await IndexedDatasetReader.open(prefix, { allowUnusedBytes: true });
  const { lengths, documentBoundaries: boundaries } = reader;
  const scan = await scanValues(reader, options);
  const sha256 = options.hash === true ? await hashFiles(prefix, options.signal) : null;
  return {
    prefix: reader.prefix,
    dtype: reader.dtype,
    sequences: reader.sequenceCount,
    documents: reader.documentCount,
    tokens: reader.tokenCount,
    emptySequences: lengths.reduce((count, length) => count + (length === 0 ? 1 : 0), 0),
    emptyDocuments: boundaries.reduce(
      (count, boundary, d) => count + (d > 0 && boundary === boundaries[d - 1] ? 1 : 0),
      0,
    ),
    longest: lengths.reduce((longest, length) => Math.max(longest, length), 0),
    unusedBytes: reader.unusedBytes,
    sha256,
    ...scan,
  };
}

async function scanValues(
  reader: IndexedDatasetReader,
  { range, signal }: VerifyIndexedDatasetOptions,
): Promise<Pick<IndexedDatasetReport, 'minValue' | 'maxValue' | 'fault'>> {
  let minValue = Number.POSITIVE_INFINITY;
  let maxValue = Number.NEGATIVE_INFINITY;
  let fault: ValueFault | null = null;
  const stop = signal === undefined ? {} : { signal };
  for await (const { first, lengths, tokens } of reader.blocks(stop)) {
    if (tokens.length === 0) continue;
    const { min, max } = rangeOf(tokens);
    minValue = Math.min(minValue, min);
    maxValue = Math.max(maxValue, max);
    if (range === undefined || fault !== null) continue;
    const bad = findOutside(tokens, { ...range, also: range.also ?? range.min });
    if (bad >= 0) fault = { ...placeOf(bad, lengths, first), value: tokens[bad] ?? 0 };
  }
  if (minValue > maxValue) return { minValue: 0, maxValue: 0, fault };
  return { minValue, maxValue, fault };
}

function placeOf(
  at: number,
  lengths: Int32Array,
  first: number,
): { sequence: number; position: number } {
  let position = at;
  for (const [i, length] of lengths.entries()) {
    if (position < length) return { sequence: first + i, position };
    position -= length;
  }
  return { sequence: first + lengths.length, position };
}

async function hashFiles(
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<{ bin: string; idx: string }> {
  const { bin, idx } = indexedDatasetPaths(prefix);
  return { bin: await hashFile(bin, signal), idx: await hashFile(idx, signal) };
}

async function hashFile(path: string, signal: AbortSignal | undefined): Promise<string> {
  await using file = await RandomAccessFile.open(path);
  const hash = createHash('sha256');
  const piece = new Uint8Array(Math.min(BLOCK_BYTES, file.size));
  for (let at = 0; at < file.size; at += piece.length) {
    throwIfAborted(signal);
    const part = piece.subarray(0, Math.min(piece.length, file.size - at));
    await file.readExact(part, at);
    hash.update(part);
  }
  return hash.digest('hex');
}

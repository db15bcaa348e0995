/** Turns stored sequences into the samples that a trainer takes. */
import { IGNORE_LABEL, type TokenizedSample } from '../encode/samples.js';
import { segmentsOfMask } from '../packing/segments.js';
import { learnedEnd, markLearned } from './kernels/labels.js';
import { badSet } from './token-set-error.js';
import type { TokenSetReader } from './token-set-reader.js';

/** A sample as it was stored; one row of a packed data set may hold several. */
export interface StoredSample extends TokenizedSample {
  /** Present where the row holds several samples that must not see one another. Sum = `ids.length`. */
  readonly segmentLengths?: readonly number[];
}

/** Says where a sequence comes from. */
type OriginOf = (sequence: number) => { readonly row: number; readonly source: string };

/** Which sequences to read. */
interface SampleRange {
  readonly origin: OriginOf;
  /** Sequence after the last. Default: all. */
  readonly end?: number;
}

/** Raw text: every token but the first is learned. Empty sequences give nothing. */
export async function* textSamples(
  reader: TokenSetReader,
  options: SampleRange & { readonly maxLength: number },
): AsyncGenerator<StoredSample, void, undefined> {
  for await (const { first, count, fields } of reader.batches(rangeOf(options))) {
    const { tokens, lengths } = fields[0] ?? {
      tokens: new Int32Array(0),
      lengths: new Int32Array(0),
    };
    let at = 0;
    for (let i = 0; i < count; i++) {
      const end = at + (lengths[i] ?? 0);
      for (; at < end; at = Math.min(end, at + options.maxLength)) {
        const ids = tokens.subarray(at, Math.min(end, at + options.maxLength));
        const learned = new Uint8Array(ids.length).fill(1);
        learned[0] = 0;
        yield { ids, learned, ...options.origin(first + i) };
      }
    }
  }
}

/**
 * Ids with labels. `isPadded`: rows end with padding that only the labels tell from text, so that what follows the last
 * learned token is left out; it could not have changed the loss.
 *
 * Throws: `DATA_BAD_TOKEN_SET` when an attention mask does not number samples from 1 on.
 */
export async function* instructionSamples(
  reader: TokenSetReader,
  options: SampleRange & {
    readonly isPadded: boolean;
    /** Names of the fields to read. Default: those of instruction data. */
    readonly fields?: { readonly ids: string; readonly labels: string };
  },
): AsyncGenerator<StoredSample, void, undefined> {
  const names = options.fields ?? { ids: 'input_ids', labels: 'labels' };
  const idsAt = reader.fields.indexOf(names.ids);
  const labelsAt = reader.fields.indexOf(names.labels);
  const maskAt = reader.fields.indexOf('attention_mask');
  for await (const { first, count, fields } of reader.batches(rangeOf(options))) {
    const ids = fields[idsAt];
    const labels = fields[labelsAt];
    if (ids === undefined || labels === undefined) return;
    let begin = 0;
    for (let i = 0; i < count; i++) {
      const end = begin + (ids.lengths[i] ?? 0);
      const row = {
        ids: ids.tokens.subarray(begin, end),
        labels: labels.tokens.subarray(begin, end),
        mask: fields[maskAt]?.tokens.subarray(begin, end) ?? null,
      };
      begin = end;
      const sample = sampleOf(row, options.isPadded);
      if (sample === null) throw badMask(reader, first + i);
      if (sample.ids.length > 0) yield { ...sample, ...options.origin(first + i) };
    }
  }
}

function rangeOf({ end }: SampleRange): { readonly end?: number } {
  return end === undefined ? {} : { end };
}

/** The samples of a row, each by itself; a row that is one sample is given as it is. */
export function separateSegments(row: StoredSample): StoredSample[] {
  const { segmentLengths, ...rest } = row;
  if (segmentLengths === undefined) return [row];
  let at = 0;
  return segmentLengths.map((length) => {
    const [begin, end] = [at, at + length];
    at = end;
    const labels = rest.labels?.subarray(begin, end);
    return {
      ...rest,
      ids: rest.ids.subarray(begin, end),
      learned: rest.learned.subarray(begin, end),
      ...(labels === undefined ? {} : { labels }),
    };
  });
}

interface StoredRow {
  readonly ids: Int32Array;
  readonly labels: Int32Array;
  readonly mask: Int32Array | null;
}

function sampleOf(row: StoredRow, isPadded: boolean): Omit<StoredSample, 'row' | 'source'> | null {
  const segments = row.mask === null ? [row.ids.length] : segmentsOfMask(row.mask);
  if (segments === null) return null;
  const length = segments.reduce((sum, segment) => sum + segment, 0);
  const learned = new Uint8Array(length);
  let isOther = false;
  let at = 0;
  for (const segment of segments) {
    if (markLearned(row.ids, row.labels, { learned, begin: at, end: at + segment })) isOther = true;
    at += segment;
  }
  const isTail = isPadded && segments.length === 1 && length === row.ids.length;
  const end = isTail ? learnedEnd(learned) || length : length;
  return {
    ids: row.ids.subarray(0, end),
    learned: learned.subarray(0, end),
    ...(isOther ? { labels: ownLabels(row.labels, learned, end) } : {}),
    ...(segments.length > 1 ? { segmentLengths: segments } : {}),
  };
}

/** Labels where they are learned; a first token is never a label, whatever was stored. */
function ownLabels(labels: Int32Array, learned: Uint8Array, end: number): Int32Array {
  return Int32Array.from({ length: end }, (_, i) =>
    learned[i] === 1 ? (labels[i] ?? IGNORE_LABEL) : IGNORE_LABEL,
  );
}

function badMask(reader: TokenSetReader, sequence: number): Error {
  return badSet(
    reader.prefix,
    `the attention mask of sequence ${sequence} does not number samples 1, 2, … with 0 on padding`,
  );
}

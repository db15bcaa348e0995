/** The data stage: data sets in, samples and an account of every row out. */
import { createHash } from 'node:crypto';
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import {
  type Conversation,
  isRejection,
  type RejectedRecord,
  type Rejection,
  reject,
  rejectedAt,
  type TextDocument,
} from '../handlers/conversation.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import { readConversations, readDocuments } from '../handlers/read-dataset.js';
import { buildDataReport, type DataReport, type TruncatedRow } from './data-report.js';
import {
  type DocumentOptions,
  type EncodedSample,
  encodeConversation,
  encodeDocument,
  type SampleEncodeOptions,
} from './sample-encoder.js';
import type { TokenizedSample } from './samples.js';

/** Options that both kinds of preparation share. */
export interface PrepareOptions {
  readonly signal?: AbortSignal;
  /** True: report how full packed rows are. Packing itself happens when rows are built. */
  readonly packing?: boolean;
  /** Default false. True: a sample with the tokens of an earlier one is dropped and counted. */
  readonly dropDuplicates?: boolean;
  /** Called about every thousand records. */
  readonly onProgress?: (rows: number) => void;
}

/** Samples in source order, and the account. */
export interface PreparedSamples {
  readonly samples: readonly TokenizedSample[];
  readonly report: DataReport;
}

/**
 * Reads and encodes dialogues for fine-tuning.
 *
 * Throws: the reader's and encoder's codes; `DATA_NOTHING_KEPT` when no row gives a sample, with the largest
 * bucket and an example.
 */
export function prepareConversations(
  specs: readonly DatasetSpec[],
  encoding: SampleEncodeOptions,
  options: PrepareOptions = {},
): Promise<PreparedSamples> {
  return prepare<Conversation>({
    specs,
    read: (spec) => readConversations(spec, signalOf(options)),
    encode: (conversation) => {
      const encoded = encodeConversation(conversation, encoding);
      return isRejection(encoded) ? encoded : [encoded];
    },
    cutoffLength: encoding.cutoffLength,
    options,
  });
}

/** Reads and encodes raw texts for pre-training. Throws: as {@link prepareConversations}. */
export function prepareDocuments(
  specs: readonly DatasetSpec[],
  encoding: DocumentOptions,
  options: PrepareOptions = {},
): Promise<PreparedSamples> {
  return prepare<TextDocument>({
    specs,
    read: (spec) => readDocuments(spec, signalOf(options)),
    encode: (document) => encodeDocument(document, encoding),
    cutoffLength: encoding.cutoffLength,
    options,
  });
}

interface Preparation<T extends Conversation | TextDocument> {
  readonly specs: readonly DatasetSpec[];
  readonly read: (spec: DatasetSpec) => AsyncIterable<T | RejectedRecord>;
  readonly encode: (item: T) => readonly EncodedSample[] | Rejection;
  readonly cutoffLength: number;
  readonly options: PrepareOptions;
}

async function prepare<T extends Conversation | TextDocument>(
  preparation: Preparation<T>,
): Promise<PreparedSamples> {
  const { options, cutoffLength } = preparation;
  checkCutoff(cutoffLength);
  const kept: EncodedSample[] = [];
  const rejected: RejectedRecord[] = [];
  const seen = new Map<string, TokenizedSample>();
  let rows = 0;
  for (const spec of preparation.specs) {
    for await (const item of preparation.read(spec)) {
      if (++rows % 1000 === 0) options.onProgress?.(rows);
      const encoded = encodeItem(item, preparation, seen);
      if ('bucket' in encoded) rejected.push(encoded);
      else kept.push(...encoded.samples);
    }
  }
  if (kept.length === 0) throw nothingKept(preparation.specs, rejected);
  const samples = kept.map(({ sample }) => sample);
  const truncated = kept
    .filter(({ sample, fullLength }) => fullLength > sample.ids.length)
    .map(({ sample, fullLength }) => truncatedRow(sample, fullLength));
  const packCapacity = options.packing === true ? cutoffLength : null;
  const keptRows = rows - rejected.length;
  const report = buildDataReport({ rows, keptRows, samples, truncated, rejected, packCapacity });
  return { samples, report };
}

function encodeItem<T extends Conversation | TextDocument>(
  item: T | RejectedRecord,
  preparation: Preparation<T>,
  seen: Map<string, TokenizedSample>,
): { readonly samples: readonly EncodedSample[] } | RejectedRecord {
  if (item.kind === 'rejected') return item;
  const encoded = preparation.encode(item);
  if (isRejection(encoded)) return rejectedAt(item, encoded);
  const first = encoded[0]?.sample;
  if (first === undefined) return rejectedAt(item, reject('empty_text', 'the text has no tokens'));
  if (preparation.options.dropDuplicates !== true) return { samples: encoded };
  const key = contentKey(encoded);
  const earlier = seen.get(key);
  if (earlier !== undefined) {
    const where = `${earlier.source}, row ${earlier.row}`;
    return rejectedAt(item, reject('duplicate', `the same tokens as ${where}`));
  }
  seen.set(key, first);
  return { samples: encoded };
}

function contentKey(encoded: readonly EncodedSample[]): string {
  const hash = createHash('sha256');
  for (const { sample } of encoded) {
    hash.update(new Uint8Array(sample.ids.buffer, sample.ids.byteOffset, sample.ids.byteLength));
    hash.update(sample.learned);
  }
  return hash.digest('base64');
}

function truncatedRow(sample: TokenizedSample, fullLength: number): TruncatedRow {
  return {
    source: sample.source,
    row: sample.row,
    tokensBefore: fullLength,
    tokensAfter: sample.ids.length,
  };
}

function signalOf(options: PrepareOptions): { readonly signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal };
}

function checkCutoff(cutoffLength: number): void {
  if (Number.isSafeInteger(cutoffLength) && cutoffLength >= 2) return;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `cutoff_len is ${cutoffLength}; it is a whole number of tokens, at least 2`,
  );
}

function nothingKept(
  specs: readonly DatasetSpec[],
  rejected: readonly RejectedRecord[],
): TuneyardError {
  const names = specs.map((spec) => spec.path).join(', ');
  const counts = new Map<string, number>();
  for (const { bucket } of rejected) counts.set(bucket, (counts.get(bucket) ?? 0) + 1);
  const buckets = [...counts].map(([bucket, count]) => `${bucket} ${count}`).join(', ');
  const first = rejected[0];
  const example =
    first === undefined ? '' : `; first: ${first.source}, row ${first.row}: ${first.reason}`;
  return new TuneyardError(
    DATA_ERRORS.DATA_NOTHING_KEPT,
    `No row of ${names} gives a sample (${buckets || 'no records'}${example})`,
    { details: { rejected: Object.fromEntries(counts) } },
  );
}

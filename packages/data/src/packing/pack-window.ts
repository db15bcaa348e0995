/**
 * Packing for files: rows of one fixed length, padded, with the parallel fields that trainers of the Megatron and
 * LLaMA-Factory families read.
 *
 * ModelLink: a row holds `seq-length − 1` tokens of samples and is padded to `seq-length`. LLaMA-Factory: `cutoff_len`
 * tokens, padded to `cutoff_len + 1`. In both, padding has the pad id and is not learned; the attention mask is 1
 * throughout, or with `isNeat` the number of the sample in its row from 1 on, and 0 on padding.
 *
 * Source: MindSpeed-LLM `data_handler.py`, LLaMA-Factory v0.9.3 `processor/supervised.py`. Checked against:
 * test/fixtures/packing, made by that code.
 */
import { assert, throwIfAborted } from '@tuneyard/core';
import { IGNORE_LABEL } from '../encode/samples.js';
import { type PackStrategy, planPacks } from './plan-packs.js';

/** Samples end to end. */
export interface SampleColumns {
  readonly ids: Int32Array;
  /** {@link IGNORE_LABEL} where masked. Same length as `ids`. */
  readonly labels: Int32Array;
  /** Tokens of each sample. */
  readonly lengths: Int32Array;
}

/** How rows look. */
export interface PackLayout {
  /** Tokens of samples that a row holds. */
  readonly capacity: number;
  /** Length of every row. */
  readonly padTo: number;
  readonly padTokenId: number;
  /** The attention mask tells samples of a row apart. */
  readonly isNeat: boolean;
  readonly strategy: PackStrategy;
  /** What becomes of a sample above the capacity. */
  readonly overlength: 'error' | 'drop' | 'truncate';
}

/** Whose layout rows have. */
export type PackStyle = 'modellink' | 'llama-factory';

/** The layout of a style for a sequence length (`--seq-length`) or cutoff (`cutoff_len`). */
export function packLayoutOf(
  style: PackStyle,
  options: {
    readonly length: number;
    readonly padTokenId: number;
    readonly isNeat: boolean;
    readonly strategy?: PackStrategy;
  },
): PackLayout {
  const { length, padTokenId, isNeat, strategy = 'greedy' } = options;
  const isModelLink = style === 'modellink';
  return {
    capacity: isModelLink ? length - 1 : length,
    padTo: isModelLink ? length : length + 1,
    padTokenId,
    isNeat,
    strategy,
    // ModelLink leaves long samples out, but with --neat-pack cuts them.
    overlength: isModelLink && isNeat ? 'truncate' : 'drop',
  };
}

/** Rows of one length end to end, field by field. */
export interface PackedFields {
  readonly rows: number;
  readonly inputIds: Int32Array;
  readonly attentionMask: Int32Array;
  readonly labels: Int32Array;
  /** Samples of each row, as numbers of the samples that went in. */
  readonly packs: readonly (readonly number[])[];
}

/** What became of samples that are too long. */
export interface WindowAccount {
  /** Numbers of the samples left out. */
  readonly dropped: readonly number[];
  /** Numbers of the samples that were cut. */
  readonly truncated: readonly number[];
}

/** How much is packed together. */
export interface WindowOptions extends PackLayout {
  /**
   * Tokens of one window. Default 16,777,216: data sets below that are packed as a whole, as ModelLink packs them.
   */
  readonly windowTokens?: number;
  /** Samples of one window; LLaMA-Factory packs 1000 rows at a time. Default: as many as the tokens allow. */
  readonly windowSamples?: number;
  readonly signal?: AbortSignal;
}

const WINDOW_TOKENS = 1 << 24;

/** Tokens of rows that are built at once. */
const BUILD_TOKENS = 1 << 20;

/**
 * Packs samples that are all in memory; gives rows in pieces, and at the end what became of samples that are too long.
 *
 * Throws: `DATA_ROW_TOO_LONG` for an empty sample, or one above the capacity where that is an error.
 */
export function* packWindow(
  samples: SampleColumns,
  layout: PackLayout,
): Generator<PackedFields, WindowAccount, undefined> {
  assert(samples.ids.length === samples.labels.length, 'every token has a label');
  const { kept, lengths, account } = chooseSamples(samples.lengths, layout);
  const begins = beginsOf(samples.lengths);
  const packs = planPacks(lengths, layout.capacity, layout.strategy);
  const rowsAtOnce = Math.max(1, Math.floor(BUILD_TOKENS / layout.padTo));
  for (let at = 0; at < packs.length; at += rowsAtOnce) {
    const rows = packs.slice(at, at + rowsAtOnce).map((pack) =>
      pack.map((i): Place => {
        const sample = kept[i] ?? 0;
        return { sample, begin: begins[sample] ?? 0, length: lengths[i] ?? 0 };
      }),
    );
    yield buildRows(samples, rows, layout);
  }
  return account;
}

/**
 * Packs a stream of samples window by window. Sample numbers in the results count from the start of the stream.
 *
 * Memory: one window and one piece of rows. Throws: as {@link packWindow}, `CANCELLED`.
 */
export async function* packInWindows(
  batches: AsyncIterable<SampleColumns> | Iterable<SampleColumns>,
  options: WindowOptions,
): AsyncGenerator<PackedFields, WindowAccount, undefined> {
  const dropped: number[] = [];
  const truncated: number[] = [];
  let before = 0;
  for await (const window of windowsOf(batches, options)) {
    throwIfAborted(options.signal);
    const shift = (sample: number): number => sample + before;
    const pieces = packWindow(window, options);
    let piece = pieces.next();
    for (; piece.done !== true; piece = pieces.next()) {
      yield { ...piece.value, packs: piece.value.packs.map((pack) => pack.map(shift)) };
    }
    for (const sample of piece.value.dropped) dropped.push(shift(sample));
    for (const sample of piece.value.truncated) truncated.push(shift(sample));
    before += window.lengths.length;
  }
  return { dropped, truncated };
}

/** Cuts and joins batches so that each window has the size asked for; a sample is never divided. */
async function* windowsOf(
  batches: AsyncIterable<SampleColumns> | Iterable<SampleColumns>,
  { windowTokens = WINDOW_TOKENS, windowSamples = Number.POSITIVE_INFINITY }: WindowOptions,
): AsyncGenerator<SampleColumns, void, undefined> {
  let parts: SampleColumns[] = [];
  let tokens = 0;
  let count = 0;
  for await (const batch of batches) {
    let from = 0;
    let fromToken = 0;
    let token = 0;
    for (let i = 0; i < batch.lengths.length; i++) {
      const length = batch.lengths[i] ?? 0;
      const isFull = count > 0 && (count >= windowSamples || tokens + length > windowTokens);
      if (isFull) {
        parts.push(sliceColumns(batch, { from, to: i, fromToken, toToken: token }));
        yield joinColumns(parts);
        parts = [];
        tokens = 0;
        count = 0;
        from = i;
        fromToken = token;
      }
      tokens += length;
      count++;
      token += length;
    }
    parts.push(sliceColumns(batch, { from, to: batch.lengths.length, fromToken, toToken: token }));
  }
  if (count > 0) yield joinColumns(parts);
}

function sliceColumns(
  { ids, labels, lengths }: SampleColumns,
  range: { from: number; to: number; fromToken: number; toToken: number },
): SampleColumns {
  return {
    ids: ids.subarray(range.fromToken, range.toToken),
    labels: labels.subarray(range.fromToken, range.toToken),
    lengths: lengths.subarray(range.from, range.to),
  };
}

function joinColumns(parts: readonly SampleColumns[]): SampleColumns {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const join = (pick: (part: SampleColumns) => Int32Array): Int32Array => {
    const joined = new Int32Array(parts.reduce((sum, part) => sum + pick(part).length, 0));
    let at = 0;
    for (const part of parts) {
      joined.set(pick(part), at);
      at += pick(part).length;
    }
    return joined;
  };
  return {
    ids: join((part) => part.ids),
    labels: join((part) => part.labels),
    lengths: join((part) => part.lengths),
  };
}

/** Where the tokens of one packed sample lie. */
interface Place {
  readonly sample: number;
  readonly begin: number;
  readonly length: number;
}

function chooseSamples(
  all: Int32Array,
  { capacity, overlength }: PackLayout,
): { kept: number[]; lengths: number[]; account: WindowAccount } {
  const dropped: number[] = [];
  const truncated: number[] = [];
  const kept: number[] = [];
  const lengths: number[] = [];
  for (const [sample, length] of all.entries()) {
    const isTooLong = length > capacity;
    if (isTooLong && overlength === 'drop') {
      dropped.push(sample);
      continue;
    }
    const isCut = isTooLong && overlength === 'truncate';
    if (isCut) truncated.push(sample);
    kept.push(sample);
    lengths.push(isCut ? capacity : length);
  }
  return { kept, lengths, account: { dropped, truncated } };
}

function buildRows(
  { ids, labels }: SampleColumns,
  rows: readonly (readonly Place[])[],
  { padTo, padTokenId, isNeat }: PackLayout,
): PackedFields {
  const size = rows.length * padTo;
  const inputIds = new Int32Array(size).fill(padTokenId);
  const attentionMask = new Int32Array(size).fill(isNeat ? 0 : 1);
  const packedLabels = new Int32Array(size).fill(IGNORE_LABEL);
  for (const [row, places] of rows.entries()) {
    let at = row * padTo;
    for (const [i, { begin, length }] of places.entries()) {
      inputIds.set(ids.subarray(begin, begin + length), at);
      packedLabels.set(labels.subarray(begin, begin + length), at);
      if (isNeat) attentionMask.fill(i + 1, at, at + length);
      at += length;
    }
  }
  const packs = rows.map((places) => places.map(({ sample }) => sample));
  return { rows: rows.length, inputIds, attentionMask, labels: packedLabels, packs };
}

function beginsOf(lengths: Int32Array): Int32Array {
  const begins = new Int32Array(lengths.length);
  let at = 0;
  for (const [i, length] of lengths.entries()) {
    begins[i] = at;
    at += length;
  }
  return begins;
}

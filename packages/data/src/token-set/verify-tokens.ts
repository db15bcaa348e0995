/** Reads a prepared data set from end to end, and says what does not fit. */
import {
  type IndexedDatasetReport,
  type VerifyIndexedDatasetOptions,
  verifyIndexedDataset,
} from '@tuneyard/formats';
import { IGNORE_LABEL } from '../encode/samples.js';
import type { HandlerKind } from '../handlers/row-handler.js';
import { segmentsOfMask } from '../packing/segments.js';
import type { TokenFileSet } from './token-files.js';
import { type FieldBatch, locateTokenSet, TokenSetReader } from './token-set-reader.js';

/** Options of {@link verifyTokens}. */
export interface VerifyTokensOptions {
  /** Ids must be below this. Default: what the directory of a token set says, else any. */
  readonly vocabSize?: number;
  /** Hash all files. Default false. */
  readonly hash?: boolean;
  readonly signal?: AbortSignal;
}

/** Something that a trainer would stumble over, or waste. */
export interface TokenFault {
  readonly severity: 'error' | 'warning';
  readonly field: string;
  readonly message: string;
}

/** What {@link verifyTokens} found. */
export interface TokenVerification {
  readonly kind: HandlerKind;
  readonly prefix: string;
  readonly fields: readonly (IndexedDatasetReport & { readonly field: string })[];
  /** Tokens that are learned, first ones of samples aside; null where the kind has no labels. */
  readonly learnedTokens: number | null;
  readonly faults: readonly TokenFault[];
}

/**
 * Checks every index, the range of every value, that fields lie side by side, masks, and that something is learned.
 *
 * Throws: `INDEXED_DATASET_…` for files that cannot be read, `DATA_…`, `CANCELLED`. Cost: reads everything.
 */
export async function verifyTokens(
  path: string,
  options: VerifyTokensOptions = {},
): Promise<TokenVerification> {
  const { files, description } = await locateTokenSet(path);
  const vocabSize = options.vocabSize ?? description?.meta.vocabSize ?? null;
  const fields: (IndexedDatasetReport & { field: string })[] = [];
  const faults: TokenFault[] = [];
  for (const { field, prefix } of files.files) {
    const { hash = false, signal } = options;
    const report = await verifyIndexedDataset(prefix, {
      ...rangeOf(field, files.kind, vocabSize),
      hash,
      ...(signal === undefined ? {} : { signal }),
    });
    fields.push({ field, ...report });
    faults.push(...faultsOf(field, report, vocabSize));
  }
  const learnedTokens = await countLearned(files, faults, options.signal);
  return { kind: files.kind, prefix: files.prefix, fields, learnedTokens, faults };
}

function rangeOf(
  field: string,
  kind: HandlerKind,
  vocabSize: number | null,
): Pick<VerifyIndexedDatasetOptions, 'range'> {
  const max = (vocabSize ?? 2 ** 31) - 1;
  if (kind !== 'pretrain' && field.endsWith('labels')) {
    return { range: { min: 0, max, also: IGNORE_LABEL } };
  }
  if (field === 'kto_tags') return { range: { min: 0, max: 1 } };
  if (kind !== 'pretrain' && field === 'attention_mask')
    return { range: { min: 0, max: 2 ** 31 - 1 } };
  return { range: { min: 0, max } };
}

function faultsOf(
  field: string,
  report: IndexedDatasetReport,
  vocabSize: number | null,
): TokenFault[] {
  const faults: TokenFault[] = [];
  const { fault, unusedBytes, emptySequences } = report;
  if (fault !== null) {
    const isId = field !== 'kto_tags' && field !== 'attention_mask';
    const limit = isId && vocabSize !== null ? `; the vocabulary has ${vocabSize}` : '';
    const where = `sequence ${fault.sequence}, token ${fault.position}`;
    faults.push({
      severity: 'error',
      field,
      message: `${where}: ${fault.value} is out of range${limit}`,
    });
  }
  if (unusedBytes > 0) {
    const message = `${unusedBytes} bytes of the values belong to no sequence`;
    faults.push({ severity: 'warning', field, message });
  }
  if (emptySequences > 0) {
    faults.push({
      severity: 'warning',
      field,
      message: `nothing is in ${counted(emptySequences, 'sequence')}`,
    });
  }
  return faults;
}

/** Reads labels and masks side by side. Mutates: `faults`. */
async function countLearned(
  files: TokenFileSet,
  faults: TokenFault[],
  signal: AbortSignal | undefined,
): Promise<number | null> {
  if (files.kind === 'pretrain') return null;
  await using reader = await TokenSetReader.open(files, { allowUnusedBytes: true });
  const sides = files.kind === 'pairwise' ? ['chosen_', 'rejected_'] : [''];
  const tallies = sides.map((side) => ({
    field: `${side}labels`,
    labels: reader.fields.indexOf(`${side}labels`),
    mask: side === '' ? reader.fields.indexOf('attention_mask') : -1,
    learned: 0,
    unlearned: 0,
    badMasks: 0,
  }));
  for await (const batch of reader.batches(signal === undefined ? {} : { signal })) {
    for (const tally of tallies) tallyBatch(batch, tally);
  }
  for (const { field, unlearned, badMasks } of tallies) {
    if (unlearned > 0) {
      const message = `nothing is learned from ${counted(unlearned, 'sequence')}`;
      faults.push({ severity: 'warning', field, message });
    }
    if (badMasks > 0) {
      const message = `samples are not numbered 1, 2, … with 0 on padding in ${counted(badMasks, 'mask')}`;
      faults.push({ severity: 'error', field: 'attention_mask', message });
    }
  }
  return tallies.reduce((sum, { learned }) => sum + learned, 0);
}

interface LabelTally {
  /** Places of the fields in a batch; mask −1 = there is none. */
  readonly labels: number;
  readonly mask: number;
  learned: number;
  unlearned: number;
  badMasks: number;
}

/** Mutates: `tally`. */
function tallyBatch({ count, fields }: FieldBatch, tally: LabelTally): void {
  const labels = fields[tally.labels];
  const masks = fields[tally.mask]?.tokens;
  let at = 0;
  for (let i = 0; i < count; i++) {
    const end = at + (labels?.lengths[i] ?? 0);
    const segments = masks === undefined ? [end - at] : segmentsOfMask(masks.subarray(at, end));
    if (segments === null) tally.badMasks++;
    const row = labels?.tokens.subarray(at, end) ?? new Int32Array(0);
    const learned = countLabels(row, segments ?? [end - at]);
    tally.learned += learned;
    if (learned === 0) tally.unlearned++;
    at = end;
  }
}

/** Labels that are learned; the first token of a sample never is. */
function countLabels(labels: Int32Array, segments: readonly number[]): number {
  let count = 0;
  let begin = 0;
  for (const length of segments) {
    for (let i = begin + 1; i < begin + length; i++) if (labels[i] !== IGNORE_LABEL) count++;
    begin += length;
  }
  return count;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

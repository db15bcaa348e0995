/** The second half of preprocessing: parts are put in order, split, packed and written. */
import { IGNORE_LABEL } from '../encode/samples.js';
import type { HandlerKind } from '../handlers/row-handler.js';
import { planMixing } from '../mixing/plan-mixing.js';
import { planSplit } from '../mixing/plan-split.js';
import { chooseRows } from './choose-rows.js';
import { Int32List } from './int32-list.js';
import { PACKED_FIELDS, packedBatches } from './packed-batches.js';
import type { PartSurvey } from './part-survey.js';
import type { PreprocessOptions } from './preprocess.js';
import { type SampleBatch, selectSamples } from './sample-batch.js';
import { orderedBatches, type RowOrder } from './sample-order.js';
import { TokenOutput, type WrittenField } from './token-outputs.js';

/** A set that was written. */
export interface WrittenTokens {
  readonly prefix: string;
  /** Samples; rows after packing. */
  readonly samples: number;
  /** Tokens of all samples, without the padding of packed rows. */
  readonly tokens: number;
  /** Tokens that are learned. */
  readonly learnedTokens: number;
  /** Tokens of the longest sample, before packing. */
  readonly longest: number;
  readonly fields: readonly WrittenField[];
  /** 1-based row of each sample in its data set, and the index of the data set. */
  readonly rows: Int32Array;
  readonly datasets: Int32Array;
}

/** What is written. */
export interface WriteJob {
  readonly options: PreprocessOptions;
  readonly survey: PartSurvey;
  readonly kind: HandlerKind;
  readonly fields: readonly string[];
  readonly vocabSize: number;
}

/**
 * Writes the training set, and the held-out one where it is asked for; both appear under their names only after the
 * last sample of both is written.
 */
export async function writeTokens(
  job: WriteJob,
): Promise<{ readonly train: WrittenTokens | null; readonly validation: WrittenTokens | null }> {
  const { valSize, seed, train, validation } = job.options;
  const mix = mixOf(job);
  const total = await countSamples(job, mix);
  const held = valSize === 0 ? null : heldFlags(total, valSize, seed);
  const sets: (OpenSet | null)[] = [];
  try {
    for (const [part, output] of [train, validation].entries()) {
      const isAsked = output !== null && (part === 0 || held !== null);
      const isWanted = (i: number): boolean => (held?.[i] ?? 0) === part;
      sets.push(isAsked ? await writeSet({ job, mix, total }, output.prefix, isWanted) : null);
    }
    const written: (WrittenTokens | null)[] = [];
    for (const set of sets) written.push(set === null ? null : await commitSet(set));
    return { train: written[0] ?? null, validation: written[1] ?? null };
  } finally {
    for (const set of sets) await set?.output.discard();
  }
}

interface OpenSet {
  readonly prefix: string;
  readonly output: TokenOutput;
  readonly counts: { tokens: number; learnedTokens: number; longest: number };
  readonly rows: Int32List;
  readonly datasets: Int32List;
}

async function commitSet({
  prefix,
  output,
  counts,
  rows,
  datasets,
}: OpenSet): Promise<WrittenTokens> {
  const { samples } = output;
  const fields = await output.commit();
  return { prefix, samples, ...counts, fields, rows: rows.take(), datasets: datasets.take() };
}

interface Ordered {
  readonly job: WriteJob;
  readonly mix: RowOrder | null;
  readonly total: number;
}

/** Writes the samples whose number in the order is wanted, without moving them to their names. */
async function writeSet(
  { job, mix, total }: Ordered,
  prefix: string,
  isWanted: (index: number) => boolean,
): Promise<OpenSet> {
  const { options, kind, fields, vocabSize } = job;
  const { packing, dtype, signal } = options;
  const set: OpenSet = {
    prefix,
    output: await TokenOutput.open({
      prefix,
      kind,
      fields: packing === null ? fields : PACKED_FIELDS,
      dtype,
      vocabSize,
      ...(signal === undefined ? {} : { signal }),
    }),
    counts: { tokens: 0, learnedTokens: 0, longest: 0 },
    rows: new Int32List(),
    datasets: new Int32List(),
  };
  try {
    const chosen = chosenBatches({ job, mix, total }, isWanted, (batch) =>
      addCounts(set.counts, batch, job),
    );
    const batches = packing === null ? chosen : packedBatches(chosen, packing);
    for await (const batch of batches) {
      await set.output.append(batch);
      set.rows.append(batch.rows);
      set.datasets.append(batch.datasets);
    }
    return set;
  } catch (error) {
    await set.output.discard();
    throw error;
  }
}

function addCounts(
  counts: OpenSet['counts'],
  batch: SampleBatch,
  { kind, fields }: WriteJob,
): void {
  const labels = fields.findIndex((field) => field.endsWith('labels'));
  for (const [i, length] of (batch.lengths[0] ?? []).entries()) {
    const longest = batch.lengths.reduce((most, lengths) => Math.max(most, lengths[i] ?? 0), 0);
    counts.longest = Math.max(counts.longest, longest);
    // Every token of a text is learned but its first.
    if (kind === 'pretrain') counts.learnedTokens += Math.max(0, length - 1);
  }
  counts.tokens += batch.tokens[0]?.length ?? 0;
  for (const label of batch.tokens[labels] ?? []) {
    if (label !== IGNORE_LABEL) counts.learnedTokens++;
  }
}

async function* chosenBatches(
  { job, mix, total }: Ordered,
  isWanted: (index: number) => boolean,
  count: (batch: SampleBatch) => void,
): AsyncGenerator<SampleBatch, void, undefined> {
  let before = 0;
  for await (const batch of orderedOf(job, mix)) {
    const first = before;
    const chosen = selectSamples(batch, (i) => isWanted(first + i));
    before += batch.rows.length;
    count(chosen);
    if (chosen.rows.length > 0) yield chosen;
    job.options.onProgress?.({ phase: 'write', samples: before, totalSamples: total });
  }
}

function orderedOf({ options, survey, fields }: WriteJob, mix: RowOrder | null) {
  const { signal } = options;
  const { parts } = survey;
  return orderedBatches({
    parts,
    fields: fields.length,
    mix,
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The order of rows, where it is not simply all of them. */
function mixOf({ options, survey }: WriteJob): RowOrder | null {
  const { mix, seed, datasets } = options;
  const read = survey.parts.map((parts) => parts.reduce((sum, part) => sum + part.account.rows, 0));
  const specs = datasets.map(({ spec }) => spec);
  const selections = chooseRows(specs, read, seed);
  const strategy = mix?.strategy ?? 'concat';
  if (strategy === 'concat' && selections.every((selection) => selection === null)) return null;
  const counts = selections.map((selection, i) => selection?.count ?? read[i] ?? 0);
  const probabilities = mix?.probabilities ?? null;
  return { plan: planMixing({ counts, strategy, probabilities, seed }), selections };
}

/** Samples in order. Mixed rows have to be walked for it: some gave nothing, some are read more than once. */
async function countSamples(job: WriteJob, mix: RowOrder | null): Promise<number> {
  if (mix === null) return job.survey.samples;
  let count = 0;
  for await (const batch of orderedOf(job, mix)) count += batch.rows.length;
  return count;
}

function heldFlags(count: number, valSize: number, seed: number): Uint8Array {
  const flags = new Uint8Array(count);
  for (const index of planSplit({ count, valSize, seed }).validation) flags[index] = 1;
  return flags;
}

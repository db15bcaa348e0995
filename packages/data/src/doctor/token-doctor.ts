/**
 * The data doctor for data that are tokens already: a token set of ours, or the indexed data sets of ModelLink and
 * MindSpeed-LLM. Only what tokens and labels tell can be checked.
 */
import { basename } from 'node:path';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { countLearned, type TokenizedSample } from '../encode/samples.js';
import { DATA_ERRORS } from '../errors.js';
import {
  instructionSamples,
  type StoredSample,
  separateSegments,
  textSamples,
} from '../token-set/stored-samples.js';
import type { TokenSetDescription } from '../token-set/token-set-meta.js';
import { locateTokenSet, TokenSetReader } from '../token-set/token-set-reader.js';
import type { Tokenizer } from '../tokenizer/index.js';
import type { DataSummary, Diagnosis } from './data-doctor.js';
import { sortFindings } from './finding.js';
import { LengthTally } from './length-tally.js';
import { checkModel, type ModelFacts } from './model-checks.js';
import { RepeatChecks } from './repeats/check-repeats.js';
import { digestSample, sharedBeginning } from './repeats/row-digest.js';
import { TokenChecks } from './token-checks.js';

/** What {@link examineTokens} looks at. */
export interface ExamineTokensOptions {
  /** Directory of a token set, or what `findTokenFiles` takes. */
  readonly path: string;
  readonly tokenizer: Tokenizer;
  readonly model: ModelFacts;
  /** Samples of so many tokens may have been cut; used where the set does not say. */
  readonly cutoffLength: number;
  readonly signal?: AbortSignal;
}

/** Samples looked at to find out what all of them begin with. */
const BEGINNING_SAMPLES = 1000;

/**
 * Examines tokens; the samples of packed rows one by one. Rows are those of the source where the set knows them, else
 * they count from 1 in the order of the file.
 *
 * Throws: `DATA_BAD_TOKEN_SET`, `DATA_TOKEN_FILES_…`, `INDEXED_DATASET_…`, `CANCELLED`.
 */
export async function examineTokens(options: ExamineTokensOptions): Promise<Diagnosis> {
  const { tokenizer, model, signal } = options;
  const set = await openTokens(options.path);
  const { meta } = set;
  const stopTokenIds = meta?.stopTokenIds ?? knownStops(options);
  // Other tools often leave BOS out, as named templates do.
  const form = meta === null ? 'slots' : 'text';
  const template = set.isText
    ? null
    : ({ stopTokenIds, form, name: meta?.template ?? 'tokens' } as const);
  const checks = new TokenChecks({
    tokenizer,
    template,
    modelVocabSize: Math.min(model.vocabSize, model.embeddingRows ?? model.vocabSize),
    padTokenId: model.padTokenId,
  });
  const cutoffLength = meta?.cutoffLength ?? options.cutoffLength;
  const account = new Account(checks, cutoffLength);
  const first: TokenizedSample[] = [];
  for await (const sample of set.samples()) {
    throwIfAborted(signal);
    if (first.length < BEGINNING_SAMPLES && !account.hasBegun) first.push(copyOf(sample));
    else account.begin(first).add(sample);
  }
  account.begin(first);
  const findings = sortFindings([
    ...checkModel(model, tokenizer, meta === null ? null : template),
    ...checks.finish(),
    ...account.repeats.finish(() => false),
  ]);
  return { findings, summary: account.summarize(), faults: [] };
}

/** Adds samples up; the first ones wait until it is known what all begin with. */
class Account {
  readonly repeats = new RepeatChecks();
  readonly #checks: TokenChecks;
  readonly #cutoffLength: number;
  readonly #lengths = new LengthTally();
  readonly #counts = { samples: 0, tokens: 0, learnedTokens: 0 };
  #skipped = 0;
  hasBegun = false;

  constructor(checks: TokenChecks, cutoffLength: number) {
    this.#checks = checks;
    this.#cutoffLength = cutoffLength;
  }

  begin(first: readonly TokenizedSample[]): this {
    if (this.hasBegun) return this;
    this.hasBegun = true;
    this.#skipped = sharedBeginning(first);
    for (const sample of first) this.add(sample);
    return this;
  }

  add(sample: TokenizedSample): void {
    this.#checks.check(sample, sample.ids.length >= this.#cutoffLength);
    this.repeats.add(digestSample(sample, this.#skipped), sample);
    this.#lengths.add(sample.ids.length);
    this.#counts.samples++;
    this.#counts.tokens += sample.ids.length;
    this.#counts.learnedTokens += countLearned(sample.learned);
  }

  summarize(): DataSummary {
    const lengths = this.#lengths.summarize(this.#cutoffLength);
    return { ...this.#counts, rows: this.#counts.samples, heldOut: 0, lengths };
  }
}

interface OpenedTokens {
  readonly isText: boolean;
  /** Null for sets that another tool wrote. */
  readonly meta: TokenSetDescription['meta'] | null;
  samples(): AsyncGenerator<TokenizedSample, void, undefined>;
}

/** True when a path names prepared tokens: a token set of ours, or a prefix or directory of indexed data sets. */
export async function isTokenPath(path: string): Promise<boolean> {
  try {
    await locateTokenSet(path);
    return true;
  } catch (error) {
    if (!(error instanceof TuneyardError)) throw error;
    // Damaged or ambiguous ones are tokens too; opening them says what is wrong.
    return error.code !== DATA_ERRORS.DATA_TOKEN_FILES_NOT_FOUND;
  }
}

async function openTokens(path: string): Promise<OpenedTokens> {
  const { files, description } = await locateTokenSet(path);
  const meta = description?.meta ?? null;
  const isPadded = meta === null || (meta.packing ?? null) !== null;
  const origin = originFinder(description, files.prefix);
  async function* samples(): AsyncGenerator<TokenizedSample, void, undefined> {
    if (files.kind === 'pretrain') {
      for (const file of files.files) {
        const reader = await TokenSetReader.open({ ...files, files: [file] });
        const texts = textSamples(reader, { origin, maxLength: Number.POSITIVE_INFINITY });
        yield* closing(reader, texts);
      }
      return;
    }
    for (const fields of fieldsOf(files.kind)) {
      const reader = await TokenSetReader.open(files);
      yield* closing(reader, instructionSamples(reader, { origin, isPadded, fields }));
    }
  }
  return { isText: files.kind === 'pretrain', meta, samples };
}

/** Samples of packed rows one by one; the reader is closed at the end, also when reading stops early. */
async function* closing(
  reader: TokenSetReader,
  rows: AsyncGenerator<StoredSample, void, undefined>,
): AsyncGenerator<TokenizedSample, void, undefined> {
  try {
    for await (const row of rows) yield* separateSegments(row);
  } finally {
    await reader.close();
  }
}

function fieldsOf(kind: string): readonly { readonly ids: string; readonly labels: string }[] {
  if (kind !== 'pairwise') return [{ ids: 'input_ids', labels: 'labels' }];
  return ['chosen', 'rejected'].map((side) => ({
    ids: `${side}_input_ids`,
    labels: `${side}_labels`,
  }));
}

function originFinder(
  description: TokenSetDescription | null,
  prefix: string,
): (sequence: number) => { readonly row: number; readonly source: string } {
  const origins = description?.origins ?? null;
  if (description === null || origins === null) {
    return (sequence) => ({ row: sequence + 1, source: basename(prefix) });
  }
  return (sequence) => ({
    row: origins.rows[sequence] ?? 0,
    source: description.sources[origins.sources[sequence] ?? 0] ?? '',
  });
}

/** Readers reuse their buffers. */
function copyOf(sample: TokenizedSample): TokenizedSample {
  const { ids, learned, labels, row, source } = sample;
  const copy = { ids: ids.slice(), learned: learned.slice(), row, source };
  return labels === undefined ? copy : { ...copy, labels: labels.slice() };
}

function knownStops({ tokenizer, model }: ExamineTokensOptions): number[] {
  const declared: unknown = model.generationConfig?.['eos_token_id'];
  const list: readonly unknown[] = Array.isArray(declared) ? declared : [declared];
  const ids = [tokenizer.eosTokenId, ...model.eosTokenIds, ...list];
  return [...new Set(ids.filter((id): id is number => typeof id === 'number'))];
}

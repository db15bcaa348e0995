/**
 * The data doctor for data that are tokens already: a token set of ours, or the indexed data sets of ModelLink and
 * MindSpeed-LLM. Only what tokens and labels tell can be checked.
 */
import { access } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { IndexedDatasetReader } from '@tuneyard/formats';
import { countLearned, IGNORE_LABEL, type TokenizedSample } from '../encode/samples.js';
import { toTokenizedSample } from '../encode/slot-sample.js';
import { DATA_ERRORS } from '../errors.js';
import type { RowOrigin } from '../handlers/conversation.js';
import { findTokenFiles, type TokenFileSet } from '../token-set/token-files.js';
import { openTokenSet } from '../token-set/token-set.js';
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
  /** Ids that may end an answer, besides those that the set or the model names. */
  readonly stopTokenIds?: readonly number[];
  readonly cutoffLength: number;
  readonly signal?: AbortSignal;
}

const TOKENS_FILE = 'tokens.safetensors';
/** Samples looked at to find out what all of them begin with. */
const BEGINNING_SAMPLES = 1000;

/**
 * Examines tokens. Rows count from 1 in the order of the file.
 *
 * Throws: `DATA_BAD_TOKEN_SET`, `DATA_TOKEN_FILES_…`, `INDEXED_DATASET_…`, `CANCELLED`.
 */
export async function examineTokens(options: ExamineTokensOptions): Promise<Diagnosis> {
  const { path, tokenizer, model, cutoffLength, signal } = options;
  const set = await openAny(path);
  const stops = set.stopTokenIds ?? knownStops(options);
  const template = set.isText ? null : { stopTokenIds: stops, form: set.form, name: 'tokens' };
  const checks = new TokenChecks({
    tokenizer,
    template,
    modelVocabSize: Math.min(model.vocabSize, model.embeddingRows ?? model.vocabSize),
    padTokenId: model.padTokenId,
  });
  const account = new Account(checks, set.isCut);
  const first: TokenizedSample[] = [];
  for await (const sample of set.samples()) {
    throwIfAborted(signal);
    if (first.length < BEGINNING_SAMPLES && !account.hasBegun) first.push(sample);
    else account.begin(first).add(sample);
  }
  account.begin(first);
  const findings = sortFindings([
    ...checkModel(model, tokenizer, set.stopTokenIds === undefined ? null : template),
    ...checks.finish(),
    ...account.repeats.finish(() => false),
  ]);
  return { findings, summary: account.summarize(cutoffLength), faults: [] };
}

/** Adds samples up; the first ones wait until it is known what all begin with. */
class Account {
  readonly repeats = new RepeatChecks();
  readonly #checks: TokenChecks;
  readonly #isCut: (origin: RowOrigin) => boolean;
  readonly #lengths = new LengthTally();
  readonly #counts = { samples: 0, tokens: 0, learnedTokens: 0 };
  #skipped = 0;
  hasBegun = false;

  constructor(checks: TokenChecks, isCut: (origin: RowOrigin) => boolean) {
    this.#checks = checks;
    this.#isCut = isCut;
  }

  begin(first: readonly TokenizedSample[]): this {
    if (this.hasBegun) return this;
    this.hasBegun = true;
    this.#skipped = sharedBeginning(first);
    for (const sample of first) this.add(sample);
    return this;
  }

  add(sample: TokenizedSample): void {
    this.#checks.check(sample, this.#isCut(sample));
    this.repeats.add(digestSample(sample, this.#skipped), sample);
    this.#lengths.add(sample.ids.length);
    this.#counts.samples++;
    this.#counts.tokens += sample.ids.length;
    this.#counts.learnedTokens += countLearned(sample.learned);
  }

  summarize(cutoffLength: number): DataSummary {
    const lengths = this.#lengths.summarize(cutoffLength);
    return { ...this.#counts, rows: this.#counts.samples, heldOut: 0, lengths };
  }
}

interface OpenedTokens {
  readonly isText: boolean;
  /** `slots`: a BOS may be missing, as in much of what other tools write. */
  readonly form: 'text' | 'slots';
  /** As the set names them. */
  readonly stopTokenIds?: readonly number[];
  /** True for rows that are known to have been cut to the cutoff. */
  isCut(origin: RowOrigin): boolean;
  samples(): AsyncIterable<TokenizedSample> | Iterable<TokenizedSample>;
}

/** True when a path names prepared tokens: a token set of ours, or a prefix or directory of indexed data sets. */
export async function isTokenPath(path: string): Promise<boolean> {
  if (await isThere(join(path, TOKENS_FILE))) return true;
  try {
    await findTokenFiles(path);
    return true;
  } catch (error) {
    if (!(error instanceof TuneyardError)) throw error;
    // Damaged or ambiguous ones are tokens too; opening them says what is wrong.
    return error.code !== DATA_ERRORS.DATA_TOKEN_FILES_NOT_FOUND;
  }
}

async function openAny(path: string): Promise<OpenedTokens> {
  if (await isThere(join(path, TOKENS_FILE))) {
    const { samples, meta, report } = await openTokenSet(path);
    const cut = new Set(report.truncated.rows.map(({ source, row }) => `${row}:${source}`));
    return {
      isText: meta.template === null,
      form: 'text',
      stopTokenIds: meta.stopTokenIds,
      isCut: ({ source, row }) => cut.has(`${row}:${source}`),
      samples: () => samples,
    };
  }
  const files = await findTokenFiles(path);
  return {
    isText: files.kind === 'pretrain',
    form: 'slots',
    isCut: () => false,
    samples: () => readSamples(files),
  };
}

/** Reads the parallel fields side by side, one sequence of each at a time. */
async function* readSamples(set: TokenFileSet): AsyncGenerator<TokenizedSample, void, undefined> {
  const readers = new Map<string, IndexedDatasetReader>();
  try {
    for (const { field, prefix } of set.files) {
      readers.set(field, await IndexedDatasetReader.open(prefix));
    }
    for (const [idsField, labelsField] of pairsOf(set)) {
      yield* readPair(set, readers.get(idsField), readers.get(labelsField ?? ''));
    }
  } finally {
    for (const reader of readers.values()) await reader.close();
  }
}

/** Which fields hold ids and which their labels. */
function pairsOf({ kind, files }: TokenFileSet): readonly (readonly [string, string | null])[] {
  if (kind === 'pretrain') return files.map(({ field }) => [field, null] as const);
  if (kind !== 'pairwise') return [['input_ids', 'labels']];
  return [
    ['chosen_input_ids', 'chosen_labels'],
    ['rejected_input_ids', 'rejected_labels'],
  ];
}

async function* readPair(
  set: TokenFileSet,
  ids: IndexedDatasetReader | undefined,
  labels: IndexedDatasetReader | undefined,
): AsyncGenerator<TokenizedSample, void, undefined> {
  if (ids === undefined) return;
  if (labels !== undefined && labels.sequenceCount !== ids.sequenceCount) {
    throw unequal(set, `${ids.sequenceCount} sequences of ids, ${labels.sequenceCount} of labels`);
  }
  const source = basename(ids.prefix);
  const others = labels?.sequences();
  let row = 0;
  for await (const sequence of ids.sequences()) {
    row++;
    const other = (await others?.next())?.value;
    if (other !== undefined && other.length !== sequence.length) {
      throw unequal(set, `sequence ${row} has ${sequence.length} ids, ${other.length} labels`);
    }
    if (sequence.length === 0) continue;
    const all = { ids: sequence, labels: other ?? sequence };
    yield withoutPadding(toTokenizedSample(all, { source, row }));
  }
}

/** Masked equal tokens at the end, all but the first of them, are padding to a fixed length. */
function withoutPadding(sample: TokenizedSample): TokenizedSample {
  const { ids, learned, labels } = sample;
  const last = ids.at(-1);
  let end = ids.length;
  while (end > 1 && ids[end - 1] === last && ids[end - 2] === last && learned[end - 1] === 0) end--;
  if (end === ids.length) return sample;
  const cut = { ...sample, ids: ids.subarray(0, end), learned: learned.subarray(0, end) };
  return labels === undefined ? cut : { ...cut, labels: labels.subarray(0, end) };
}

function knownStops({ tokenizer, model, stopTokenIds = [] }: ExamineTokensOptions): number[] {
  const declared: unknown = model.generationConfig?.['eos_token_id'];
  const list: readonly unknown[] = Array.isArray(declared) ? declared : [declared];
  const ids = [tokenizer.eosTokenId, ...model.eosTokenIds, ...list, ...stopTokenIds];
  return [
    ...new Set(ids.filter((id): id is number => typeof id === 'number' && id !== IGNORE_LABEL)),
  ];
}

function unequal(set: TokenFileSet, what: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_TOKEN_SET, `${set.prefix}: ${what}`, {
    hint: 'Prepare the data again; the fields of a set belong together.',
  });
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    // Then it is not a token set of ours; what it is instead is found out by name.
    return false;
  }
}

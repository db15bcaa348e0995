/**
 * The data doctor: reads data sets once, as a stream, and says what would spoil a training on them.
 *
 * Memory is bounded by some 450 bytes per row and 128 MiB for comparing near repeats; texts and tokens are not kept.
 * The same data give the same findings in the same order.
 */
import { throwIfAborted } from '@tuneyard/core';
import { countLearned } from '../encode/samples.js';
import { splitSamples } from '../encode/split-samples.js';
import {
  isRejection,
  REJECT_BUCKETS,
  type Rejection,
  type RowOrigin,
} from '../handlers/conversation.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import { createMediaChecker, type MediaChecker } from '../media/media-checker.js';
import type { ChatTemplate } from '../templates/index.js';
import { takeBucket } from './check-dataset.js';
import { type EncodedRow, encodeRow, type OverlongRow, type RowEncoding } from './encode-row.js';
import { type Finding, FindingLog, generalFinding, percent, sortFindings } from './finding.js';
import { type LengthSummary, LengthTally } from './length-tally.js';
import { checkModel, type ModelFacts } from './model-checks.js';
import { type ParsedRow, RowParser } from './parse-row.js';
import { PreferenceChecks } from './preference-checks.js';
import { streamRecords } from './record-stream.js';
import { RepeatChecks } from './repeats/check-repeats.js';
import {
  digestConversation,
  digestDocument,
  digestPair,
  type RowDigest,
} from './repeats/row-digest.js';
import { checkTemplate } from './template-checks.js';
import { TextChecks } from './text/text-checks.js';
import { TokenChecks } from './token-checks.js';

/** What {@link examineData} looks at. */
export interface ExamineOptions {
  readonly train: readonly DatasetSpec[];
  /** Held-out data. Default: none. */
  readonly validation?: readonly DatasetSpec[];
  /** Hold out a share or number of the training samples, as training would with this seed. */
  readonly split?: { readonly valSize: number; readonly seed: number };
  readonly encoding: RowEncoding;
  readonly model: ModelFacts;
  /** Where the model is, the template's name as it was given, and the model's own chat template. */
  readonly template: {
    readonly name: string;
    readonly modelPath: string;
    readonly own: ChatTemplate | null;
  };
  /** What relative paths of media are relative to. */
  readonly mediaDir: string;
  readonly signal?: AbortSignal;
  /** Called about every thousand records. */
  readonly onProgress?: (rows: number) => void;
}

/** Numbers about the data as a whole. */
export interface DataSummary {
  /** Records read, good and bad, held-out ones included. */
  readonly rows: number;
  readonly samples: number;
  readonly heldOut: number;
  /** Of the samples, after cutting. */
  readonly tokens: number;
  readonly learnedTokens: number;
  /** Before cutting. */
  readonly lengths: LengthSummary;
}

/** A row of the training data that should not be trained on. */
export interface RowFault extends RowOrigin {
  /** Position of the data set in {@link ExamineOptions.train}. */
  readonly dataset: number;
  /** Position of the record in it, from 0. */
  readonly index: number;
  /** Code of the finding. */
  readonly code: string;
}

/** What the doctor found. */
export interface Diagnosis {
  /** The worst first. */
  readonly findings: readonly Finding[];
  readonly summary: DataSummary;
  /** Training rows that are repeated, left out, or have an error, in order. */
  readonly faults: readonly RowFault[];
}

/** Rows under which a data set is tiny, and under which it is small. */
const FEW_ROWS = 10;
const SMALL_ROWS = 100;

/**
 * Examines data sets.
 *
 * Throws: the reader's codes; `DATA_UNKNOWN_FORMAT`; `DATA_BAD_OPTION` when the split does not fit; `CANCELLED`.
 */
export async function examineData(options: ExamineOptions): Promise<Diagnosis> {
  const examination = new Examination(options);
  for (const [dataset, spec] of options.train.entries()) {
    await examination.read(spec, dataset);
  }
  examination.endTraining();
  for (const spec of options.validation ?? []) await examination.read(spec, null);
  return await examination.finish();
}

class Examination {
  readonly #options: ExamineOptions;
  readonly #log = new FindingLog();
  readonly #texts: TextChecks;
  readonly #tokens: TokenChecks;
  readonly #repeats = new RepeatChecks();
  readonly #lengths = new LengthTally();
  readonly #preferences = new PreferenceChecks();
  readonly #media: MediaChecker;
  readonly #faults: RowFault[] = [];
  readonly #counts = {
    rows: 0,
    samples: 0,
    tokens: 0,
    learned: 0,
    systemRows: 0,
    turnRows: 0,
    toolRows: 0,
  };
  readonly #guesses: string[] = [];
  #trainRows = 0;

  constructor(options: ExamineOptions) {
    const { encoding, model } = options;
    const modelVocabSize = Math.min(model.vocabSize, model.embeddingRows ?? model.vocabSize);
    const { template } = encoding;
    // A named template makes its stop words special tokens: texts that spell them become them.
    const tokenizer = template?.form === 'slots' ? template.tokenizer : encoding.tokenizer;
    this.#options = options;
    this.#texts = new TextChecks(tokenizer);
    this.#tokens = new TokenChecks({
      tokenizer,
      template,
      modelVocabSize,
      padTokenId: model.padTokenId,
    });
    const { mediaDir, signal } = options;
    this.#media = createMediaChecker({ mediaDir, ...(signal === undefined ? {} : { signal }) });
  }

  /** Reads a data set; `dataset` is null for held-out data. */
  async read(spec: DatasetSpec, dataset: number | null): Promise<void> {
    const { signal, onProgress, encoding } = this.#options;
    const parser = new RowParser(spec, encoding.template === null);
    for await (const { source, row, index, record } of streamRecords(spec, signal)) {
      throwIfAborted(signal);
      if (++this.#counts.rows % 1000 === 0) onProgress?.(this.#counts.rows);
      const origin = { source, row };
      const parsed = isRejection(record) ? record : parser.parse(record, origin);
      const code = isRejection(parsed)
        ? this.#reject(origin, parsed)
        : await this.#examine(parsed, origin);
      if (code !== undefined && dataset !== null) {
        this.#faults.push({ ...origin, dataset, index, code });
      }
    }
    if (parser.guess !== null) this.#guesses.push(`records of ${spec.name} hold ${parser.guess}`);
  }

  endTraining(): void {
    this.#trainRows = this.#repeats.size;
  }

  async finish(): Promise<Diagnosis> {
    const { encoding } = this.#options;
    const held = this.#heldOut();
    const lengths = this.#lengths.summarize(encoding.cutoffLength);
    const { rows, samples, tokens, learned } = this.#counts;
    const heldOut = this.#repeats.size - this.#trainRows + held.size;
    const findings = sortFindings([
      ...(await this.#modelFindings()),
      ...this.#tokens.finish(),
      ...this.#rowFindings(lengths),
      ...this.#repeats.finish((index) => index >= this.#trainRows || held.has(index)),
      ...this.#texts.finish(),
      ...this.#preferences.finish(),
      ...this.#guesses.map((what) => generalFinding('read_as_preferences', { what })),
      ...sizeFindings(this.#trainRows - held.size),
    ]);
    const summary = { rows, samples, heldOut, tokens, learnedTokens: learned, lengths };
    return { findings, summary, faults: this.#faults };
  }

  /** Looks at a row; returns the code of what speaks against training on it. */
  async #examine(parsed: ParsedRow, origin: RowOrigin): Promise<string | undefined> {
    const digest = this.#look(parsed, origin);
    if (parsed.kind !== 'text') {
      const media = await this.#media.check(parsed.conversation);
      if (isRejection(media)) return this.#reject(origin, media);
    }
    const encoded = encodeRow(parsed, this.#options.encoding);
    if (isRejection(encoded)) return this.#reject(origin, encoded);
    this.#lengths.add(encoded.fullLength);
    if ('overlong' in encoded) return this.#rejectLong(origin, encoded);
    const errors = this.#count(encoded, origin);
    const earlier = this.#repeats.add(digest, origin);
    const isSame =
      parsed.kind === 'pair' && parsed.pair.chosen.content === parsed.pair.rejected.content;
    if (isSame) return 'preference_equal';
    return errors[0] ?? (earlier === undefined ? undefined : 'exact_duplicate');
  }

  /** What can be said of the text alone. */
  #look(parsed: ParsedRow, origin: RowOrigin): RowDigest {
    if (parsed.kind === 'text') {
      this.#texts.addDocument(parsed.document);
      return digestDocument(parsed.document);
    }
    const { conversation } = parsed;
    const { messages } = conversation;
    this.#texts.addConversation(conversation);
    if (messages[0]?.role === 'system') this.#counts.systemRows++;
    if (conversation.tools !== undefined) this.#counts.toolRows++;
    if (messages.filter(({ role }) => role === 'assistant').length > 1) this.#counts.turnRows++;
    if (parsed.kind === 'dialogue') {
      if (parsed.liked === undefined) return digestConversation(conversation);
      this.#preferences.addVerdict(parsed.liked);
      return digestPair(conversation, String(parsed.liked));
    }
    const { chosen, rejected } = parsed.pair;
    this.#preferences.addPair(origin, chosen.content, rejected.content);
    return digestPair(conversation, rejected.content);
  }

  #count(encoded: EncodedRow, origin: RowOrigin): readonly string[] {
    if (encoded.isCut) this.#log.add('truncated', origin, `${encoded.fullLength} tokens`);
    let errors: readonly string[] = [];
    for (const sample of encoded.samples) {
      this.#counts.samples++;
      this.#counts.tokens += sample.ids.length;
      this.#counts.learned += countLearned(sample.learned);
      const found = this.#tokens.check(sample, encoded.isCut);
      if (errors.length === 0) errors = found;
    }
    return errors;
  }

  #reject(origin: RowOrigin, { bucket, reason }: Rejection): string {
    this.#log.add(bucket, origin, reason);
    return bucket;
  }

  #rejectLong(origin: RowOrigin, { overlong, fullLength }: OverlongRow): string {
    this.#log.add(overlong, origin, `${fullLength} tokens`);
    return overlong;
  }

  #heldOut(): ReadonlySet<number> {
    const { split } = this.#options;
    if (split === undefined) return new Set();
    const order = Array.from({ length: this.#trainRows }, (_, index) => index);
    return new Set(splitSamples(order, split.valSize, split.seed).validation);
  }

  async #modelFindings(): Promise<Finding[]> {
    const { model, encoding, template: where } = this.#options;
    const { tokenizer, template } = encoding;
    const findings = checkModel(model, tokenizer, template);
    if (template === null) return findings;
    const { systemRows, turnRows, toolRows } = this.#counts;
    const data = { systemRows, multiTurnRows: turnRows, toolRows };
    const about = await checkTemplate({ ...where, template, tokenizer, data });
    return [...findings, ...about];
  }

  #rowFindings(lengths: LengthSummary): Finding[] {
    const { overlength, cutoffLength } = this.#options.encoding;
    const advice = cutoffAdvice(lengths, cutoffLength);
    const log = this.#log;
    const buckets = REJECT_BUCKETS.filter((bucket) => bucket !== 'over_length');
    const tooLong = log.takeAs('over_length', {
      severity: overlength === 'error' ? 'error' : 'warning',
      what: `${overlength === 'error' ? 'the run would stop at them' : 'left out'}: longer than cutoff_len ${cutoffLength}`,
      fix: advice,
    });
    return [
      ...buckets.flatMap((bucket) => takeBucket(log, bucket)),
      ...tooLong,
      ...log.take('answers_cut_away', { fix: advice }),
      ...log.take('truncated', { what: `cut to cutoff_len ${cutoffLength}`, fix: advice }),
    ];
  }
}

/** What another cutoff would keep, and what it would cost. */
function cutoffAdvice(lengths: LengthSummary, cutoff: number): string {
  const { recommendedCutoff, keptByRecommended, samples, longest } = lengths;
  if (recommendedCutoff <= cutoff) {
    return `cutoff_len ${cutoff} keeps ${percent(1 - lengths.overCutoff / samples)} of the rows whole; the longest needs ${longest}. Split long rows, or leave them out with overlength: drop.`;
  }
  const cost = (recommendedCutoff / cutoff).toFixed(1);
  return `cutoff_len ${recommendedCutoff} keeps ${percent(keptByRecommended / samples)} of the rows whole and needs up to ${cost} times the memory for activations; the longest row needs ${longest}.`;
}

function sizeFindings(rows: number): Finding[] {
  if (rows === 0) {
    const what = 'no row gives a sample to train on; the other findings say why';
    return [generalFinding('nothing_to_train', { what })];
  }
  if (rows < FEW_ROWS) {
    const what = `only ${rows} ${rows === 1 ? 'sample' : 'samples'} to train on`;
    return [generalFinding('few_rows', { what })];
  }
  if (rows >= SMALL_ROWS) return [];
  return [generalFinding('small_set', { what: `${rows} samples to train on are few` })];
}

/**
 * Looks for what makes a training run fail in silence, on samples that are prepared already: labels that teach
 * nothing, answers that never end, rows that are counted twice, held-out rows that were trained on.
 *
 * Pure: takes prepared samples and their report, gives findings. An `error` is a run not worth starting.
 */
import type { DataReport } from '../encode/data-report.js';
import type { PromptTemplate } from '../encode/prompt-template.js';
import type { TokenizedSample } from '../encode/samples.js';
import type { RejectBucket, RowOrigin } from '../handlers/conversation.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { DROP_FIXES } from './drop-fixes.js';
import { type Finding, FindingLog, sortFindings } from './finding.js';
import { RepeatChecks } from './repeats/check-repeats.js';
import { digestSample, sharedBeginning } from './repeats/row-digest.js';
import { TokenChecks, type TokenFacts } from './token-checks.js';

/** What {@link checkBeforeTraining} holds samples against. */
export type TrainingFacts = TokenFacts;

/** Prepared samples. */
export interface PreparedSet {
  readonly samples: readonly TokenizedSample[];
  /** Rows that are known to have been cut: their answers may lack an end. Reports list the first of them only. */
  readonly truncated?: readonly RowOrigin[];
  /** Samples of so many tokens count as cut too. */
  readonly cutoffLength?: number;
}

/**
 * The cheap part, for every run: BOS, stop token, masks, padding, ids. One pass over the tokens, no memory per row.
 * A run whose findings have severity `error` should not start unless the user insists.
 */
export function checkBeforeTraining(set: PreparedSet, facts: TrainingFacts): Finding[] {
  const checks = new TokenChecks(facts);
  const cut = new Set((set.truncated ?? []).map(originKey));
  const { cutoffLength = Number.POSITIVE_INFINITY } = set;
  for (const sample of set.samples) {
    checks.check(sample, sample.ids.length >= cutoffLength || cut.has(originKey(sample)));
  }
  return sortFindings(checks.finish());
}

/** What {@link checkDataset} looks at. */
export interface DatasetCheck {
  readonly tokenizer: Tokenizer;
  /** Null for raw text. */
  readonly template: Pick<PromptTemplate, 'stopTokenIds' | 'form'> | null;
  /** Rows of the model's embedding. */
  readonly modelVocabSize: number;
  readonly padTokenId?: number | null;
  readonly cutoffLength?: number;
  readonly train: readonly TokenizedSample[];
  readonly validation: readonly TokenizedSample[];
  /** Absent where nothing is known of the rows that were left out. */
  readonly report?: DataReport;
}

/** Checks prepared data, repeats and leaks included; the worst findings come first. */
export function checkDataset(check: DatasetCheck): Finding[] {
  const samples = [...check.train, ...check.validation];
  const truncated = check.report?.truncated.rows ?? [];
  const repeats = new RepeatChecks();
  const skipped = sharedBeginning(samples);
  for (const sample of samples) repeats.add(digestSample(sample, skipped), sample);
  return sortFindings([
    ...checkBeforeTraining({ samples, truncated, ...cutoffOf(check) }, check),
    ...(check.report === undefined ? [] : reportFindings(check.report)),
    ...repeats.finish((index) => index >= check.train.length),
  ]);
}

function cutoffOf({ cutoffLength }: DatasetCheck): { readonly cutoffLength?: number } {
  return cutoffLength === undefined ? {} : { cutoffLength };
}

function reportFindings(report: DataReport): Finding[] {
  const log = new FindingLog();
  const buckets = Object.entries(report.dropped);
  for (const [bucket, { rows, count }] of buckets) {
    for (const row of rows) log.add(bucket, row, row.reason);
    log.raise(bucket, count);
  }
  for (const row of report.truncated.rows) {
    log.add('truncated', row, `${row.tokensBefore} tokens`);
  }
  log.raise('truncated', report.truncated.count);
  return [
    ...buckets.flatMap(([bucket]) => takeBucket(log, bucket as RejectBucket)),
    ...log.take('truncated'),
  ];
}

/** The finding of rows that were left out for one reason. */
export function takeBucket(log: FindingLog, bucket: RejectBucket): Finding[] {
  const what = `left out: ${BUCKET_WORDS[bucket] ?? bucket.replaceAll('_', ' ')}`;
  const severity = bucket.startsWith('media_') ? 'error' : 'warning';
  return log.takeAs(bucket, { severity, what, fix: DROP_FIXES[bucket] });
}

/** Where the name of a bucket alone would be short. */
const BUCKET_WORDS: { readonly [bucket in RejectBucket]?: string } = {
  malformed_json: 'not JSON',
  no_answer: 'the dialogue does not end with an answer',
  empty_answer: 'an answer is empty',
  empty_text: 'the text is empty',
  bad_tools: 'tools or calls cannot be written',
  unsupported_content: 'content other than text',
  template_refused: 'the template refuses the dialogue',
  nothing_learned: 'no token would be learned',
  over_length: 'longer than cutoff_len',
  duplicate: 'the same tokens as an earlier row',
  media_count_mismatch: 'placeholders and listed files differ in number',
  media_not_found: 'a listed file is not there',
  media_unreadable: 'a listed file cannot be read',
};

function originKey({ source, row }: RowOrigin): string {
  return `${row}:${source}`;
}

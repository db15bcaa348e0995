/**
 * Looks for what makes a training run fail in silence: labels that teach nothing, answers that never end, rows
 * that are counted twice, held-out rows that were trained on.
 *
 * Pure: takes prepared samples and their report, gives findings. An `error` is a run not worth starting.
 */
import type { DataReport } from '../encode/data-report.js';
import type { PromptTemplate } from '../encode/prompt-template.js';
import type { TokenizedSample } from '../encode/samples.js';
import type { RowOrigin } from '../handlers/conversation.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { checkRepeats } from './check-repeats.js';
import { DROP_FIXES } from './drop-fixes.js';
import { type Finding, findingOf } from './finding.js';

/** What {@link checkDataset} looks at. */
export interface DatasetCheck {
  readonly tokenizer: Tokenizer;
  /** Null for raw text. */
  readonly template: PromptTemplate | null;
  /** Rows of the model's embedding. */
  readonly modelVocabSize: number;
  readonly train: readonly TokenizedSample[];
  readonly validation: readonly TokenizedSample[];
  readonly report: DataReport;
}

/** Checks prepared data; the worst findings come first. */
export function checkDataset(check: DatasetCheck): Finding[] {
  const samples = [...check.train, ...check.validation];
  const findings = [
    ...checkVocabulary(check, samples),
    ...checkBos(check, samples),
    ...checkLabels(check, samples),
    ...checkDropped(check.report),
    ...checkRepeats(check.train, check.validation),
  ];
  const rank = { error: 0, warning: 1, info: 2 } as const;
  return findings.sort((a, b) => rank[a.severity] - rank[b.severity]);
}

function checkVocabulary(check: DatasetCheck, samples: readonly TokenizedSample[]): Finding[] {
  const { tokenizer, modelVocabSize } = check;
  const unknown = tokenizer.unkTokenId;
  const outside = samples.filter((s) => s.ids.some((id) => id < 0 || id >= modelVocabSize));
  const unknowns = samples.filter((s) => unknown !== null && s.ids.includes(unknown));
  return [
    ...findingOf(outside, {
      severity: 'error',
      code: 'id_outside_vocab',
      what: `an id is not below the model's ${modelVocabSize}`,
      fix: "Use the model's own tokenizer, or resize the model's embedding.",
    }),
    ...findingOf(unknowns, {
      severity: 'warning',
      code: 'unknown_token',
      what: 'the tokenizer has no token for some of the text',
      fix: 'Check the language and encoding of these rows.',
    }),
  ];
}

function checkBos(check: DatasetCheck, samples: readonly TokenizedSample[]): Finding[] {
  const { tokenizer } = check;
  const bos = tokenizer.bosTokenId;
  if (bos === null) return [];
  const doubled = samples.filter((s) => s.ids[0] === bos && s.ids[1] === bos);
  // Raw text is cut into pieces, of which only the first has a BOS.
  const needsBos = tokenizer.addBos && check.template !== null;
  const missing = samples.filter((s) => needsBos && s.ids[0] !== bos);
  return [
    ...findingOf(doubled, {
      severity: 'error',
      code: 'double_bos',
      what: 'two BOS tokens at the beginning',
      fix: 'Remove BOS from the text or the template: the tokenizer adds it.',
    }),
    ...findingOf(missing, {
      severity: 'error',
      code: 'missing_bos',
      what: 'no BOS at the beginning, but the tokenizer adds one when the model is used',
      fix: 'Prepare the data again with this tokenizer.',
    }),
  ];
}

function checkLabels(check: DatasetCheck, samples: readonly TokenizedSample[]): Finding[] {
  const masked = samples.filter((s) => !s.learned.includes(1));
  const findings = findingOf(masked, {
    severity: 'error',
    code: 'all_masked',
    what: 'no token is learned',
    fix: 'Raise cutoff_len, or remove the rows.',
  });
  const stops = check.template?.stopTokenIds;
  if (stops === undefined) return findings;
  const cut = new Set(check.report.truncated.rows.map(originKey));
  const endless = samples.filter((s) => {
    const last = s.ids[s.learned.lastIndexOf(1)];
    return last !== undefined && !stops.includes(last) && s.learned.includes(1);
  });
  const whole = endless.filter((s) => !cut.has(originKey(s)));
  const names = stops.map((id) => check.tokenizer.idToToken(id) ?? String(id)).join(', ');
  const expected = names === '' ? 'the template names none' : `expected ${names}`;
  return [
    ...findings,
    ...findingOf(whole, {
      severity: 'error',
      code: 'stop_not_learned',
      what: `the answer ends without a learned stop token (${expected}); the model would not stop`,
      fix: 'Use a template whose answers end with a token, such as template: plain.',
    }),
    ...findingOf(
      endless.filter((s) => cut.has(originKey(s))),
      {
        severity: 'warning',
        code: 'answer_cut',
        what: 'the answer was cut before its stop token',
        fix: 'Raise cutoff_len, or set overlength: drop.',
      },
    ),
  ];
}

function checkDropped(report: DataReport): Finding[] {
  const dropped = Object.entries(report.dropped).flatMap(([bucket, { rows }]) =>
    findingOf(rows, {
      severity: 'warning',
      code: bucket,
      what: `left out; first: ${rows[0]?.reason ?? ''}`,
      fix: DROP_FIXES[bucket as keyof typeof DROP_FIXES],
    }),
  );
  const truncated = findingOf(report.truncated.rows, {
    severity: 'warning',
    code: 'truncated',
    what: `cut to fit; the first from ${report.truncated.rows[0]?.tokensBefore ?? 0} tokens`,
    fix: 'Raise cutoff_len to keep them whole, or set overlength: drop to leave them out.',
  });
  return [...dropped, ...truncated];
}

function originKey({ source, row }: RowOrigin): string {
  return `${row}:${source}`;
}

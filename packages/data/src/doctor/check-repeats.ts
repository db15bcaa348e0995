/** Rows that repeat others: within the training data, and from it into the held-out data. */
import { createHash } from 'node:crypto';
import type { TokenizedSample } from '../encode/samples.js';
import { type Finding, findingOf } from './finding.js';
import { NearDuplicateIndex } from './near-duplicates.js';

/** Least similarity at which two rows count as nearly the same. */
const NEAR_SIMILARITY = 0.9;
/** Training rows indexed for near repeats; about 50 µs each. */
const NEAR_ROWS_MAX = 50_000;

/** Checks exact and near repeats and leaks. */
export function checkRepeats(
  train: readonly TokenizedSample[],
  validation: readonly TokenizedSample[],
): Finding[] {
  const whole = new Set<string>();
  const prompts = new Set<string>();
  const near = new NearDuplicateIndex<TokenizedSample>(NEAR_SIMILARITY);
  const exact: TokenizedSample[] = [];
  const similar: TokenizedSample[] = [];
  for (const [index, sample] of train.entries()) {
    const key = keyOf(sample.ids);
    prompts.add(keyOf(promptOf(sample)));
    if (whole.has(key)) exact.push(sample);
    else if (index < NEAR_ROWS_MAX) {
      if (near.find(sample.ids) !== undefined) similar.push(sample);
      near.add(sample.ids, sample);
    }
    whole.add(key);
  }
  const leaked = validation.filter((s) => whole.has(keyOf(s.ids)));
  const asked = validation.filter((s) => !whole.has(keyOf(s.ids)) && hasPrompt(s, prompts));
  const nearly = validation.filter(
    (s) => !whole.has(keyOf(s.ids)) && !hasPrompt(s, prompts) && near.find(s.ids) !== undefined,
  );
  return [...repeatFindings(exact, similar), ...leakFindings(leaked, asked, nearly)];
}

function repeatFindings(
  exact: readonly TokenizedSample[],
  similar: readonly TokenizedSample[],
): Finding[] {
  return [
    ...findingOf(exact, {
      severity: 'warning',
      code: 'exact_duplicate',
      what: 'the same tokens as an earlier row',
      fix: 'Remove them; a repeated row weighs double.',
    }),
    ...findingOf(similar, {
      severity: 'info',
      code: 'near_duplicate',
      what: `at least ${NEAR_SIMILARITY * 100} % the same as an earlier row`,
      fix: 'Look at a few; remove them if they say nothing new.',
    }),
  ];
}

function leakFindings(
  leaked: readonly TokenizedSample[],
  asked: readonly TokenizedSample[],
  nearly: readonly TokenizedSample[],
): Finding[] {
  return [
    ...findingOf(leaked, {
      severity: 'error',
      code: 'validation_leak',
      what: 'held out, but also trained on',
      fix: 'Remove them from one side; the held-out score would be too good.',
    }),
    ...findingOf(asked, {
      severity: 'warning',
      code: 'validation_prompt_leak',
      what: 'a held-out question is trained on with another answer',
      fix: 'Hold out questions, not answers.',
    }),
    ...findingOf(nearly, {
      severity: 'warning',
      code: 'validation_near_leak',
      what: `held out, but at least ${NEAR_SIMILARITY * 100} % the same as a training row`,
      fix: 'Check that the held-out rows are really new.',
    }),
  ];
}

/** The tokens before the first learned one; of raw text all. */
function promptOf(sample: TokenizedSample): Int32Array {
  const first = sample.learned.indexOf(1);
  return first <= 1 ? sample.ids : sample.ids.subarray(0, first);
}

function hasPrompt(sample: TokenizedSample, prompts: ReadonlySet<string>): boolean {
  return prompts.has(keyOf(promptOf(sample)));
}

function keyOf(ids: Int32Array): string {
  const bytes = new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  return createHash('sha256').update(bytes).digest('base64');
}

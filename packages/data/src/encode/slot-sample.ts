/**
 * Samples of named templates: which tokens are kept under a cutoff, and what each position is learned as.
 *
 * Source: LLaMA-Factory v0.9.3, `SupervisedDatasetProcessor._encode_data_example`. Checked against: it,
 * test/fixtures/llama-factory. One deviation: a question that is cut to nothing gets no label of its own, where the
 * original adds one that has no token and so shifts all that follow.
 */
import { IGNORE_LABEL, type TokenizedSample } from './samples.js';
import type { SlotPromptTemplate } from './slot-template.js';
import { shareLength, type TokenTurn } from './truncate.js';

/** What is learned of turns, and how many tokens they may have. */
export interface SlotSampleOptions {
  readonly cutoffLength: number;
  readonly maskHistory: boolean;
  readonly trainOnPrompt: boolean;
}

/** Ids and labels of one sample. */
export interface LabeledIds {
  readonly ids: Int32Array;
  /** What each position is learned as; {@link IGNORE_LABEL} where nothing is. */
  readonly labels: Int32Array;
}

/** A sample without its place, and whether any of its answers is learned. */
export interface SlotSample extends Pick<TokenizedSample, 'ids' | 'learned'> {
  /**
   * Present where labels are not simply the learned tokens. Position 0 may have one, as in the original, though it is
   * never predicted and counts as masked.
   */
  readonly labels?: Int32Array;
  readonly hasAnswer: boolean;
}

/** Tokens of turns that are not cut. */
export function slotLength(turns: readonly TokenTurn[], template: SlotPromptTemplate): number {
  const end = template.endTokenId === null ? 0 : 1;
  return turns.reduce((sum, turn) => sum + turn.source.length + turn.target.length, end);
}

/**
 * Puts turns together. Where history is masked the last turn is served first and earlier ones get what is left; elsewhere
 * the first is. Turns that find nothing left are dropped.
 */
export function buildSlotSample(
  turns: readonly TokenTurn[],
  { endTokenId }: SlotPromptTemplate,
  options: SlotSampleOptions,
): SlotSample {
  const kept = keepTurns(turns, endTokenId === null ? 0 : 1, options);
  const end = endTokenId === null ? 0 : 1;
  const length = kept.reduce((sum, turn) => sum + turn.source.length + turn.target.length, end);
  const ids = new Int32Array(length);
  const learned = new Uint8Array(length);
  const hasLabels = endTokenId !== null || options.trainOnPrompt;
  const labels = hasLabels ? new Int32Array(length).fill(IGNORE_LABEL) : undefined;
  let at = 0;
  const add = (part: Int32Array, isLearned: boolean) => {
    ids.set(part, at);
    if (isLearned) {
      learned.fill(1, at, at + part.length);
      labels?.set(part, at);
    }
    at += part.length;
  };
  for (const { source, target, isLearned } of kept) {
    const first = at;
    add(source, options.trainOnPrompt);
    if (endTokenId !== null && source.length > 0) {
      learned[first] = 1;
      labels?.fill(endTokenId, first, first + 1);
    }
    add(target, isLearned);
  }
  if (endTokenId !== null) add(Int32Array.of(endTokenId), true);
  learned.fill(0, 0, 1);
  const hasAnswer = kept.some((turn) => turn.isLearned && turn.target.length > 0);
  return labels === undefined ? { ids, learned, hasAnswer } : { ids, learned, labels, hasAnswer };
}

interface KeptTurn extends TokenTurn {
  readonly isLearned: boolean;
}

function keepTurns(
  turns: readonly TokenTurn[],
  reserved: number,
  { cutoffLength, maskHistory }: SlotSampleOptions,
): KeptTurn[] {
  const kept: KeptTurn[] = [];
  let used = reserved;
  for (const turn of maskHistory ? turns.toReversed() : turns) {
    if (used >= cutoffLength) break;
    const lengths = { source: turn.source.length, target: turn.target.length };
    const share = shareLength(lengths, cutoffLength - used);
    used += share.source + share.target;
    kept.push({
      source: firstIds(turn.source, share.source),
      target: firstIds(turn.target, share.target),
      isLearned: !maskHistory || kept.length === 0,
    });
  }
  return maskHistory ? kept.reverse() : kept;
}

function firstIds(ids: Int32Array, count: number): Int32Array {
  return count === ids.length ? ids : ids.subarray(0, count);
}

/**
 * The form that trainers read, from ids and labels. Labels are kept where they are not the tokens themselves.
 */
export function toTokenizedSample(
  { ids, labels }: LabeledIds,
  { source, row }: { readonly source: string; readonly row: number },
): TokenizedSample {
  const learned = Uint8Array.from(labels, (label, i) => (i > 0 && label !== IGNORE_LABEL ? 1 : 0));
  const isPlain = labels.every((label, i) => label === (learned[i] === 1 ? ids[i] : IGNORE_LABEL));
  return isPlain ? { ids, learned, row, source } : { ids, learned, labels, row, source };
}

/**
 * Samples of named templates: which tokens are kept under a cutoff, and what each position is learned as.
 *
 * Source: LLaMA-Factory v0.9.3, `SupervisedDatasetProcessor._encode_data_example`. Checked against: it,
 * test/fixtures/llama-factory. One deviation: a question that is cut to nothing gets no label of its own, where the
 * original adds one that has no token and so shifts all that follow.
 */
import { concatenateIds } from './concatenate-ids.js';
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

/** A sample before it has its place, and whether any of its answers is learned. */
export interface SlotSample extends LabeledIds {
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
  template: SlotPromptTemplate,
  options: SlotSampleOptions,
): SlotSample {
  const { endTokenId } = template;
  const parts: LabeledIds[] = [];
  let used = endTokenId === null ? 0 : 1;
  let hasAnswer = false;
  for (const [index, turn] of (options.maskHistory ? turns.toReversed() : turns).entries()) {
    if (used >= options.cutoffLength) break;
    const lengths = { source: turn.source.length, target: turn.target.length };
    const kept = shareLength(lengths, options.cutoffLength - used);
    used += kept.source + kept.target;
    const source = turn.source.subarray(0, kept.source);
    const target = turn.target.subarray(0, kept.target);
    const isLearned = !options.maskHistory || index === 0;
    hasAnswer ||= isLearned && kept.target > 0;
    parts.push({
      ids: concatenateIds([source, target]),
      labels: concatenateIds([
        sourceLabels(source, endTokenId, options.trainOnPrompt),
        isLearned ? target : masked(target.length),
      ]),
    });
  }
  if (options.maskHistory) parts.reverse();
  const end = endTokenId === null ? [] : [Int32Array.of(endTokenId)];
  return {
    ids: concatenateIds([...parts.map((part) => part.ids), ...end]),
    labels: concatenateIds([...parts.map((part) => part.labels), ...end]),
    hasAnswer,
  };
}

function masked(length: number): Int32Array {
  return new Int32Array(length).fill(IGNORE_LABEL);
}

function sourceLabels(
  source: Int32Array,
  endTokenId: number | null,
  trainOnPrompt: boolean,
): Int32Array {
  if (trainOnPrompt) return source;
  const labels = masked(source.length);
  if (endTokenId !== null && labels.length > 0) labels[0] = endTokenId;
  return labels;
}

/**
 * The form that trainers read. Labels are kept where they are not the tokens themselves; at position 0, which is never
 * predicted, they are kept as the original writes them but count as masked.
 */
export function toTokenizedSample(
  { ids, labels }: LabeledIds,
  origin: { readonly source: string; readonly row: number },
): TokenizedSample {
  const learned = Uint8Array.from(labels, (label, i) => (i > 0 && label !== IGNORE_LABEL ? 1 : 0));
  const isPlain = labels.every((label, i) => label === (learned[i] === 1 ? ids[i] : IGNORE_LABEL));
  const { source, row } = origin;
  return isPlain ? { ids, learned, row, source } : { ids, learned, labels, row, source };
}

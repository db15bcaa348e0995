/** Takes a sample apart into what is asked and what is to be answered. */
import type { TokenizedSample } from '@tuneyard/data';

/** A sample's last answer and everything before it. */
export interface AnswerSpan {
  readonly row: number;
  readonly prompt: Int32Array;
  readonly answer: Int32Array;
}

/** Splits at the last run of learned tokens; null when nothing is learned or nothing comes before it. */
export function splitAnswer(
  sample: Pick<TokenizedSample, 'ids' | 'learned' | 'row'>,
): AnswerSpan | null {
  const { ids, learned, row } = sample;
  const end = learned.lastIndexOf(1) + 1;
  if (end === 0) return null;
  const begin = learned.lastIndexOf(0, end - 1) + 1;
  // Position 0 is never learned: a run that starts at 1 has no prompt but the first token.
  if (begin <= 1) return null;
  return { row, prompt: ids.slice(0, begin), answer: ids.slice(begin, end) };
}

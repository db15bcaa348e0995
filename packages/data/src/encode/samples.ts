/** What the trainer eats. */

/** Label of a position that is not learned. */
export const IGNORE_LABEL = -100;

/** One tokenized sample. */
export interface TokenizedSample {
  readonly ids: Int32Array;
  /**
   * 1 where this position's token is a label, that is, predicted from the positions before it. Position 0
   * never is. Same length as `ids`.
   */
  readonly learned: Uint8Array;
  /**
   * Absent: every label is the token itself, which is the rule. Present where a template or handler wants another
   * token predicted (efficient_eos, MOSS); at masked positions {@link IGNORE_LABEL}. Same length as `ids`.
   */
  readonly labels?: Int32Array;
  /** 1-based row of the source. */
  readonly row: number;
  /** Name of the data set. */
  readonly source: string;
}

/** One row of a micro-batch: one or more samples end to end that must not see one another. */
export interface PackedRow {
  readonly ids: Int32Array;
  readonly learned: Uint8Array;
  /** As in {@link TokenizedSample}. */
  readonly labels?: Int32Array;
  /** Sum = `ids.length`; positions restart and attention stops at each boundary. */
  readonly segmentLengths: readonly number[];
}

/** Counts the labels of a mask. */
export function countLearned(learned: Uint8Array): number {
  let count = 0;
  for (const flag of learned) count += flag;
  return count;
}

/** Loops over ids and labels of the same length; `begin` and `end` lie within both. */
import { IGNORE_LABEL } from '../../encode/samples.js';

/**
 * Marks what is learned between `begin` and `end`, one sample whose first token never is. Returns whether a label is
 * another token than the one at its place.
 *
 * Mutates: `learned`.
 */
export function markLearned(
  ids: Int32Array,
  labels: Int32Array,
  { learned, begin, end }: { learned: Uint8Array; begin: number; end: number },
): boolean {
  let isOther = false;
  learned[begin] = 0;
  for (let i = begin + 1; i < end; i++) {
    const label = labels[i]!;
    const isLearned = label !== IGNORE_LABEL;
    learned[i] = isLearned ? 1 : 0;
    if (isLearned && label !== ids[i]) isOther = true;
  }
  return isOther;
}

/** Labels of a sample: where learned, its own or else the token itself. Mutates: `dst` from `at` on. */
export function fillLabels(
  sample: { ids: Int32Array; learned: Uint8Array; labels?: Int32Array | undefined },
  dst: Int32Array,
  at: number,
): void {
  const { ids, learned, labels = ids } = sample;
  for (let i = 0; i < ids.length; i++) {
    dst[at + i] = learned[i] === 1 ? labels[i]! : IGNORE_LABEL;
  }
}

/** Number of tokens up to and including the last one that is learned; 0 when none is. */
export function learnedEnd(learned: Uint8Array): number {
  let end = learned.length;
  while (end > 0 && learned[end - 1] === 0) end--;
  return end;
}

/** Largest value, −1 when there is none. */
export function maxOf(values: Int32Array): number {
  let max = -1;
  for (let i = 0; i < values.length; i++) {
    if (values[i]! > max) max = values[i]!;
  }
  return max;
}

/** Index of the first id outside 0 to `vocabSize - 1`, or −1. */
export function findForeignId(ids: Int32Array, vocabSize: number): number {
  for (let i = 0; i < ids.length; i++) {
    if (ids[i]! < 0 || ids[i]! >= vocabSize) return i;
  }
  return -1;
}

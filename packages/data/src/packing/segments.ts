/** Boundaries of the samples in a packed row, as trainers work them out from what is stored. */

/**
 * Lengths of the samples of a row whose attention mask numbers them (`--neat-pack`, `neat_packing`); padding, mask 0 at
 * the end, is left out. A mask of ones is one sample.
 *
 * Returns null when the numbers do not run 1, 2, 3, … with only zeros after them.
 */
export function segmentsOfMask(mask: Int32Array): number[] | null {
  const lengths: number[] = [];
  let begin = 0;
  for (let i = 1; i <= mask.length; i++) {
    if (i < mask.length && mask[i] === mask[begin]) continue;
    const number = mask[begin];
    if (number === 0) return i === mask.length ? lengths : null;
    if (number !== lengths.length + 1) return null;
    lengths.push(i - begin);
    begin = i;
  }
  return lengths;
}

/** Position ids that start again at 0 with each sample; 0 on the padding that fills up to `length`. */
export function positionIds(segmentLengths: readonly number[], length: number): Int32Array {
  const positions = new Int32Array(length);
  let at = 0;
  for (const segment of segmentLengths) {
    for (let i = 0; i < segment; i++) positions[at + i] = i;
    at += segment;
  }
  return positions;
}

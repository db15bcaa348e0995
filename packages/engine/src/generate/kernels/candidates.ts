/**
 * Loops over the scores of a vocabulary for the sampler.
 *
 * Bounds: every index runs below the length of the array that it reads, ids come from such loops and stay below the
 * number of scores, and a heap of k entries is indexed below k.
 */

/** Index of the greatest score, the first of equals; -1 for a NaN, a +infinity, or nothing above -infinity. */
export function argmax(scores: Float32Array | Float64Array): number {
  let best = -1;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < scores.length; i++) {
    const score = scores[i]!;
    // NaN fails both comparisons; spelling the test this way costs one branch that is never taken.
    if (!(score <= max)) {
      if (!(score < Number.POSITIVE_INFINITY)) return -1;
      max = score;
      best = i;
    }
  }
  return best;
}

/** Applies a repetition penalty as transformers does: once per distinct id. Mutates: `scores`. */
export function penaliseRepetition(
  scores: Float64Array,
  ids: ArrayLike<number>,
  begin: number,
  penalty: number,
): void {
  const seen = new Set<number>();
  for (let i = begin; i < ids.length; i++) {
    const id = ids[i]!;
    if (id < 0 || id >= scores.length || seen.has(id)) continue;
    seen.add(id);
    const score = scores[id]!;
    scores[id] = score < 0 ? score * penalty : score / penalty;
  }
}

/** Subtracts `frequency` per occurrence and `presence` once. Mutates: `scores`. */
export function penaliseOccurrence(
  scores: Float64Array,
  ids: ArrayLike<number>,
  begin: number,
  penalties: { readonly frequency: number; readonly presence: number },
): void {
  const counts = new Map<number, number>();
  for (let i = begin; i < ids.length; i++) {
    const id = ids[i]!;
    if (id >= 0 && id < scores.length) counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  for (const [id, count] of counts) {
    scores[id] = scores[id]! - count * penalties.frequency - penalties.presence;
  }
}

/** Adds to every score. Mutates: `scores`. */
export function shift(scores: Float64Array, amount: number): void {
  for (let i = 0; i < scores.length; i++) scores[i] = scores[i]! + amount;
}

/** Divides every value. Mutates: `values`. */
export function divide(values: Float64Array, divisor: number): void {
  for (let i = 0; i < values.length; i++) values[i] = values[i]! / divisor;
}

/** Ids whose score is above -infinity, ascending. */
export function possibleIds(scores: Float64Array): Int32Array {
  const ids = new Int32Array(scores.length);
  let count = 0;
  for (let i = 0; i < scores.length; i++) {
    if (scores[i]! > Number.NEGATIVE_INFINITY) ids[count++] = i;
  }
  return ids.subarray(0, count);
}

/** The k greatest scores of a vocabulary as ids; of equals the lower ids. In no particular order. */
export function topIds(scores: Float64Array, k: number): Int32Array {
  const all = possibleIds(scores);
  if (k >= all.length) return all;
  const heap = all.slice(0, k);
  for (let i = (k >> 1) - 1; i >= 0; i--) siftDown(heap, i, scores);
  for (let i = k; i < all.length; i++) {
    const id = all[i]!;
    // Ids ascend, so an equal score comes later and loses.
    if (scores[id]! > scores[heap[0]!]!) {
      heap[0] = id;
      siftDown(heap, 0, scores);
    }
  }
  return heap;
}

/** Sorts ids by falling score, equals by rising id. Mutates: `ids`. */
export function sortByScore(ids: Int32Array, scores: Float64Array): void {
  ids.sort((a, b) => scores[b]! - scores[a]! || a - b);
}

/** exp(score) of each id, and their sum. Scores are at most 0, so nothing overflows. */
export function exponentials(
  ids: Int32Array,
  scores: Float64Array,
): { weights: Float64Array; total: number } {
  const weights = new Float64Array(ids.length);
  let total = 0;
  for (let i = 0; i < ids.length; i++) {
    const weight = Math.exp(scores[ids[i]!]!);
    weights[i] = weight;
    total += weight;
  }
  return { weights, total };
}

/** How many leading weights reach `mass`; at least one. */
export function prefixReaching(weights: Float64Array, mass: number): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i]!;
    if (sum >= mass) return i + 1;
  }
  return weights.length;
}

/** Ids whose weight is at least `minimum`, in their order. */
export function idsOfWeight(ids: Int32Array, weights: Float64Array, minimum: number): Int32Array {
  const kept = new Int32Array(ids.length);
  let count = 0;
  for (let i = 0; i < ids.length; i++) {
    if (weights[i]! >= minimum) kept[count++] = ids[i]!;
  }
  return kept.subarray(0, count);
}

/** Restores a heap whose root is the worst: the lowest score, of equals the highest id. */
function siftDown(heap: Int32Array, start: number, scores: Float64Array): void {
  let parent = start;
  const id = heap[parent]!;
  while (2 * parent + 1 < heap.length) {
    let child = 2 * parent + 1;
    if (child + 1 < heap.length && isWorse(heap[child + 1]!, heap[child]!, scores)) child++;
    if (!isWorse(heap[child]!, id, scores)) break;
    heap[parent] = heap[child]!;
    parent = child;
  }
  heap[parent] = id;
}

function isWorse(a: number, b: number, scores: Float64Array): boolean {
  const difference = scores[a]! - scores[b]!;
  return difference < 0 || (difference === 0 && a > b);
}

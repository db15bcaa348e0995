/**
 * Which data set each draw of a weighted interleaving takes. Bounds: `cdf` ends with 1 and draws are below 1, so a
 * source is always found; `taken` and `counts` have the length of `cdf`.
 */

/** The first entry above the draw, as NumPy's `searchsorted(cdf, draw, side='right')`. */
export function sourceOfDraw(cdf: Float64Array, draw: number): number {
  let source = 0;
  while (cdf[source]! <= draw) source++;
  return source;
}

/**
 * Counts draws into `taken` until as many sources as `wanted` have been drawn as often as they have rows.
 *
 * Returns how many of `draws` were used. Mutates: `taken` and `progress.finished`, the number of sources that are
 * through.
 */
export function countDraws(
  draws: Float64Array,
  cdf: Float64Array,
  counts: Float64Array,
  taken: Float64Array,
  progress: { finished: number; readonly wanted: number },
): number {
  for (let i = 0; i < draws.length; i++) {
    const source = sourceOfDraw(cdf, draws[i]!);
    const times = taken[source]! + 1;
    taken[source] = times;
    if (times === counts[source]! && ++progress.finished === progress.wanted) return i + 1;
  }
  return draws.length;
}

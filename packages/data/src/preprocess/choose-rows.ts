/** Which rows of each data set are written, where an entry of `dataset_info.json` asks for a part or a draw. */
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import { createLegacyRandom } from '../mixing/legacy-random.js';
import { type RowSelection, selectRows } from '../mixing/select-rows.js';
import { parseSplit } from '../mixing/split-slices.js';

/** True when a data set is read from its beginning, to its end or a limit. */
export function readsInOrder({ split, numSamples }: DatasetSpec): boolean {
  const { slices } = parseSplit(split);
  const isWhole =
    slices.length === 1 && slices.every(({ from, to }) => from === null && to === null);
  return isWhole && numSamples === null;
}

/**
 * Selects rows by data set; null where all that were read are written. One generator draws for all, as in
 * LLaMA-Factory.
 */
export function chooseRows(
  specs: readonly DatasetSpec[],
  counts: readonly number[],
  seed: number,
): (RowSelection | null)[] {
  const random = createLegacyRandom(seed);
  return specs.map((spec, i) => {
    if (readsInOrder(spec)) return null;
    const { split, numSamples, maxSamples } = spec;
    return selectRows({ count: counts[i] ?? 0, split, numSamples, maxSamples, random });
  });
}

/** The 0-based row that stands at a place of a selection. */
export function selectedRow(selection: RowSelection, place: number): number {
  if (selection.rows !== null) return selection.rows[place] ?? -1;
  let left = place;
  for (const { begin, end } of selection.ranges) {
    if (left < end - begin) return begin + left;
    left -= end - begin;
  }
  return -1;
}

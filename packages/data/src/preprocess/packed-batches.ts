/** Packs samples on their way to the output. */
import { defined } from '@tuneyard/core';
import { packInWindows, type SampleColumns, type WindowOptions } from '../packing/pack-window.js';
import type { SampleBatch } from './sample-batch.js';

/** Fields of packed rows, in the order in which {@link packedBatches} gives them. */
export const PACKED_FIELDS: readonly string[] = ['input_ids', 'labels', 'attention_mask'];

/**
 * Packs batches of the fields input_ids and labels. A packed row has no row of its own in a data set; it stands under
 * that of its first sample.
 */
export async function* packedBatches(
  batches: AsyncIterable<SampleBatch>,
  options: WindowOptions,
): AsyncGenerator<SampleBatch, void, undefined> {
  const origins: { readonly rows: Int32Array; readonly datasets: Int32Array }[] = [];
  async function* columns(): AsyncGenerator<SampleColumns, void, undefined> {
    for await (const { tokens, lengths, rows, datasets } of batches) {
      origins.push({ rows, datasets });
      yield {
        ids: defined(tokens[0], 'the ids of a batch'),
        labels: defined(tokens[1], 'the labels of a batch'),
        lengths: defined(lengths[0], 'the lengths of a batch'),
      };
    }
  }
  const finder = new OriginFinder(origins);
  for await (const packed of packInWindows(columns(), options)) {
    const lengths = new Int32Array(packed.rows).fill(options.padTo);
    const first = packed.packs.map((pack) => finder.at(pack[0] ?? 0));
    yield {
      tokens: [packed.inputIds, packed.labels, packed.attentionMask],
      lengths: [lengths, lengths, lengths],
      rows: Int32Array.from(first, ({ row }) => row),
      datasets: Int32Array.from(first, ({ dataset }) => dataset),
    };
  }
}

/** Finds where a sample came from by its number in the stream. */
class OriginFinder {
  readonly #origins: readonly { readonly rows: Int32Array; readonly datasets: Int32Array }[];
  /** Samples before each batch. */
  readonly #before: number[] = [0];

  constructor(origins: readonly { readonly rows: Int32Array; readonly datasets: Int32Array }[]) {
    this.#origins = origins;
  }

  at(sample: number): { readonly row: number; readonly dataset: number } {
    const before = this.#before;
    while (before.length <= this.#origins.length) {
      const last = before.length - 1;
      before.push((before[last] ?? 0) + (this.#origins[last]?.rows.length ?? 0));
    }
    let low = 0;
    let high = this.#origins.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((before[middle] ?? 0) <= sample) low = middle;
      else high = middle - 1;
    }
    const batch = this.#origins[low];
    const index = sample - (before[low] ?? 0);
    return { row: batch?.rows[index] ?? 0, dataset: batch?.datasets[index] ?? 0 };
  }
}

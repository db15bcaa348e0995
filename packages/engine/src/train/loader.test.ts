import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BatchLoader, epochOrder, type LoaderOptions } from './loader.js';

const options: LoaderOptions = {
  seed: 42,
  microBatchSize: 2,
  gradientAccumulationSteps: 3,
  dropLast: false,
  shuffle: true,
  groupByLength: false,
};
const lengths = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => 1 + ((i * 7) % 23));
const sorted = (rows: Iterable<number>): number[] => [...rows].sort((a, b) => a - b);

describe('epochOrder', () => {
  it('is a function of the seed, the epoch and the number of rows alone', () => {
    const order = epochOrder(lengths(50), 3, options);
    expect(epochOrder(lengths(50), 3, { ...options, microBatchSize: 7 })).toEqual(order);
    expect(epochOrder(new Array<number>(50).fill(1), 3, options)).toEqual(order);
    expect(epochOrder(lengths(50), 4, options)).not.toEqual(order);
    expect(epochOrder(lengths(50), 3, { ...options, seed: 43 })).not.toEqual(order);
  });

  it('keeps its order from version to version', () => {
    const order = [...epochOrder(lengths(10), 0, { ...options, seed: 0 })];
    expect(order).toEqual([5, 6, 0, 7, 9, 8, 1, 2, 4, 3]);
  });

  it('visits every row once, grouped by length or not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.boolean(), (count, groupByLength) => {
        const order = epochOrder(lengths(count), 1, { ...options, groupByLength });
        expect(sorted(order)).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  it('starts with the longest row and keeps batches of similar length when grouping', () => {
    const sizes = lengths(600);
    const spread = (order: Int32Array): number => {
      let total = 0;
      for (let i = 0; i < order.length; i += 6) {
        const batch = [...order.subarray(i, i + 6)].map((row) => sizes[row]!);
        total += Math.max(...batch) - Math.min(...batch);
      }
      return total;
    };
    const grouped = epochOrder(sizes, 0, { ...options, groupByLength: true });
    expect(sizes[grouped[0]!]).toBe(Math.max(...sizes));
    expect(spread(grouped)).toBeLessThan(spread(epochOrder(sizes, 0, options)) / 5);
  });

  it('keeps the file order without shuffling', () => {
    expect([...epochOrder(lengths(4), 9, { ...options, shuffle: false })]).toEqual([0, 1, 2, 3]);
  });
});

describe('BatchLoader', () => {
  it('splits an epoch into steps of micro-batches, the last ones shorter', () => {
    const loader = new BatchLoader(lengths(15), { ...options, shuffle: false });
    expect(loader.stepsPerEpoch).toBe(3);
    expect(loader.microBatches({ epoch: 0, stepInEpoch: 0 })).toEqual([
      [0, 1],
      [2, 3],
      [4, 5],
    ]);
    expect(loader.microBatches({ epoch: 0, stepInEpoch: 2 })).toEqual([[12, 13], [14]]);
  });

  it('drops a short last micro-batch when asked', () => {
    const loader = new BatchLoader(lengths(15), { ...options, shuffle: false, dropLast: true });
    expect(loader.microBatches({ epoch: 0, stepInEpoch: 2 })).toEqual([[12, 13]]);
    const full = new BatchLoader(lengths(13), { ...options, shuffle: false, dropLast: true });
    expect(full.stepsPerEpoch).toBe(2);
  });

  it('gives one set of rows per step, however the batch is split', () => {
    const wide = new BatchLoader(lengths(40), {
      ...options,
      microBatchSize: 8,
      gradientAccumulationSteps: 1,
    });
    const deep = new BatchLoader(lengths(40), {
      ...options,
      microBatchSize: 1,
      gradientAccumulationSteps: 8,
    });
    for (let step = 0; step < 10; step++) {
      expect(deep.microBatches(deep.cursor(step)).flat()).toEqual(
        wide.microBatches(wide.cursor(step)).flat(),
      );
    }
  });

  it('goes on from a stored cursor with the same batches', () => {
    const loader = new BatchLoader(lengths(31), options);
    const run = Array.from({ length: 20 }, (_, step) => loader.microBatches(loader.cursor(step)));
    const stored = JSON.parse(JSON.stringify(loader.cursor(13))) as {
      epoch: number;
      stepInEpoch: number;
    };
    expect(stored).toEqual({ epoch: 2, stepInEpoch: 1 });
    expect(new BatchLoader(lengths(31), options).microBatches(stored)).toEqual(run[13]);
  });
});

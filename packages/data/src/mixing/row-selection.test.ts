import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitSamples } from '../encode/split-samples.js';
import { parseWeightedNames } from './dataset-weights.js';
import { createLegacyRandom } from './legacy-random.js';
import { planSplit } from './plan-split.js';
import { type RowSelection, selectRows } from './select-rows.js';
import { parseSplit, rangesOfSlices } from './split-slices.js';

function casesOf<Case>(name: string): readonly Case[] {
  const url = new URL(`../../test/fixtures/mixing/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { cases: readonly Case[] }).cases;
}

function rowsOf({ rows, ranges }: RowSelection): number[] {
  if (rows !== null) return [...rows];
  return ranges.flatMap(({ begin, end }) =>
    Array.from({ length: end - begin }, (_, i) => begin + i),
  );
}

const random = () => createLegacyRandom(42);

describe('selecting rows', () => {
  type Draw = { count: number; numSamples: number; rows: number[] };
  it.each(casesOf<{ seed: number; datasets: Draw[] }>('draws'))(
    'draws num_samples as LLaMA-Factory does with seed $seed',
    ({ seed, datasets }) => {
      const generator = createLegacyRandom(seed);
      for (const { count, numSamples, rows } of datasets) {
        const selection = selectRows({ count, numSamples, random: generator });
        expect(rowsOf(selection)).toEqual(rows);
        expect(selection.count).toBe(numSamples);
      }
    },
  );

  it('cuts to max_samples after drawing, and never repeats for it', () => {
    const all = rowsOf(selectRows({ count: 5, numSamples: 12, random: random() }));
    const cut = selectRows({ count: 5, numSamples: 12, maxSamples: 4, random: random() });
    expect(rowsOf(cut)).toEqual(all.slice(0, 4));
    expect(rowsOf(selectRows({ count: 3, maxSamples: 9, random: random() }))).toEqual([0, 1, 2]);
    expect(rowsOf(selectRows({ count: 9, maxSamples: 2, random: random() }))).toEqual([0, 1]);
  });

  it('slices first: draws come from the slices, cuts run over their ends', () => {
    const split = 'train[80%:]+train[:2]';
    expect(rowsOf(selectRows({ count: 10, split, random: random() }))).toEqual([8, 9, 0, 1]);
    expect(rowsOf(selectRows({ count: 10, split, maxSamples: 3, random: random() }))).toEqual([
      8, 9, 0,
    ]);
    const drawn = rowsOf(selectRows({ count: 10, split, numSamples: 4, random: random() }));
    expect(drawn.sort((a, b) => a - b)).toEqual([0, 1, 8, 9]);
    expect(selectRows({ count: 0, numSamples: 4, random: random() }).count).toBe(0);
  });
});

describe('slices of a split', () => {
  it.each(casesOf<{ split: string; count: number; ranges: [number, number][] }>('slices'))(
    'mean what they mean in datasets: $split of $count rows',
    ({ split, count, ranges }) => {
      const ours = rangesOfSlices(parseSplit(split), count);
      expect(ours.map(({ begin, end }) => [begin, end])).toEqual(ranges);
    },
  );

  it.each([
    ['train[10]', 'expected a form'],
    ['train[:10%:]', 'expected a form'],
    ['', 'expected a form'],
    ['train[:101%]', '101% is beyond 100%'],
    ['train[5:10%]', 'one end is a row'],
    ['train+test', "parts of 'train' and 'test'"],
  ])('are refused when they cannot be read: %s', (split, message) => {
    expect(() => parseSplit(split)).toThrow(message);
  });
});

describe('splitting', () => {
  type Split = { count: number; valSize: number; seed: number } & Record<
    'train' | 'validation',
    number[]
  >;
  it.each(casesOf<Split>('splits'))(
    'holds out what train_test_split does: $valSize of $count',
    ({ train, validation, ...options }) => {
      const plan = planSplit(options);
      expect([...plan.train]).toEqual(train);
      expect([...plan.validation]).toEqual(validation);
      const rows = Array.from({ length: options.count }, (_, i) => i);
      const sorted = (values: number[]) => [...values].sort((a, b) => a - b);
      expect(splitSamples(rows, options.valSize, options.seed)).toEqual({
        train: sorted(train),
        validation: sorted(validation),
      });
    },
  );

  it('is a partition for any size and seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 200 }), fc.nat(), fc.nat(), (count, size, seed) => {
        const plan = planSplit({ count, valSize: size % count, seed });
        expect(plan.validation).toHaveLength(size % count);
        const all = [...plan.train, ...plan.validation].sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });
});

describe('weights behind names', () => {
  it('scale to sum one', () => {
    expect(parseWeightedNames(['a.jsonl=7', 'b=c.jsonl=3'])).toEqual({
      names: ['a.jsonl', 'b=c.jsonl'],
      probabilities: [0.7, 0.3],
    });
    expect(parseWeightedNames(['x=.5', 'y=5e-1']).probabilities).toEqual([0.5, 0.5]);
    expect(parseWeightedNames(['day=3/', 'day=x'])).toEqual({
      names: ['day=3/', 'day=x'],
      probabilities: null,
    });
  });

  it.each([
    [['a=1', 'b'], 'b has no weight'],
    [['a=0', 'b=1'], 'the weight of a is 0'],
  ])('are refused when they do not say shares: %j', (items, message) => {
    expect(() => parseWeightedNames(items)).toThrow(message);
  });
});

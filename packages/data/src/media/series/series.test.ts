import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashSeries, measureSeries, readSeries, type Series } from './series.js';
import {
  binCentres,
  binNumbers,
  decodeSeries,
  encodeSeries,
  magnitudeQuantile,
  meanMagnitude,
  type SeriesEncoding,
} from './series-text.js';

const FIXTURE = join(import.meta.dirname, '../../../test/fixtures/media/series.json');
const golden = JSON.parse(readFileSync(FIXTURE, 'utf8')) as {
  readonly cases: readonly { label: string; values: number[][] }[];
  readonly extreme: number[][];
  readonly bins: readonly { tokens: number; scale: number[]; ids: number[][]; back: number[][] }[];
  readonly quantiles: number[];
};
const values = golden.cases.flatMap((item) => item.values);

describe('reading a series', () => {
  const read = (value: unknown) => readSeries(value, 1000);

  it('takes one channel, several, and an object with a rate', () => {
    expect(measureSeries(read([1, 2, 3]))).toEqual({
      kind: 'series',
      channels: 1,
      length: 3,
      samplingRate: null,
    });
    expect(
      measureSeries(
        read([
          [1, 2, 3],
          [4, 5, 6],
        ]),
      ),
    ).toMatchObject({ channels: 2, length: 3 });
    const withRate = read({ values: golden.cases[0]!.values, sampling_rate: 10 });
    expect(measureSeries(withRate)).toMatchObject({ channels: 6, length: 100, samplingRate: 10 });
    expect(measureSeries(read([Float64Array.of(1, 2)]))).toMatchObject({ channels: 1, length: 2 });
  });

  it('refuses what is no series, with the place', () => {
    const cases: [unknown, string][] = [
      ['1,2', 'it is no list of numbers'],
      [[], 'it is empty'],
      [[[]], 'it is empty'],
      [[1, null], 'channel 0, place 1 is null; expected a finite number'],
      [[1, Number.NaN], 'channel 0, place 1 is NaN'],
      [[[1, 2], [3]], 'channel 1 has 1 numbers, channel 0 has 2'],
      [[[1], 'x'], 'channel 1 is no list of numbers'],
      [[[1, '2']], 'channel 0, place 1 is "2"'],
      [{ values: [1], sampling_rate: 0 }, 'sampling_rate is 0'],
      [Array.from({ length: 1001 }, () => 0), 'it has 1001 numbers; the limit is 1000'],
    ];
    for (const [value, message] of cases) expect(() => read(value)).toThrow(message);
  });

  it('refuses what the data set does not expect', () => {
    const expected = { channels: 2, minLength: 2, maxLength: 3, samplingRate: 10 };
    const check = (value: unknown) => readSeries(value, 1000, expected);
    expect(
      check([
        [1, 2],
        [3, 4],
      ]).samplingRate,
    ).toBe(10);
    expect(() => check([1, 2])).toThrow('it has 1 channels; expected 2');
    expect(() => check([[1], [2]])).toThrow('it has 1 numbers per channel; expected 2 to 3');
    const other = {
      values: [
        [1, 2],
        [3, 4],
      ],
      sampling_rate: 20,
    };
    expect(() => check(other)).toThrow('sampling_rate is 20 Hz; expected 10');
  });

  it('hashes by content', () => {
    const hashes = [[1, 2], [[1], [2]], [1, 2.5], { values: [1, 2], sampling_rate: 5 }].map(
      (value) => hashSeries(read(value)),
    );
    expect(new Set(hashes).size).toBe(4);
    expect(hashSeries(read([[1, 2]]))).toBe(hashes[0]);
  });
});

describe('bins are those of Chronos 1.5.3', () => {
  it.each([0, 1, 2])('for sensor readings and extreme values, table %s', (table) => {
    const { tokens, scale, ids, back } = golden.bins[table]!;
    const rows = table === 2 ? golden.extreme : values;
    for (const [i, row] of rows.entries()) {
      // Chronos computes with 32 bits.
      const channel = Float64Array.from(row, Math.fround);
      const own = meanMagnitude(channel) || 1;
      expect(Math.abs(own / scale[i]! - 1)).toBeLessThan(1e-6);
      // Two of its tokens are special and the first of the others stands for nothing.
      const bins = { bins: tokens - 3, limit: 15, scale: scale[i]! };
      const numbers = binNumbers(channel, bins);
      expect([...numbers].map((n) => n + 3)).toEqual(ids[i]);
      const centres = binCentres(numbers, bins);
      for (const [k, value] of centres.entries()) {
        expect(Math.abs(value - back[i]![k]!)).toBeLessThan(1e-9 * Math.max(1, Math.abs(value)));
      }
    }
  });
});

describe('series as text', () => {
  const series: Series = {
    channels: values.map((row) => Float64Array.from(row)),
    samplingRate: 10,
  };

  it('the quantile is that of NumPy', () => {
    for (const [i, channel] of series.channels.entries()) {
      expect(magnitudeQuantile(channel, 0.95)).toBeCloseTo(golden.quantiles[i]!, 12);
    }
  });

  it('reads as documented', () => {
    const small: Series = {
      channels: [Float64Array.of(1, -0.0001, 2.5), Float64Array.of(100, -200, 0)],
      samplingRate: null,
    };
    expect(encodeSeries(small, { method: 'decimal' })).toBe(
      '1.000, 0.000, 2.500\n100.000, -200.000, 0.000',
    );
    expect(encodeSeries(small, { method: 'scaled', digits: 2, quantile: 1 })).toBe(
      '2.500000e+0: 40, 0, 100\n2.000000e+2: 50, -100, 0',
    );
    expect(encodeSeries(small, { method: 'bins', bins: 31 })).toBe(
      '1.166700e+0: 16, 15, 17\n1.000000e+2: 16, 13, 15',
    );
    expect(encodeSeries(small, { method: 'bins', bins: 31, style: 'tokens' })).toBe(
      '1.166700e+0: <ts_16><ts_15><ts_17>\n1.000000e+2: <ts_16><ts_13><ts_15>',
    );
  });

  const encodings: [SeriesEncoding, (channel: Float64Array) => number][] = [
    [{ method: 'decimal', digits: 4 }, () => 0.5e-4],
    [{ method: 'scaled', digits: 3 }, (c) => magnitudeQuantile(c, 0.95) * 0.5e-3],
    [{ method: 'bins', bins: 4093 }, (c) => (meanMagnitude(c) * 15) / 4092],
    [{ method: 'bins', bins: 4093, style: 'tokens' }, (c) => (meanMagnitude(c) * 15) / 4092],
  ];

  it.each(encodings)('%o is read back within half a step', (encoding, stepOf) => {
    const text = encodeSeries(series, encoding);
    const back = decodeSeries(text, encoding);
    for (const [i, channel] of series.channels.entries()) {
      const half = stepOf(channel) * (1 + 1e-3);
      // Bins end at 15 times the mean; a few readings lie beyond.
      const most = encoding.method === 'bins' ? 15 * meanMagnitude(channel) : Number.MAX_VALUE;
      const inside = channel.map((value) => Math.min(most, Math.max(-most, value)));
      const worst = Math.max(...inside.map((value, k) => Math.abs(value - back[i]![k]!)));
      expect(worst).toBeLessThanOrEqual(half);
    }
    // Writing again what was read gives the same text, but for scales that are taken from the values.
    if (encoding.method === 'decimal') {
      expect(encodeSeries({ channels: back, samplingRate: null }, encoding)).toBe(text);
    }
  });

  it('any finite series survives both directions', () => {
    const channel = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(channel, fc.constantFrom(...encodings), (numbers, [encoding]) => {
        const one = { channels: [Float64Array.from(numbers)], samplingRate: null };
        const [back] = decodeSeries(encodeSeries(one, encoding), encoding);
        expect(back!.length).toBe(numbers.length);
        expect(back!.every(Number.isFinite)).toBe(true);
      }),
      { numRuns: 200, seed: 5 },
    );
  });

  it('refuses options out of range, values too large and texts of another kind', () => {
    const one: Series = { channels: [Float64Array.of(1e16)], samplingRate: null };
    expect(() => encodeSeries(one, { method: 'decimal' })).toThrow('too large');
    expect(() => encodeSeries(one, { method: 'bins', bins: 1 })).toThrow("'bins' of the series");
    expect(() => decodeSeries('1.0, x', { method: 'decimal' })).toThrow(
      'channel 0, place 1 reads "x"; expected a number',
    );
    expect(() => decodeSeries('1, 2', { method: 'bins' })).toThrow('channel 0, place 0 reads ""');
  });
});

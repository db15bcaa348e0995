import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RejectBucket } from '../handlers/conversation.js';
import { planPacks } from '../packing/pack-rows.js';
import { type PartialReport, ROWS_LISTED } from './data-report.js';
import { finishReport } from './finish-report.js';
import { formatDataReport } from './format-report.js';
import { binLengths, countedLength, countPacks } from './length-counts.js';
import {
  createReportAccumulator,
  type ReportAccumulator,
  type SampleSize,
} from './report-accumulator.js';

/** A row of a data set: its samples, or why there are none. */
type Row = readonly SampleSize[] | RejectBucket;

function addRows(account: ReportAccumulator, source: string, rows: readonly Row[]): void {
  for (const [i, row] of rows.entries()) {
    const place = { source, row: i + 1 };
    if (typeof row === 'string') {
      account.addRejected(place, { bucket: row, reason: `is ${row}` });
    } else account.addRow(place, row);
  }
}

const sizes = fc
  .record({
    length: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 9_000_000 })),
    learned: fc.nat(50),
    cut: fc.constantFrom(0, 0, 0, 7),
  })
  .map(({ length, learned, cut }) => ({ length, learned, fullLength: length + cut }));
const row = fc.oneof(
  { weight: 4, arbitrary: fc.array(sizes, { minLength: 1, maxLength: 3 }) },
  fc.constantFrom<RejectBucket>('over_length', 'malformed_json', 'empty_text'),
);

describe('accounts in parts', () => {
  it('merge to the bytes of one pass, however the rows are cut and the parts are grouped', () => {
    const datasets = fc.array(fc.array(row, { maxLength: 20 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(datasets, fc.integer({ min: 1, max: 7 }), fc.boolean(), (sets, size, isLeft) => {
        const whole = createReportAccumulator();
        const parts: { partial: PartialReport; offset: number }[] = [];
        for (const [d, rows] of sets.entries()) {
          addRows(whole, `set${d}`, rows);
          for (let begin = 0; begin < rows.length; begin += size) {
            const unit = createReportAccumulator();
            addRows(unit, `set${d}`, rows.slice(begin, begin + size));
            parts.push({ partial: unit.snapshot(), offset: begin });
          }
        }
        const placed = parts.map(({ partial, offset }) => {
          const account = createReportAccumulator();
          account.merge(JSON.parse(JSON.stringify(partial)), offset);
          return account.snapshot();
        });
        const join = (a: PartialReport, b: PartialReport): PartialReport => {
          const account = createReportAccumulator(a);
          account.merge(b);
          return account.snapshot();
        };
        const empty = createReportAccumulator().snapshot();
        const merged = isLeft
          ? placed.reduce(join, empty)
          : placed.reduceRight((after, before) => join(before, after), empty);
        expect(JSON.stringify(merged)).toBe(JSON.stringify(whole.snapshot()));
      }),
    );
  });

  it('puts every row in one place', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 40 }), (rows) => {
        const account = createReportAccumulator();
        addRows(account, 's', rows);
        const report = finishReport(account.snapshot());
        const dropped = Object.values(report.dropped).reduce((sum, { count }) => sum + count, 0);
        expect(report.rows).toBe(rows.length);
        expect(report.keptRows + dropped).toBe(rows.length);
        expect(report.lengthHistogram.reduce((sum, { count }) => sum + count, 0)).toBe(
          report.samples,
        );
        const all = rows.flatMap((row) => (typeof row === 'string' ? [] : row));
        expect(report.samples).toBe(all.length);
        expect(report.tokens).toBe(all.reduce((sum, { length }) => sum + length, 0));
        expect(report.truncated.count).toBe(
          all.filter(({ length, fullLength }) => fullLength > length).length,
        );
        expect(report.split.count).toBe(
          rows.filter((row) => typeof row !== 'string' && row.length > 1).length,
        );
      }),
    );
  });

  it('keeps the first thousand rows of a list and counts on', () => {
    const account = createReportAccumulator();
    for (let part = 0; part < 3; part++) {
      const unit = createReportAccumulator();
      addRows(unit, 's', Array(600).fill('over_length'));
      account.merge(unit.snapshot(), part * 600);
    }
    const { dropped, rowsListed } = finishReport(account.snapshot());
    expect(dropped.over_length?.count).toBe(1800);
    expect(dropped.over_length?.rows.map(({ row }) => row)).toEqual(
      Array.from({ length: ROWS_LISTED }, (_, i) => i + 1),
    );
    expect(rowsListed).toBe(ROWS_LISTED);
  });

  it('takes back a row that turns out to be a repeated one', () => {
    const sample = { length: 9, learned: 4, fullLength: 12 };
    const duplicate = { bucket: 'duplicate', reason: 'as row 1' } as const;
    const expected = createReportAccumulator();
    expected.addRow({ source: 's', row: 1 }, [sample]);
    expected.addRejected({ source: 's', row: 2 }, duplicate);
    const account = createReportAccumulator();
    addRows(account, 's', [[sample], [sample]]);
    account.rejectAdded({ source: 's', row: 2 }, [sample], duplicate);
    expect(account.snapshot()).toEqual(expected.snapshot());
  });
});

describe('lengths', () => {
  it('are exact to 65,536 and then known to within a sixty-fourth', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (length) => {
        const counted = countedLength(length);
        expect(counted).toBeLessThanOrEqual(length);
        expect(length - counted).toBeLessThanOrEqual(length <= 65_536 ? 0 : length / 64);
        expect(countedLength(counted)).toBe(counted);
      }),
    );
  });

  it('fill equal bins that cover all of them', () => {
    const counts = new Map([
      [1, 2],
      [16, 1],
      [17, 3],
      [256, 1],
    ]);
    const bins = binLengths(counts, 256);
    expect(bins).toHaveLength(16);
    expect(bins[0]).toEqual({ from: 1, to: 16, count: 3 });
    expect(bins[1]).toEqual({ from: 17, to: 32, count: 3 });
    expect(bins[15]).toEqual({ from: 241, to: 256, count: 1 });
    expect(binLengths(new Map(), 0)).toEqual([]);
  });

  it('pack into as many rows as the planner plans', () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 32 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(lengths, (values) => {
        const counts = new Map<number, number>();
        for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
        expect(countPacks(counts, 32).rows).toBe(planPacks(values, 32).length);
      }),
    );
    expect(() => countPacks(new Map([[33, 1]]), 32)).toThrow('a packed row holds 1 to 32');
  });
});

describe('a finished report', () => {
  const account = createReportAccumulator();
  addRows(account, 'alpaca', [
    [{ length: 10, learned: 4, fullLength: 10 }],
    'over_length',
    [
      { length: 64, learned: 60, fullLength: 64 },
      { length: 6, learned: 6, fullLength: 6 },
    ],
    [{ length: 64, learned: 30, fullLength: 3000 }],
  ]);
  account.addRejected(
    { source: 'b\u001b[31m', row: 7 },
    { bucket: 'malformed_json', reason: 'line 7:\nbroken' },
  );
  const report = finishReport(account.snapshot(), {
    cutoffLength: 64,
    packing: { capacity: 64 },
  });

  it('computes shares from the sums', () => {
    expect(report).toMatchObject({
      rows: 5,
      keptRows: 3,
      samples: 4,
      tokens: 144,
      learnedTokens: 100,
      longest: 64,
      paddingShare: 1 - 144 / 256,
      paddingShareAtCutoff: 1 - 144 / 256,
      packing: { rows: 3, capacity: 64, emptyShare: 1 - 144 / 192 },
      datasets: [
        { source: 'alpaca', rows: 4, keptRows: 3, dropped: 1, samples: 4, truncated: 1, split: 1 },
        { source: 'b\u001b[31m', rows: 1, keptRows: 0, dropped: 1, longest: 0 },
      ],
    });
    const emptyShareOf = (packing: { capacity: number; rows: number; tokens?: number }) =>
      finishReport(account.snapshot(), { packing }).packing?.emptyShare;
    expect(emptyShareOf({ capacity: 64, rows: 4 })).toBe(1 - 144 / 256);
    expect(emptyShareOf({ capacity: 64, rows: 2, tokens: 96 })).toBe(0.25);
    expect(finishReport(createReportAccumulator().snapshot())).toMatchObject({
      rows: 0,
      paddingShare: 0,
      paddingShareAtCutoff: null,
      packing: null,
    });
  });

  it('reads as text, without control characters and within the width', () => {
    const text = formatDataReport(report, { width: 60 });
    expect(text).toMatchInlineSnapshot(`
      "rows read                          5
        kept                             3  60.0 %
        dropped                          2  40.0 %
        · malformed json                 1  20.0 %
          b·[31m, row 7: line 7:·broken
        · over length                    1  20.0 %
          alpaca, row 2: is over_length
      samples                            4
        rows that gave several           1  33.3 %
          alpaca, row 3: 2 samples
        truncated                        1  25.0 %
          alpaca, row 4: 3,000 tokens cut to 64

      data sets
        alpaca: 4 rows, 4 samples, 144 tokens
        b·[31m: 1 row, 0 samples, 0 tokens

      tokens                           144
        learned                        100  69.4 %
      longest sample                    64
      padding to the longest   43.8 %
      padding to the cutoff    43.8 %
      packed                   3 rows of 64, 25.0 % empty

      samples by length in tokens
        1–4   0
        5–8  █████████████████████████ 1
       9–12  █████████████████████████ 1
      13–16   0
      17–20   0
      21–24   0
      25–28   0
      29–32   0
      33–36   0
      37–40   0
      41–44   0
      45–48   0
      49–52   0
      53–56   0
      57–60   0
      61–64  ██████████████████████████████████████████████████ 2"
    `);
    expect(text.split('\n').every((line) => [...line].length <= 60)).toBe(true);
    expect(formatDataReport(report, { width: 60, examples: 0 })).not.toContain('row 2');
  });
});

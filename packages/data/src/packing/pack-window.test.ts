import { createRng } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DocumentBlocks } from './document-blocks.js';
import {
  type PackedFields,
  packInWindows,
  packLayoutOf,
  packWindow,
  type SampleColumns,
  type WindowOptions,
} from './pack-window.js';
import { planPacks } from './plan-packs.js';
import { positionIds, segmentsOfMask } from './segments.js';

/** Samples whose ids tell sample and place; every second token is learned. */
function columnsOf(lengths: readonly number[], first = 0): SampleColumns {
  const ids = lengths.flatMap((length, i) =>
    Array.from({ length }, (_, at) => (first + i) * 1000 + at),
  );
  return {
    ids: Int32Array.from(ids),
    labels: Int32Array.from(ids, (id) => (id % 2 === 0 ? -100 : id)),
    lengths: Int32Array.from(lengths),
  };
}

const layout = (isNeat: boolean, overlength: 'error' | 'drop' | 'truncate' = 'error') =>
  ({ capacity: 10, padTo: 11, padTokenId: -1, isNeat, strategy: 'greedy', overlength }) as const;

const lengthSets = fc.integer({ min: 1, max: 60 }).chain((capacity) =>
  fc.record({
    capacity: fc.constant(capacity),
    lengths: fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 80 }),
  }),
);

async function collect(batches: Iterable<SampleColumns>, options: WindowOptions) {
  const pieces: PackedFields[] = [];
  const stream = packInWindows(batches, options);
  let next = await stream.next();
  for (; next.done !== true; next = await stream.next()) pieces.push(next.value);
  return { pieces, account: next.value };
}

describe('padded rows', () => {
  it('hold the documented example', () => {
    const [piece] = [...packWindow(columnsOf([3, 5, 7, 2, 9, 4, 1]), layout(true))];
    expect(piece?.packs).toEqual([[4, 6], [2, 0], [1, 5], [3]]);
    const masks = [0, 1, 2, 3].map((row) =>
      [...piece!.attentionMask.subarray(11 * row, 11 * row + 11)].join(''),
    );
    expect(masks).toEqual(['11111111120', '11111112220', '11111222200', '11000000000']);
  });

  it('lose no token and no label, and mark padding, for random lengths', () => {
    fc.assert(
      fc.property(lengthSets, fc.boolean(), ({ lengths, capacity }, isNeat) => {
        const columns = columnsOf(lengths);
        const padTo = capacity + 1;
        const options = { ...layout(isNeat), capacity, padTo };
        const seen: number[] = [];
        for (const piece of packWindow(columns, options)) {
          expect(piece.inputIds).toHaveLength(piece.rows * padTo);
          for (const [at, id] of piece.inputIds.entries()) {
            const label = piece.labels[at];
            expect(label).toBe(id < 0 || id % 2 === 0 ? -100 : id);
            if (isNeat) expect(piece.attentionMask[at] === 0).toBe(id < 0);
            if (id >= 0) seen.push(id);
          }
          for (let row = 0; row < piece.rows; row++) {
            const mask = piece.attentionMask.subarray(row * padTo, (row + 1) * padTo);
            const inRow = piece.packs[row]!.map((sample) => lengths[sample]!);
            expect(segmentsOfMask(mask)).toEqual(isNeat ? inRow : [padTo]);
          }
        }
        expect(seen.sort((a, b) => a - b)).toEqual([...columns.ids].sort((a, b) => a - b));
      }),
      { numRuns: 50 },
    );
  });

  it('leave out or cut what is too long, as asked', () => {
    const columns = columnsOf([12, 3, 11]);
    const run = (overlength: 'drop' | 'truncate') => {
      const pieces = packWindow(columns, layout(true, overlength));
      const first = pieces.next();
      return { rows: first.value, account: pieces.next().value };
    };
    expect(run('drop')).toMatchObject({
      rows: { packs: [[1]] },
      account: { dropped: [0, 2], truncated: [] },
    });
    const cut = run('truncate');
    expect(cut).toMatchObject({
      rows: { packs: [[2], [0], [1]] },
      account: { dropped: [], truncated: [0, 2] },
    });
    expect((cut.rows as PackedFields).inputIds[9]).toBe(2009);
    expect(() => [...packWindow(columns, layout(true))]).toThrow('Sample 0 has 12 tokens');
    expect(() => [...packWindow(columnsOf([0]), layout(true, 'drop'))]).toThrow('0 tokens');
  });

  it('have the capacity and length of their style', () => {
    const options = { length: 4096, padTokenId: 0, isNeat: false };
    expect(packLayoutOf('modellink', options)).toMatchObject({
      capacity: 4095,
      padTo: 4096,
      overlength: 'drop',
    });
    expect(packLayoutOf('llama-factory', options)).toMatchObject({ capacity: 4096, padTo: 4097 });
  });
});

describe('packing in windows', () => {
  it('packs each window by itself, however the samples arrive', async () => {
    const cases = fc.record({
      batches: fc.array(fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 12 }), {
        maxLength: 6,
      }),
      windowSamples: fc.integer({ min: 1, max: 15 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ batches, windowSamples }) => {
        let first = 0;
        const columns = batches.map((lengths) => {
          const made = columnsOf(lengths, first);
          first += lengths.length;
          return made;
        });
        const { pieces } = await collect(columns, { ...layout(true), windowSamples });
        const lengths = batches.flat();
        const wanted: number[][] = [];
        for (let at = 0; at < lengths.length; at += windowSamples) {
          const window = lengths.slice(at, at + windowSamples);
          wanted.push(...planPacks(window, 10).map((pack) => pack.map((i) => i + at)));
        }
        expect(pieces.flatMap((piece) => piece.packs)).toEqual(wanted);
        const ids = pieces.flatMap((piece) => [...piece.inputIds]).filter((id) => id >= 0);
        expect(ids.sort((a, b) => a - b)).toEqual([...columnsOf(lengths).ids]);
      }),
      { numRuns: 60 },
    );
  });

  it('bounds a window by its tokens and numbers samples from the start of the stream', async () => {
    const batches = [columnsOf([6, 5, 20]), columnsOf([9, 2, 1], 3)];
    const options = { ...layout(false, 'drop'), windowTokens: 12 };
    const { pieces, account } = await collect(batches, options);
    expect(pieces.map((piece) => piece.packs)).toEqual([
      [[0], [1]],
      [[3, 5], [4]],
    ]);
    expect(account).toEqual({ dropped: [2], truncated: [] });
  });

  it('stops when it is cancelled', async () => {
    const options = { ...layout(false), signal: AbortSignal.abort() };
    await expect(collect([columnsOf([1])], options)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('the best-fit plan', () => {
  it('places every sample once, keeps the capacity and never needs more rows', () => {
    fc.assert(
      fc.property(lengthSets, ({ lengths, capacity }) => {
        const packs = planPacks(lengths, capacity, 'best-fit');
        expect(packs.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        for (const pack of packs) {
          expect(pack.reduce((sum, i) => sum + lengths[i]!, 0)).toBeLessThanOrEqual(capacity);
        }
        expect(packs.length).toBeLessThanOrEqual(planPacks(lengths, capacity).length);
      }),
    );
  });
});

describe('blocks of raw text', () => {
  it('are the concatenation cut in equal pieces, however the documents arrive', () => {
    const documents = fc.array(fc.array(fc.nat(99), { maxLength: 30 }), { maxLength: 12 });
    fc.assert(
      fc.property(documents, fc.integer({ min: 1, max: 16 }), (texts, blockLength) => {
        const blocks = new DocumentBlocks({ blockLength, bosTokenId: null });
        const found = texts.flatMap((text) => [...blocks.push(Int32Array.from(text))]);
        const all = texts.flat();
        const whole = Math.floor(all.length / blockLength) * blockLength;
        expect(found).toEqual(all.slice(0, whole));
        expect(blocks.end()).toBe(all.length - whole);
        expect(blocks.end()).toBe(0);
      }),
    );
  });
});

describe('segments of a mask', () => {
  it.each([
    [
      [1, 1, 2, 3, 3, 0, 0],
      [2, 1, 2],
    ],
    [[1, 1, 1], [3]],
    [[0, 0], []],
    [[], []],
    [[1, 3], null],
    [[2, 2], null],
    [[1, 0, 2], null],
    [[1, 2, 1], null],
  ])('%j are %j', (mask, wanted) => {
    expect(segmentsOfMask(Int32Array.from(mask))).toEqual(wanted);
  });

  it('restart positions', () => {
    expect([...positionIds([2, 1, 3], 8)]).toEqual([0, 1, 0, 0, 1, 2, 0, 0]);
  });
});

describe('rows that random lengths need', () => {
  const rng = createRng(11);
  const logNormal = (median: number, spread: number) => () =>
    Math.max(1, Math.min(2048, Math.round(median * Math.exp(spread * rng.nextGaussian()))));

  /** 20,000 samples, capacity 2048: the least number thinkable (all rows full), greedy, best-fit. */
  it.each([
    ['uniform to the capacity', () => 1 + rng.nextInt(2048), [9999, 10_060, 10_060]],
    ['between a quarter and a half', () => 513 + rng.nextInt(512), [7505, 8339, 8124]],
    ['log-normal, median 180', logNormal(180, 0.9), [2609, 2609, 2609]],
    ['log-normal, median 400', logNormal(400, 0.25), [4022, 4116, 4068]],
    ['log-normal, median 600', logNormal(600, 0.4), [6356, 6436, 6389]],
    ['300 to 700', () => 300 + rng.nextInt(401), [4884, 5113, 4934]],
  ] as const)('%s', (_, next, wanted) => {
    const lengths = Int32Array.from({ length: 20_000 }, next);
    const least = Math.ceil(lengths.reduce((sum, length) => sum + length, 0) / 2048);
    const greedy = planPacks(lengths, 2048).length;
    const bestFit = planPacks(lengths, 2048, 'best-fit').length;
    expect([least, greedy, bestFit]).toEqual(wanted);
  });
});

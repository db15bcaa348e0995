import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPackedRows, buildUnpackedRows, type Packable } from './pack-rows.js';
import { planPacks } from './plan-packs.js';

/** The plainest form of the rule: sort, then take the largest that fits, one by one. */
function naivePacks(lengths: readonly number[], capacity: number): number[][] {
  const left = [...lengths].sort((a, b) => a - b);
  const packs: number[][] = [];
  while (left.length > 0) {
    const pack: number[] = [];
    let room = capacity;
    let at = left.findLastIndex((length) => length <= room);
    while (at >= 0) {
      const [length] = left.splice(at, 1) as [number];
      pack.push(length);
      room -= length;
      at = left.findLastIndex((candidate) => candidate <= room);
    }
    packs.push(pack);
  }
  return packs;
}

const lengthSets = fc.integer({ min: 1, max: 60 }).chain((capacity) =>
  fc.record({
    capacity: fc.constant(capacity),
    lengths: fc.array(fc.integer({ min: 1, max: capacity }), { maxLength: 80 }),
  }),
);

function sampleOf(length: number, tag: number): Packable {
  const ids = Int32Array.from({ length }, (_, i) => tag * 1000 + i);
  return { ids, learned: Uint8Array.from(ids, (_, i) => (i === 0 ? 0 : i % 2)) };
}

describe('planning packs', () => {
  it('packs the documented example', () => {
    const lengths = [3, 5, 7, 2, 9, 4, 1];
    const packs = planPacks(lengths, 10).map((pack) => pack.map((i) => lengths[i]));
    expect(packs).toEqual([[9, 1], [7, 3], [5, 4], [2]]);
  });

  it('takes the last of equal lengths first', () => {
    expect(planPacks([2, 2, 2], 4)).toEqual([[2, 1], [0]]);
  });

  it('chooses the same lengths as the naive rule', () => {
    fc.assert(
      fc.property(lengthSets, ({ lengths, capacity }) => {
        const packs = planPacks(lengths, capacity).map((pack) => pack.map((i) => lengths[i]!));
        expect(packs).toEqual(naivePacks(lengths, capacity));
      }),
    );
  });

  it('places every sample exactly once and keeps the capacity', () => {
    fc.assert(
      fc.property(lengthSets, ({ lengths, capacity }) => {
        const packs = planPacks(lengths, capacity);
        expect(packs.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, i) => i));
        for (const pack of packs) {
          expect(pack.reduce((sum, i) => sum + lengths[i]!, 0)).toBeLessThanOrEqual(capacity);
        }
      }),
    );
  });

  it('refuses a sample that can never fit', () => {
    expect(() => planPacks([3, 11], 10)).toThrow('Sample 1 has 11 tokens');
    expect(() => planPacks([0], 10)).toThrow('holds 1 to 10');
  });

  it('plans two hundred thousand samples in under a second', () => {
    const lengths = Int32Array.from({ length: 200_000 }, (_, i) => 1 + ((i * 7919) % 2048));
    const begun = performance.now();
    planPacks(lengths, 2048);
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});

describe('building rows', () => {
  it('loses no token, no label and no boundary', () => {
    fc.assert(
      fc.property(lengthSets, ({ lengths, capacity }) => {
        const samples = lengths.map(sampleOf);
        const rows = buildPackedRows(samples, capacity);
        const seen = rows.flatMap((row) => {
          let at = 0;
          return row.segmentLengths.map((length) => {
            const begin = at;
            at += length;
            return [...row.ids.subarray(begin, at)].map((id, i) => [id, row.learned[begin + i]]);
          });
        });
        const expected = samples.map((s) => [...s.ids].map((id, i) => [id, s.learned[i]]));
        const byTag = (a: unknown[][], b: unknown[][]) =>
          (a[0]?.[0] as number) - (b[0]?.[0] as number);
        expect(seen.sort(byTag)).toEqual(expected);
      }),
    );
  });

  it('gives one segment per row when nothing is packed', () => {
    const rows = buildUnpackedRows([sampleOf(3, 1), sampleOf(2, 2)]);
    expect(rows.map((row) => row.segmentLengths)).toEqual([[3], [2]]);
  });

  it('carries labels, and gives those that have none their own tokens', () => {
    const own = {
      ids: Int32Array.of(5, 6, 7),
      learned: Uint8Array.of(0, 1, 0),
      labels: Int32Array.of(-100, 9, -100),
    };
    const plain = { ids: Int32Array.of(1, 2), learned: Uint8Array.of(0, 1) };
    const [row] = buildPackedRows([own, plain], 5);
    expect(row?.labels).toEqual(Int32Array.of(-100, 9, -100, -100, 2));
    expect(buildPackedRows([plain, plain], 5)[0]).not.toHaveProperty('labels');
    expect(buildUnpackedRows([own])[0]?.labels).toEqual(own.labels);
  });

  it('keeps the boundaries of rows that hold several samples already', () => {
    const stored = {
      ids: Int32Array.of(1, 2, 3, 4, 5),
      learned: Uint8Array.of(0, 1, 0, 1, 1),
      segmentLengths: [2, 3],
    };
    const plain = { ids: Int32Array.of(6, 7), learned: Uint8Array.of(0, 1) };
    const [row] = buildPackedRows([plain, stored], 8);
    expect(row).toMatchObject({
      ids: Int32Array.of(1, 2, 3, 4, 5, 6, 7),
      segmentLengths: [2, 3, 2],
    });
    expect(buildUnpackedRows([stored])[0]?.segmentLengths).toEqual([2, 3]);
    const bad = { ...stored, learned: Uint8Array.of(0, 1, 1, 1, 1) };
    expect(() => buildUnpackedRows([bad])).toThrow('never a label');
    const short = { ...stored, segmentLengths: [2, 2] };
    expect(() => buildUnpackedRows([short])).toThrow('add up');
  });

  it('catches a label on a first token', () => {
    const bad = { ids: new Int32Array(2), learned: Uint8Array.of(1, 1) };
    expect(() => buildUnpackedRows([bad])).toThrow('never a label');
  });
});

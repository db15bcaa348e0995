import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLegacyRandom } from './legacy-random.js';
import { createNumpyGenerator } from './numpy-generator.js';
import { type MixOptions, type MixPlan, type MixRun, planMixing } from './plan-mixing.js';

function casesOf<Case>(name: string): readonly Case[] {
  const url = new URL(`../../test/fixtures/mixing/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(url, 'utf8')) as { cases: readonly Case[] }).cases;
}

function rowsOf(plan: MixPlan): [number, number][] {
  const rows: [number, number][] = [];
  for (const { dataset, begin, end } of plan.runs()) {
    for (let row = begin; row < end; row++) rows.push([dataset, row]);
  }
  return rows;
}

/** A double from Python's `float.hex()`. */
function doubleOf(hex: string): number {
  const [, whole, digits, power] = /^0x([01])\.([0-9a-f]{13})p([+-]\d+)$/.exec(hex) ?? [];
  return (Number(whole) + Number(`0x${digits}`) / 2 ** 52) * 2 ** Number(power);
}

describe('NumPy generators', () => {
  it.each(
    casesOf<{ seed: number; random: string[]; permutations: number[][] }>('generator').filter(
      ({ random }) => random !== undefined,
    ),
  )('draw what default_rng($seed) draws', ({ seed, random, permutations }) => {
    const values = new Float64Array(random.length);
    createNumpyGenerator(seed).fillRandom(values);
    expect([...values]).toEqual(random.map(doubleOf));
    for (const permutation of permutations) {
      const drawn = createNumpyGenerator(seed).permutation(permutation.length);
      expect([...drawn]).toEqual(permutation);
    }
  });

  it('keep half of a 64-bit draw for the next 32-bit one, past doubles', () => {
    type Sequence = { first: number[]; random: string[]; second: number[] };
    const { seed, sequence } = casesOf<{ seed: number; sequence?: Sequence }>('generator').at(-1)!;
    const generator = createNumpyGenerator(seed);
    expect([...generator.permutation(6)]).toEqual(sequence!.first);
    const values = new Float64Array(3);
    generator.fillRandom(values);
    expect([...values]).toEqual(sequence!.random.map(doubleOf));
    expect([...generator.permutation(9)]).toEqual(sequence!.second);
  });

  it.each(
    casesOf<{ seed: number; permutation: number[]; choice: number[]; again: number[] }>('legacy'),
  )('draw what numpy.random.seed($seed) draws', ({ seed, permutation, choice, again }) => {
    const random = createLegacyRandom(seed);
    expect([...random.permutation(30)]).toEqual(permutation);
    expect([...random.choice(30, 25)]).toEqual(choice);
    expect([...random.permutation(700)].slice(0, 20)).toEqual(again);
  });

  it.each([-1, 1.5, Number.NaN, 2 ** 53])('refuse the seed %d', (seed) => {
    expect(() => createNumpyGenerator(seed)).toThrow('seed is');
    expect(() => createLegacyRandom(seed)).toThrow('seed is');
  });
});

describe('mixing', () => {
  it.each(
    casesOf<MixOptions & { rows: [number, number][] }>('orders').map((golden, i) => ({
      ...golden,
      i,
    })),
  )('orders rows as datasets does: case $i, $strategy of $counts', ({ rows, ...options }) => {
    const plan = planMixing({ ...options, seed: options.seed ?? 0 });
    expect(rowsOf(plan)).toEqual(rows);
    expect([...plan].map(({ dataset, row }) => [dataset, row])).toEqual(rows);
    expect(plan.rows).toBe(rows.length);
    expect(plan.taken).toEqual(
      options.counts.map((_, dataset) => rows.filter(([of]) => of === dataset).length),
    );
  });

  it.each(casesOf<MixOptions & { length: number; sha256: string }>('long-orders'))(
    'orders $length rows of $strategy as datasets does',
    ({ length, sha256, ...options }) => {
      const plan = planMixing(options);
      const text = rowsOf(plan).map(([dataset, row]) => `${dataset}:${row}\n`);
      expect(plan.rows).toBe(length);
      expect(createHash('sha256').update(text.join('')).digest('hex')).toBe(sha256);
    },
  );

  it('reads every row once and in order when it concatenates', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { maxLength: 6 }), (counts) => {
        const plan = planMixing({ counts, strategy: 'concat', seed: 1 });
        const naive = counts.flatMap((count, d) => Array.from({ length: count }, (_, r) => [d, r]));
        expect(rowsOf(plan)).toEqual(naive);
        expect(plan.rows).toBe(naive.length);
        expect([...plan.runs()].length).toBe(counts.filter((count) => count > 0).length);
      }),
    );
  });

  it('walks in runs what drawing one row at a time gives', () => {
    const sets = fc.array(
      fc.record({ count: fc.integer({ min: 1, max: 30 }), share: fc.integer({ min: 1, max: 9 }) }),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(sets, fc.boolean(), fc.nat(), (mix, isOver, seed) => {
        const total = mix.reduce((sum, { share }) => sum + share, 0);
        const counts = mix.map(({ count }) => count);
        const probabilities = mix.map(({ share }) => share / total);
        const strategy = isOver ? 'interleave_over' : 'interleave_under';
        const plan = planMixing({ counts, strategy, probabilities, seed });
        expect(rowsOf(plan)).toEqual(drawOneByOne(counts, probabilities, isOver, seed));
      }),
    );
  });

  it('stops below or repeats, as the strategy says', () => {
    const counts = [7, 3, 5];
    expect(planMixing({ counts, strategy: 'interleave_under', seed: 0 }).rows).toBe(9);
    const over = planMixing({ counts, strategy: 'interleave_over', seed: 0 });
    expect(over.taken).toEqual([7, 7, 7]);
    const seen = new Set(rowsOf(over).map(String));
    expect(seen.size).toBe(15);
  });

  it('plans ten million weighted rows without holding them', () => {
    const plan = planMixing({
      counts: [4_000_000, 6_000_000],
      strategy: 'interleave_over',
      probabilities: [0.4, 0.6],
      seed: 1,
    });
    expect(plan.rows).toBeGreaterThanOrEqual(10_000_000);
    expect(Math.min(plan.taken[0]! - 4_000_000, plan.taken[1]! - 6_000_000)).toBe(0);
    const first: MixRun[] = [];
    for (const run of plan.runs()) if (first.push(run) === 3) break;
    expect(first).toHaveLength(3);
  });

  it.each<[Partial<MixOptions>, string]>([
    [{ strategy: 'concat', probabilities: [0.5, 0.5] }, 'probabilities are for interleaving'],
    [{ probabilities: [1] }, '1 probabilities (1) for 2 data sets'],
    [{ probabilities: [0.5, 0.6] }, 'sum to 1.1, not 1'],
    [{ probabilities: [-0.5, 1.5] }, 'not all numbers from 0 to 1'],
    [{ probabilities: [Number.NaN, 1] }, 'not all numbers'],
    [{ counts: [3, 0] }, 'data set 2 has no rows'],
    [{ counts: [3, -1] }, 'data set 2 has -1 rows'],
    [{ probabilities: [1, 0], strategy: 'interleave_over' }, 'data set 2 has probability 0'],
    [{ probabilities: [1 - 1e-11, 1e-11], strategy: 'interleave_over' }, 'at most 2^32'],
    [{ probabilities: [0.5, 0.5], seed: -1 }, 'seed is -1'],
  ])('refuses %j', (options, message) => {
    const plan = () =>
      planMixing({ counts: [3, 4], strategy: 'interleave_under', seed: 0, ...options });
    expect(plan).toThrow(message);
    expect(plan).toThrow(expect.objectContaining({ code: 'DATA_BAD_OPTION' }));
  });
});

/** Draws, appends, moves on; the loop that the plan must agree with. */
function drawOneByOne(
  counts: readonly number[],
  probabilities: readonly number[],
  isOver: boolean,
  seed: number,
): [number, number][] {
  const random = createNumpyGenerator(seed);
  const draw = new Float64Array(1);
  const next = counts.map(() => 0);
  const through = new Set<number>();
  const rows: [number, number][] = [];
  while (through.size < (isOver ? counts.length : 1)) {
    random.fillRandom(draw);
    let reached = 0;
    const cdf = probabilities.map((p) => (reached += p));
    const dataset = cdf.findIndex((value) => value / reached > draw[0]!);
    rows.push([dataset, next[dataset]!]);
    next[dataset]!++;
    if (next[dataset] === counts[dataset]) {
      through.add(dataset);
      next[dataset] = 0;
    }
  }
  return rows;
}

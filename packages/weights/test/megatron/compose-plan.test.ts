import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { composePlan } from '../../src/convert/compose-plan.js';
import type { ConvertedDtype, Rectangle, StoredSpec } from '../../src/convert/logical-model.js';
import { megatronLayout } from '../../src/megatron/megatron-layout.js';
import { DEFAULT_MEGATRON_SETTINGS } from '../../src/megatron/settings.js';
import { runPieces, type Stored, sourceOf, storeBySpecs } from './run-plan.js';
import { tinyModel } from './tiny-models.js';

const rectangle = (changes: Partial<Rectangle>): Rectangle => ({
  logical: 'a',
  logicalRow: 0,
  logicalCol: 0,
  rows: 4,
  cols: 4,
  storedRow: 0,
  storedCol: 0,
  transpose: false,
  ...changes,
});

const spec = (
  name: string,
  shape: readonly number[],
  ...rectangles: Partial<Rectangle>[]
): StoredSpec => ({ shard: '', name, shape, rectangles: rectangles.map(rectangle) });

const compose = (from: StoredSpec[], to: StoredSpec[], dtypes: ConvertedDtype[] = []) =>
  composePlan(
    from.map((each, at) => ({
      spec: each,
      tensor: { ...sourceOf(each), dtype: dtypes[at] ?? 'BF16' },
    })),
    to,
    { dtype: null },
  );

describe('composePlan', () => {
  it('makes one piece of rectangles that continue each other on both sides', () => {
    const halves = [{ rows: 2 }, { rows: 2, logicalRow: 2, storedRow: 2 }];
    const { targets } = compose([spec('s', [4, 4], ...halves)], [spec('t', [4, 4], {})]);
    expect(targets[0]!.tensor.pieces).toEqual([
      {
        source: 0,
        sourceRow: 0,
        sourceCol: 0,
        rows: 4,
        cols: 4,
        targetRow: 0,
        targetCol: 0,
        transpose: false,
      },
    ]);
  });

  it('turns what only one side has turned', () => {
    const turned = { transpose: true };
    const pieceOf = (from: object, to: object): boolean =>
      compose([spec('s', [4, 4], from)], [spec('t', [4, 4], to)]).targets[0]!.tensor.pieces[0]!
        .transpose;
    expect([pieceOf(turned, {}), pieceOf({}, turned), pieceOf(turned, turned)]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('moves every element of two random layouts to its place', () => {
    const cuts = fc.record({
      rows: fc.uniqueArray(fc.integer({ min: 1, max: 11 }), { maxLength: 4 }),
      cols: fc.uniqueArray(fc.integer({ min: 1, max: 8 }), { maxLength: 3 }),
      turns: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    });
    const logical: Stored = {
      rows: 12,
      cols: 9,
      numbers: Float64Array.from({ length: 108 }, (_, at) => at + 1),
    };
    fc.assert(
      fc.property(cuts, cuts, (from, to) => {
        const logicals = new Map([['a', logical]]);
        const [source, target] = [gridSpecs(from), gridSpecs(to)];
        const stored = storeBySpecs(source, logicals);
        const expected = storeBySpecs(target, logicals);
        for (const [at, { tensor }] of compose(source, target).targets.entries()) {
          expect(runPieces(tensor, stored).numbers).toEqual(expected[at]!.numbers);
        }
      }),
    );
  });

  it('reads the first of replicas, also where they only overlap, and lists the equal ones', () => {
    const full = spec('full', [4, 4], {});
    const top = spec('top', [2, 4], { rows: 2 });
    const { targets, replicas } = compose([top, full, full], [spec('t', [4, 4], {})]);
    const pieces = targets[0]!.tensor.pieces;
    expect(pieces.map(({ source, rows }) => [source, rows])).toEqual([
      [0, 2],
      [1, 2],
    ]);
    expect(replicas.map(([a, b]) => [a.source, b.source])).toEqual([[1, 2]]);
  });

  it('lists logical tensors that the target does not take', () => {
    const other = spec('o', [4, 4], { logical: 'b' });
    expect(compose([spec('s', [4, 4], {}), other], [spec('t', [4, 4], {})]).unused).toEqual(['b']);
  });

  it('names the elements that no source holds', () => {
    const partial = spec('s', [3, 4], { rows: 3 });
    expect(() => compose([partial], [spec('t', [4, 4], {})])).toThrow(
      't needs rows 3…4 × columns 0…4 of a, which the source does not hold',
    );
    expect(() => compose([], [spec('t', [4, 4], {})])).toThrow('needs rows 0…4 × columns 0…4 of a');
  });

  it('refuses a target that fills an element twice, not at all, or outside', () => {
    const source = [spec('s', [4, 4], {})];
    expect(() => compose(source, [spec('t', [4, 4], {}, { rows: 1, storedRow: 3 })])).toThrow(
      'The layout of t fills an element twice: rows 0…4 × columns 0…4 and rows 3…4 × columns 0…4',
    );
    expect(() => compose(source, [spec('t', [5, 4], {})])).toThrow('fills 16 of 20 elements');
    expect(() => compose(source, [spec('t', [3, 4], {})])).toThrow('outside of 3 × 4');
  });

  it('keeps types, widens mixed ones, and casts only floats', () => {
    const from = [spec('x', [2, 4], { rows: 2 }), spec('y', [2, 4], { rows: 2, logicalRow: 2 })];
    const to = [spec('t', [4, 4], {})];
    const dtypeOf = (...dtypes: ConvertedDtype[]): ConvertedDtype =>
      compose(from, to, dtypes).targets[0]!.tensor.dtype;
    expect([dtypeOf('F16', 'F16'), dtypeOf('BF16', 'F16'), dtypeOf('I64', 'I64')]).toEqual([
      'F16',
      'F32',
      'I64',
    ]);
    expect(() => dtypeOf('I64', 'BF16')).toThrow('not cast to each other');
    const tensors = from.map((each) => ({ spec: each, tensor: sourceOf(each) }));
    const cast = (keeps: boolean): ConvertedDtype =>
      composePlan(tensors, to, { dtype: 'F32', keepsDtype: () => keeps }).targets[0]!.tensor.dtype;
    expect([cast(false), cast(true)]).toEqual(['F32', 'BF16']);
  });

  it('grows near linearly: 80 layers over 8 × 4 ranks take a few seconds of processor time', () => {
    const sizes = { heads: 64, groups: 8, headDim: 128, hidden: 8192, ffn: 28672, vocab: 128256 };
    const model = tinyModel({ layers: 80, ...sizes });
    const settings = { ...DEFAULT_MEGATRON_SETTINGS, tensorParallel: 8, pipelineParallel: 4 };
    const before = process.cpuUsage();
    const layout = megatronLayout(model, { ...settings, vocabularyPadding: 'last_row' });
    const sources = layout.map((each) => ({ spec: each, tensor: sourceOf(each) }));
    const other = megatronLayout(model, { ...DEFAULT_MEGATRON_SETTINGS, tensorParallel: 4 });
    composePlan(sources, other, { dtype: null });
    const { user } = process.cpuUsage(before);
    expect(user / 1e6).toBeLessThan(5);
  });
});

/** The logical tensor [12, 9] cut into a grid, each field a stored tensor, some of them turned. */
function gridSpecs(cuts: {
  readonly rows: readonly number[];
  readonly cols: readonly number[];
  readonly turns: readonly boolean[];
}): StoredSpec[] {
  const runs = (inner: readonly number[], size: number): [number, number][] => {
    const edges = [0, ...[...inner].sort((a, b) => a - b), size];
    return edges.slice(1).map((end, at) => [edges[at]!, end - edges[at]!]);
  };
  let next = 0;
  return runs(cuts.rows, 12).flatMap(([logicalRow, rows]) =>
    runs(cuts.cols, 9).map(([logicalCol, cols]) => {
      const transpose = cuts.turns[next++ % cuts.turns.length]!;
      const shape = transpose ? [cols, rows] : [rows, cols];
      return spec(`s${next}`, shape, { logicalRow, logicalCol, rows, cols, transpose });
    }),
  );
}

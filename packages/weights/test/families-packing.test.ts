import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import type { LogicalModel, Rectangle, StoredSpec } from '../src/convert/logical-model.js';
import { familyFixture } from './tiny-checkpoint.js';

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`fixtures/${name}.json`, import.meta.url), 'utf8'));

type Hashes = Readonly<Record<string, Readonly<Record<string, string>>>>;
const PACKING = read('families-packing') as { readonly logical: Hashes; readonly fused: Hashes };
const DEFAULTS = read('families-defaults') as Readonly<
  Record<
    string,
    {
      readonly config: Readonly<Record<string, unknown>>;
      readonly fused: readonly (readonly [string, readonly number[]])[];
    }
  >
>;

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, size) => n * size, 1);
const colsOf = (shape: readonly number[]): number => (shape.length > 1 ? shape.at(-1)! : 1);
const hash = (values: Float32Array): string =>
  createHash('sha256').update(new Uint8Array(values.buffer)).digest('hex').slice(0, 16);

/** The same values as `filled` of the oracle. */
function filled(name: string, shape: readonly number[]): Float32Array {
  const seed = [...name].reduce((sum, letter, k) => sum + (k + 1) * letter.charCodeAt(0), 0);
  return Float32Array.from(
    { length: sizeOf(shape) },
    (_, i) => ((i * 31 + seed) % 8191) / 8191 - 0.5,
  );
}

interface Grid {
  readonly values: Float32Array;
  readonly cols: number;
}

function copy(from: Grid, to: Grid, r: Rectangle, toLogical: boolean): void {
  for (let row = 0; row < r.rows; row++) {
    for (let col = 0; col < r.cols; col++) {
      const [storedCols, logicalCols] = toLogical ? [from.cols, to.cols] : [to.cols, from.cols];
      const stored = (r.storedRow + row) * storedCols + r.storedCol + col;
      const logical = (r.logicalRow + row) * logicalCols + r.logicalCol + col;
      if (toLogical) to.values[logical] = from.values[stored]!;
      else to.values[stored] = from.values[logical]!;
    }
  }
}

function unpacked(model: LogicalModel, layout: readonly StoredSpec[]): Map<string, Grid> {
  const logical = new Map(
    model.tensors.map(({ id, shape }): [string, Grid] => [
      id,
      { values: new Float32Array(sizeOf(shape)), cols: colsOf(shape) },
    ]),
  );
  for (const { name, shape, rectangles } of layout) {
    const stored = { values: filled(name, shape), cols: colsOf(shape) };
    for (const r of rectangles) copy(stored, logical.get(r.logical)!, r, true);
  }
  return logical;
}

function packed(logical: ReadonlyMap<string, Grid>, { shape, rectangles }: StoredSpec) {
  const stored = { values: new Float32Array(sizeOf(shape)), cols: colsOf(shape) };
  for (const r of rectangles) copy(logical.get(r.logical)!, stored, r, false);
  return stored.values;
}

const modelOf = (name: string): LogicalModel => logicalModel(familyFixture(name).config, name);

describe('packed tensors', () => {
  it.each(Object.keys(PACKING.logical))('of %s come apart as its own code cuts them', (name) => {
    const model = modelOf(name);
    const logical = unpacked(model, hfLayout(model));
    const expected = PACKING.logical[name]!;
    const found = Object.keys(expected).map((id) => [id, hash(logical.get(id)!.values)]);
    expect(found.length).toBeGreaterThan(7);
    expect(Object.fromEntries(found)).toEqual(expected);
  });

  it.each(Object.keys(PACKING.fused))(
    'of %s hold published experts as transformers puts them together',
    (name) => {
      const model = modelOf(name);
      const logical = unpacked(model, hfLayout(model));
      const expected = PACKING.fused[name]!;
      const found = hfLayout(model, { style: 'fused' })
        .filter((spec) => spec.name in expected)
        .map((spec) => [spec.name, hash(packed(logical, spec))]);
      expect(Object.fromEntries(found)).toEqual(expected);
    },
  );
});

describe('absent keys', () => {
  it.each(Object.keys(DEFAULTS))('of %s mean what its library assumes', (modelType) => {
    const { config, fused } = DEFAULTS[modelType]!;
    const layout = hfLayout(logicalModel(config, modelType), { style: 'fused' });
    const shown = layout.filter(({ name }) => !/\.[123]\./.test(name));
    const byName = new Map(shown.map(({ name, shape }) => [name, shape]));
    expect(byName).toEqual(new Map(fused));
  });
});

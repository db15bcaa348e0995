import { createRng, type Rng } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jaccard, shingleHashes } from './kernels/minhash.js';
import { NearDuplicateIndex } from './near-duplicates.js';

/** A text and edited copies of it, of every degree of likeness. */
function makeFamilies(rng: Rng, families: number): Int32Array[] {
  const texts: Int32Array[] = [];
  for (let i = 0; i < families; i++) {
    const length = 40 + rng.nextInt(160);
    const text = Int32Array.from({ length }, () => rng.nextInt(5000));
    texts.push(text);
    for (let copy = 0; copy < 3; copy++) {
      const edited = Int32Array.from(text);
      const edits = rng.nextInt(1 + Math.floor(length / 30));
      for (let e = 0; e < edits; e++) edited[rng.nextInt(length)] = 5000 + rng.nextInt(9);
      texts.push(edited);
    }
  }
  rng.shuffle(texts);
  return texts;
}

/** Runs of four tokens as a set of strings: shares no code with the index. */
function naiveShingles(ids: Int32Array): Set<string> {
  const set = new Set<string>();
  for (let i = 0; i + 4 <= ids.length; i++) set.add(ids.slice(i, i + 4).join(' '));
  return set;
}

function naiveJaccard(a: Set<string>, b: Set<string>): number {
  let shared = 0;
  for (const shingle of a) if (b.has(shingle)) shared++;
  return shared / (a.size + b.size - shared);
}

/** The greatest likeness to an earlier row, by comparing all pairs. */
function naiveBest(texts: readonly Int32Array[]): number[] {
  const sets = texts.map(naiveShingles);
  return sets.map((set, i) =>
    sets.slice(0, i).reduce((best, other) => Math.max(best, naiveJaccard(set, other)), 0),
  );
}

describe('the likeness of two sets', () => {
  it('is what counting elements gives', () => {
    const set = fc.uniqueArray(fc.nat(50), { minLength: 1 });
    fc.assert(
      fc.property(set, set, (a, b) => {
        const shared = a.filter((x) => b.includes(x)).length;
        const sorted = (list: number[]) => Uint32Array.from(list).sort();
        const expected = shared / new Set([...a, ...b]).size;
        expect(jaccard(sorted(a), sorted(b))).toBeCloseTo(expected, 12);
      }),
    );
  });

  it('is that of sets of strings on runs of four tokens', () => {
    const [a, b] = makeFamilies(createRng(3), 1) as [Int32Array, Int32Array];
    expect(jaccard(shingleHashes(a), shingleHashes(b))).toBeCloseTo(
      naiveJaccard(naiveShingles(a), naiveShingles(b)),
      12,
    );
  });
});

describe('finding near duplicates', () => {
  it('finds what comparing all pairs finds: recall above 99.5 %, no false find', () => {
    const texts = makeFamilies(createRng(5), 120);
    const expected = naiveBest(texts);
    const index = new NearDuplicateIndex({ threshold: 0.9 });
    const found = texts.map((text) => index.findAndAdd(text));
    const near = expected.filter((best) => best >= 0.9).length;
    const hits = found.filter((match, i) => match !== undefined && expected[i]! >= 0.9).length;
    const wrong = found.filter((match, i) => match !== undefined && expected[i]! < 0.9).length;
    expect(near).toBeGreaterThan(100);
    expect(hits / near).toBeGreaterThan(0.995);
    expect(wrong).toBe(0);
    for (const [i, match] of found.entries()) {
      if (match !== undefined) expect(match.similarity).toBeLessThanOrEqual(expected[i]! + 1e-12);
    }
  });

  it('estimates beyond its budget: recall and precision above 80 %, what is found is alike', () => {
    const texts = makeFamilies(createRng(6), 120);
    const expected = naiveBest(texts);
    const index = new NearDuplicateIndex({ threshold: 0.9, shinglesMax: 0 });
    const found = texts.map((text) => index.findAndAdd(text));
    const near = expected.filter((best) => best >= 0.9).length;
    const hits = found.filter((match, i) => match !== undefined && expected[i]! >= 0.9).length;
    const all = found.filter((match) => match !== undefined).length;
    expect(hits / near).toBeGreaterThan(0.8);
    expect(hits / all).toBeGreaterThan(0.8);
    // The spread of 60 places at 0.9 is 0.039: what is found wrongly is near the border.
    for (const match of found.filter((m) => m !== undefined)) {
      expect(expected[found.indexOf(match)]!).toBeGreaterThan(0.78);
    }
  });

  it('is exact up to its budget and goes on after it', () => {
    const text = Int32Array.from({ length: 103 }, (_, i) => i);
    const other = Int32Array.from({ length: 103 }, (_, i) => 1000 + i);
    const index = new NearDuplicateIndex({ threshold: 0.9, shinglesMax: 150 });
    expect(index.findAndAdd(text)).toBeUndefined();
    expect(index.findAndAdd(other)).toBeUndefined();
    expect(index.findAndAdd(text)).toEqual({ index: 0, similarity: 1 });
    expect(index.findAndAdd(other)).toEqual({ index: 1, similarity: 1 });
  });

  it('compares a row with a bounded number of others when all are the same', () => {
    const text = Int32Array.from({ length: 30 }, (_, i) => i);
    const index = new NearDuplicateIndex({ threshold: 0.9 });
    for (let i = 0; i < 5000; i++) index.findAndAdd(text);
    expect(index.findAndAdd(text)).toEqual({ index: 0, similarity: 1 });
  });

  it('gives the same answers every time', () => {
    const run = () => {
      const index = new NearDuplicateIndex({ threshold: 0.9 });
      return makeFamilies(createRng(7), 30).map((text) => index.findAndAdd(text));
    };
    expect(run()).toEqual(run());
  });
});

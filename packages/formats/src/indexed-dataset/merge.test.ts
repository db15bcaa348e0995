import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mergeIndexedDatasets, splitIndexedDataset } from './merge.js';
import { planDocumentSplit } from './plan-split.js';
import { IndexedDatasetReader } from './reader.js';
import { verifyIndexedDataset } from './verify.js';
import { IndexedDatasetWriter, type WrittenDtype } from './writer.js';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tuneyard-merge-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});
const pathOf = (name: string): string => join(directory, name);

async function write(name: string, documents: number[][][], dtype: WrittenDtype = 'int32') {
  await using writer = await IndexedDatasetWriter.create(pathOf(name), { dtype });
  for (const document of documents) {
    for (const sequence of document) await writer.append(Int32Array.from(sequence));
    writer.endDocument();
  }
  await writer.commit();
  return pathOf(name);
}

async function read(prefix: string): Promise<number[][][]> {
  await using reader = await IndexedDatasetReader.open(prefix);
  const documents: number[][][] = [];
  for (let d = 0; d < reader.documentCount; d++) {
    const { first, end } = reader.documentRange(d);
    const document: number[][] = [];
    for (let i = first; i < end; i++) document.push([...(await reader.sequence(i))]);
    documents.push(document);
  }
  return documents;
}

const documents = fc.array(fc.array(fc.array(fc.nat(999), { maxLength: 6 }), { maxLength: 3 }), {
  maxLength: 12,
});

describe('merging and splitting', () => {
  it('are the concatenation of documents and its inverse', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(documents, { minLength: 1, maxLength: 4 }), async (parts) => {
        const names = parts.map((_, i) => `part${i}`);
        const prefixes = await Promise.all(parts.map((part, i) => write(names[i]!, part)));
        const merged = pathOf('merged');
        const written = await mergeIndexedDatasets(merged, prefixes);
        expect(await read(merged)).toEqual(parts.flat());
        expect(written.tokens).toBe(parts.flat(3).length);
        const counts = parts.map((part) => part.length);
        const split = planDocumentSplit(parts.flat().length, { counts });
        const outputs = names.map((name) => pathOf(`again-${name}`));
        await splitIndexedDataset(merged, outputs, split);
        for (const [i, output] of outputs.entries()) {
          for (const extension of ['.bin', '.idx']) {
            expect(await readFile(output + extension)).toEqual(
              await readFile(prefixes[i] + extension),
            );
          }
        }
      }),
      { seed: 20_261_125, numRuns: 15 },
    );
  });

  it('refuse outputs that are inputs or named twice, and other element types', async () => {
    const a = await write('a', [[[1]]]);
    const b = await write('b', [[[2]]], 'uint16');
    await expect(mergeIndexedDatasets(a, [a, a])).rejects.toMatchObject({
      code: 'INDEXED_DATASET_OUTPUT_CONFLICT',
    });
    const split = planDocumentSplit(1, { counts: [1, 0] });
    const twice = [pathOf('c'), `${directory}/./c.bin`];
    await expect(splitIndexedDataset(a, twice, split)).rejects.toMatchObject({
      code: 'INDEXED_DATASET_OUTPUT_CONFLICT',
    });
    await expect(mergeIndexedDatasets(pathOf('m'), [a, b])).rejects.toMatchObject({
      code: 'INDEXED_DATASET_DTYPE_MISMATCH',
      message: expect.stringContaining('uint16'),
    });
  });
});

describe('planning a split', () => {
  /** Python's `int(round(share * documents))` of cumulative shares, for the cases of megatron-core. */
  it.each([
    [1000, [949, 50, 1], [949, 50, 1]],
    [10, [0.9, 0.1], [9, 1]],
    [5, [0.5, 0.5], [2, 3]],
    [7, [1, 1], [4, 3]],
    [3, [100, 0, 0], [3, 0, 0]],
    [0, [1, 1], [0, 0]],
  ])('%i documents by %j gives %j', (count, fractions, wanted) => {
    const split = planDocumentSplit(count, { fractions });
    const sizes = split.parts.map((runs) =>
      runs.reduce((sum, { first, end }) => sum + end - first, 0),
    );
    expect(sizes).toEqual(wanted);
  });

  it('places every document once, and the same way for a seed', () => {
    const shares = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.nat(200), shares, fc.option(fc.nat()), (count, fractions, seed) => {
        fc.pre(fractions.some((share) => share > 0));
        const options = seed === null ? {} : { seed };
        const split = planDocumentSplit(count, { fractions }, options);
        const placed = split.parts.map((runs) =>
          runs.flatMap(({ first, end }) =>
            Array.from({ length: end - first }, (_, i) => first + i),
          ),
        );
        for (const part of placed) expect(part).toEqual([...part].sort((a, b) => a - b));
        const all = placed.flat().sort((a, b) => a - b);
        expect(all).toEqual(Array.from({ length: count }, (_, i) => i));
        expect(planDocumentSplit(count, { fractions }, options)).toEqual(split);
      }),
    );
  });

  it('refuses shares and counts that mean nothing', () => {
    const code = 'INDEXED_DATASET_BAD_SPLIT';
    for (const sizes of [
      { fractions: [0, 0] },
      { fractions: [1, -1] },
      { fractions: [Number.NaN] },
      { fractions: [] },
      { counts: [4, 7] },
      { counts: [1.5] },
      { counts: [] },
    ]) {
      expect(() => planDocumentSplit(10, sizes)).toThrow(expect.objectContaining({ code }));
    }
  });

  it('refuses a plan for another data set', async () => {
    const a = await write('a', [[[1]], [[2]]]);
    const split = planDocumentSplit(3, { fractions: [1] });
    await expect(splitIndexedDataset(a, [pathOf('b')], split)).rejects.toMatchObject({
      code: 'INDEXED_DATASET_BAD_SPLIT',
    });
  });
});

describe('verifying', () => {
  it('counts what is there and hashes both files', async () => {
    const prefix = await write('v', [[[5, 7], []], [], [[-100, 3, 9]]]);
    const sha = async (extension: string) =>
      createHash('sha256')
        .update(await readFile(prefix + extension))
        .digest('hex');
    expect(await verifyIndexedDataset(prefix, { hash: true })).toEqual({
      prefix,
      dtype: 'int32',
      sequences: 3,
      documents: 3,
      tokens: 5,
      emptySequences: 1,
      emptyDocuments: 1,
      longest: 3,
      minValue: -100,
      maxValue: 9,
      unusedBytes: 0,
      fault: null,
      sha256: { bin: await sha('.bin'), idx: await sha('.idx') },
    });
    expect(await verifyIndexedDataset(await write('none', []))).toMatchObject({
      sequences: 0,
      minValue: 0,
      maxValue: 0,
      sha256: null,
    });
  });

  it('names the first value out of range', async () => {
    const prefix = await write('v', [
      [
        [5, 7],
        [0, 100],
      ],
      [[-100]],
    ]);
    const range = { min: 0, max: 99 };
    const report = await verifyIndexedDataset(prefix, { range });
    expect(report.fault).toEqual({ sequence: 1, position: 1, value: 100 });
    const labels = await verifyIndexedDataset(prefix, { range: { min: 0, max: 100, also: -100 } });
    expect(labels.fault).toBeNull();
    const ids = await verifyIndexedDataset(prefix, { range: { min: 0, max: 100 } });
    expect(ids.fault).toEqual({ sequence: 2, position: 0, value: -100 });
  });

  it('tells of bytes that belong to no sequence', async () => {
    const prefix = await write('v', [[[1]]]);
    await writeFile(`${prefix}.bin`, Int32Array.of(1, 2, 3));
    expect(await verifyIndexedDataset(prefix)).toMatchObject({ tokens: 1, unusedBytes: 8 });
  });
});

import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IndexedDatasetWriter } from '@tuneyard/formats';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildDataReport } from '../encode/data-report.js';
import { planPacks } from '../packing/plan-packs.js';
import type { StoredSample } from './stored-samples.js';
import { describeOutputs } from './token-files.js';
import { openTokenSet, writeTokenSet } from './token-set.js';
import { readTokenSetMeta, tokenSetFiles, writeTokenSetMeta } from './token-set-meta.js';
import { openTokenSetReader } from './token-set-reader.js';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-tokens-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const meta = { vocabSize: 100, template: 'plain', cutoffLength: 64, stopTokenIds: [1] };
const reportOf = (samples: readonly StoredSample[]) =>
  buildDataReport({
    rows: samples.length,
    keptRows: samples.length,
    samples,
    truncated: [],
    rejected: [],
    packCapacity: null,
  });

const origin = {
  row: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  source: fc.constantFrom('a', 'b', 'ünïcode "set"'),
};
const token = fc.record({ id: fc.nat(99), on: fc.boolean(), label: fc.nat(99) });

/** Samples with masks, some with labels of their own, some of several segments. */
const sample: fc.Arbitrary<StoredSample> = fc
  .tuple(
    fc.array(fc.array(token, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 3 }),
    fc.boolean(),
    fc.record(origin),
  )
  .map(([segments, hasLabels, from]) => {
    const tokens = segments.flat();
    const starts = new Set<number>();
    let at = 0;
    for (const segment of segments) {
      starts.add(at);
      at += segment.length;
    }
    const learned = Uint8Array.from(tokens, ({ on }, i) => (on && !starts.has(i) ? 1 : 0));
    const labels = Int32Array.from(tokens, ({ label }, i) => (learned[i] === 1 ? label : -100));
    const isOther = tokens.some(({ id }, i) => learned[i] === 1 && labels[i] !== id);
    return {
      ids: Int32Array.from(tokens, ({ id }) => id),
      learned,
      ...(hasLabels && isOther ? { labels } : {}),
      ...(segments.length > 1 ? { segmentLengths: segments.map(({ length }) => length) } : {}),
      ...from,
    };
  });

const text: fc.Arbitrary<StoredSample> = fc
  .tuple(fc.array(fc.nat(99), { minLength: 1, maxLength: 20 }), fc.record(origin))
  .map(([ids, from]) => ({
    ids: Int32Array.from(ids),
    learned: Uint8Array.from(ids, (_, i) => (i === 0 ? 0 : 1)),
    ...from,
  }));

describe('a token set on disk', () => {
  it('gives back every sample, the meta data and the report', async () => {
    const samples = fc.array(sample, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(samples, async (list) => {
        const into = await mkdtemp(join(dir, 'set-'));
        await writeTokenSet(into, list, { meta, report: reportOf(list) });
        expect(await openTokenSet(into)).toEqual({ samples: list, meta, report: reportOf(list) });
      }),
      { numRuns: 30 },
    );
  });

  it('gives back raw text as one data set', async () => {
    const textMeta = { ...meta, template: null };
    const samples = fc.array(text, { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(samples, async (list) => {
        const into = await mkdtemp(join(dir, 'set-'));
        await writeTokenSet(into, list, { meta: textMeta, report: reportOf(list) });
        expect((await readdir(into)).sort()).toEqual([
          'data_report.json',
          'data_text_document.bin',
          'data_text_document.idx',
          'origins.safetensors',
          'token_set.json',
        ]);
        const set = await openTokenSet(into);
        expect(set).toEqual({ samples: list, meta: textMeta, report: reportOf(list) });
      }),
      { numRuns: 10 },
    );
  });

  it('is what trainers of the ModelLink family read', async () => {
    const sample: StoredSample = {
      ids: Int32Array.of(5, 6, 7, 8),
      learned: Uint8Array.of(0, 0, 1, 1),
      labels: Int32Array.of(-100, -100, 9, 8),
      row: 1,
      source: 'a',
    };
    await writeTokenSet(dir, [sample], { meta, report: reportOf([sample]) });
    const wanted = {
      input_ids: [5, 6, 7, 8],
      attention_mask: [1, 1, 1, 1],
      labels: [-100, -100, 9, 8],
    };
    for (const [field, values] of Object.entries(wanted)) {
      const bytes = await readFile(join(dir, `data_packed_${field}_document.bin`));
      expect([...new Int32Array(Uint8Array.from(bytes).buffer)]).toEqual(values);
    }
  });

  it('refuses an id outside the vocabulary before writing', async () => {
    const bad = { ids: Int32Array.of(1, 100), learned: new Uint8Array(2), row: 1, source: 'a' };
    const writing = writeTokenSet(join(dir, 'new'), [bad], { meta, report: reportOf([bad]) });
    await expect(writing).rejects.toMatchObject({
      code: 'DATA_BAD_TOKEN_SET',
      message: expect.stringContaining('sample 0: token 1 has the id 100'),
    });
    expect(await readdir(dir)).toEqual([]);
  });

  describe('that is damaged', () => {
    const good = [1, 2].map((row) => ({
      ids: Int32Array.of(1, 2),
      learned: Uint8Array.of(0, 1),
      row,
      source: 'a',
    }));
    const replaceField = async (field: string, sequences: number[][]) => {
      const prefix = join(dir, `data_packed_${field}_document`);
      await using writer = await IndexedDatasetWriter.create(prefix);
      for (const sequence of sequences) {
        await writer.append(Int32Array.from(sequence));
        writer.endDocument();
      }
      await writer.commit();
    };
    const describeWith = async (change: object) => {
      const path = join(dir, 'token_set.json');
      const stored = JSON.parse(await readFile(path, 'utf8'));
      await writeFile(path, JSON.stringify({ ...stored, ...change }));
    };

    it.each<[string, () => Promise<unknown>, string]>([
      ['by a field that is shorter', () => replaceField('labels', [[-100, 2]]), 'labels has 1 seq'],
      [
        'by sequences of other lengths',
        () => replaceField('labels', [[-100, 2], [-100]]),
        'sequence 1 has 2 tokens in data_packed_input_ids_document and 1 in data_packed_labels',
      ],
      [
        'by a mask that numbers nothing',
        () =>
          replaceField('attention_mask', [
            [1, 1],
            [2, 1],
          ]),
        'attention mask of sequence 1',
      ],
      [
        'by an id',
        () =>
          replaceField('input_ids', [
            [1, 2],
            [3, -4],
          ]),
        'row 2: token 1 has the id -4',
      ],
      ['by its version', () => describeWith({ version: 3 }), 'not a token set of version 2'],
      ['by its kind', () => describeWith({ kind: 'other' }), 'not a token set'],
      [
        'by a field that leaves the directory',
        () => describeWith({ kind: 'pretrain', fields: ['x/../../y'] }),
        'not a token set',
      ],
      ['by its sources', () => describeWith({ sources: [] }), 'a source is out of range'],
      [
        'by a description that is cut',
        () => writeFile(join(dir, 'token_set.json'), '{'),
        'not JSON',
      ],
      ['by a missing report', () => rm(join(dir, 'data_report.json')), 'the report is missing'],
      [
        'by origins of other sequences',
        async () => {
          const fields = ['input_ids', 'attention_mask', 'labels'];
          for (const field of fields) await replaceField(field, [[1, 1]]);
        },
        '2 rows and 2 sources for 1 sequences',
      ],
    ])('%s is refused', async (_, damage, message) => {
      await writeTokenSet(dir, good, { meta, report: reportOf(good) });
      await damage();
      await expect(openTokenSet(dir)).rejects.toMatchObject({
        code: 'DATA_BAD_TOKEN_SET',
        message: expect.stringContaining(message),
      });
    });
  });

  it('of an older version is refused by name', async () => {
    await writeFile(join(dir, 'tokens.safetensors'), '');
    await expect(openTokenSet(dir)).rejects.toMatchObject({
      code: 'DATA_BAD_TOKEN_SET',
      message: expect.stringContaining('has version 1'),
    });
  });

  it('can be written piece by piece', async () => {
    const files = tokenSetFiles(dir, 'pretrain', ['text', 'title']);
    for (const [i, { prefix }] of files.entries()) {
      await using writer = await IndexedDatasetWriter.create(prefix);
      await writer.appendDocuments(Int32Array.of(1, 2, 3 + i), Int32Array.of(2, 1));
      await writer.commit();
    }
    const description = {
      kind: 'pretrain' as const,
      fields: ['text', 'title'],
      meta: { ...meta, template: null, packing: null },
      sources: ['wiki'],
      origins: null,
    };
    await writeTokenSetMeta(dir, description, reportOf([]));
    expect(await readTokenSetMeta(dir)).toEqual(description);
    const { samples } = await openTokenSet(dir);
    expect(samples.map(({ ids, source }) => [source, ...ids])).toEqual([
      ['data_text_document', 1, 2],
      ['data_text_document', 3],
      ['data_title_document', 1, 2],
      ['data_title_document', 4],
    ]);
    await expect(openTokenSetReader(dir)).rejects.toThrow(
      'pass one of data_text_document, data_title',
    );
  });
});

describe('data sets that MindSpeed-LLM wrote', () => {
  const folder = fileURLToPath(new URL('../../test/fixtures/packing/', import.meta.url));
  interface Case {
    readonly samples: { readonly input_ids: number[]; readonly labels: number[] }[];
    readonly seq_length: number;
  }
  const load = async (name: string): Promise<Case> =>
    JSON.parse(await readFile(join(folder, 'modellink.json'), 'utf8'))[name];
  const learnedOf = (labels: readonly number[]) =>
    labels.map((label, i) => (i > 0 && label !== -100 ? 1 : 0));

  it('give the samples that went in', async () => {
    const { samples, seq_length } = await load('plain');
    const kept = samples.filter(({ input_ids }) => input_ids.length < seq_length);
    const set = await openTokenSet(join(folder, 'plain'));
    const found = set.samples.map(({ ids, learned }) => ({ ids: [...ids], learned: [...learned] }));
    const wanted = kept.map(({ input_ids, labels }) => ({
      ids: input_ids,
      learned: learnedOf(labels),
    }));
    expect(found).toEqual(wanted);
    expect(set.meta).toMatchObject({ template: null, stopTokenIds: [] });
    expect(set.samples[0]).toMatchObject({ row: 1, source: 'plain' });
    expect(set.report).toMatchObject({ rows: kept.length, samples: kept.length });
  });

  it('give rows with the boundaries of their samples when the mask numbers them', async () => {
    const { samples, seq_length } = await load('neat');
    const lengths = samples.map(({ input_ids }) => Math.min(input_ids.length, seq_length - 1));
    const packs = planPacks(lengths, seq_length - 1);
    const { samples: rows } = await openTokenSet(join(folder, 'neat'));
    expect(rows.map((row) => row.segmentLengths ?? [row.ids.length])).toEqual(
      packs.map((pack) => pack.map((i) => lengths[i])),
    );
    const ids = packs.map((pack) =>
      pack.flatMap((i) => samples[i]!.input_ids.slice(0, lengths[i])),
    );
    expect(rows.map((row) => [...row.ids])).toEqual(ids);
    const learned = packs.map((pack) =>
      pack.flatMap((i) => learnedOf(samples[i]!.labels.slice(0, lengths[i]))),
    );
    expect(rows.map((row) => [...row.learned])).toEqual(learned);
  });

  it('give rows without their padding when they are packed plainly', async () => {
    const { samples, seq_length } = await load('pack');
    const kept = samples.filter(({ input_ids }) => input_ids.length < seq_length);
    const packs = planPacks(
      kept.map(({ input_ids }) => input_ids.length),
      seq_length - 1,
    );
    const { samples: rows } = await openTokenSet(join(folder, 'pack'));
    const ids = packs.map((pack) => pack.flatMap((i) => kept[i]!.input_ids));
    expect(rows.map((row) => [...row.ids])).toEqual(ids);
    expect(rows.every((row) => row.segmentLengths === undefined)).toBe(true);
  });
});

describe('data sets of other tools', () => {
  const write = async (prefix: string, sequences: number[][]) => {
    await using writer = await IndexedDatasetWriter.create(prefix);
    for (const sequence of sequences) {
      await writer.append(Int32Array.from(sequence));
      writer.endDocument();
    }
    await writer.commit();
  };

  it('of raw text are cut to the length asked for, and empty documents give nothing', async () => {
    await write(join(dir, 'wiki_text_document'), [[1, 2, 3, 4, 5], [], [6, 7]]);
    const set = await openTokenSet(join(dir, 'wiki'), { maxLength: 2 });
    expect(set.samples.map(({ ids, learned, row }) => [row, [...ids], [...learned]])).toEqual([
      [1, [1, 2], [0, 1]],
      [1, [3, 4], [0, 1]],
      [1, [5], [0]],
      [3, [6, 7], [0, 1]],
    ]);
    expect(set.meta).toMatchObject({ vocabSize: 8, cutoffLength: 2 });
    expect(set.report).toMatchObject({ rows: 2, samples: 4, tokens: 7 });
    const tooSmall = openTokenSet(join(dir, 'wiki'), { vocabSize: 7 });
    await expect(tooSmall).rejects.toThrow('token 1 has the id 7; the vocabulary has 7');
  });

  it('may lack the attention mask and learn other tokens than they show', async () => {
    await write(join(dir, 'x_packed_input_ids_document'), [[4, 5, 6, 0, 0]]);
    await write(join(dir, 'x_packed_labels_document'), [[9, 1, 6, -100, -100]]);
    const { samples } = await openTokenSet(join(dir, 'x'));
    expect(samples).toEqual([
      {
        ids: Int32Array.of(4, 5, 6),
        learned: Uint8Array.of(0, 1, 1),
        labels: Int32Array.of(-100, 1, 6),
        row: 1,
        source: 'x',
      },
    ]);
  });

  it('of pairs are read field by field, and not for supervised training', async () => {
    for (const { field, prefix } of describeOutputs(join(dir, 'p'), 'pairwise')) {
      await write(prefix, field.startsWith('chosen') ? [[1, 2], [3]] : [[4], [5, 6]]);
    }
    await expect(openTokenSet(join(dir, 'p'))).rejects.toThrow('of kind pairwise');
    await using reader = await openTokenSetReader(join(dir, 'p'));
    expect(reader).toMatchObject({ kind: 'pairwise', sequenceCount: 2, tokenCount: 3 });
    const batch = (await reader.batches().next()).value;
    expect(batch?.fields.map(({ tokens }) => [...tokens])).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [4, 5, 6],
      [4, 5, 6],
    ]);
    await write(join(dir, 'p_packed_rejected_labels_document'), [[4, 5], [6]]);
    await expect(openTokenSetReader(join(dir, 'p'))).rejects.toThrow('sequence 0 has 1 tokens');
  });
});

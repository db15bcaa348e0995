import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { IndexedDatasetReader, IndexedDatasetWriter } from '@tuneyard/formats';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HandlerKind } from '../handlers/row-handler.js';
import { mergeTokens, splitTokens } from './combine-tokens.js';
import { inspectTokens } from './inspect-tokens.js';
import { describeOutputs } from './token-files.js';
import { openTokenSet, writeTokenSet } from './token-set.js';
import { verifyTokens } from './verify-tokens.js';

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-combine-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = async (prefix: string, sequences: readonly number[][]) => {
  await using writer = await IndexedDatasetWriter.create(prefix);
  for (const sequence of sequences) {
    await writer.append(Int32Array.from(sequence));
    writer.endDocument();
  }
  await writer.commit();
};

/** Writes fields with the values given by name, all of them `sequences` where left out. */
const writeSet = async (
  name: string,
  kind: HandlerKind,
  sequences: readonly number[][],
  fields: Readonly<Record<string, readonly number[][]>> = {},
) => {
  for (const { field, prefix } of describeOutputs(join(dir, name), kind, ['text'])) {
    const ones = sequences.map((sequence) => sequence.map(() => 1));
    await write(prefix, fields[field] ?? (field === 'attention_mask' ? ones : sequences));
  }
  return join(dir, name);
};

const read = async (prefix: string): Promise<number[][]> => {
  await using reader = await IndexedDatasetReader.open(prefix);
  const sequences: number[][] = [];
  for await (const sequence of reader.sequences()) sequences.push([...sequence]);
  return sequences;
};

const sequences = [
  [1, 2, 3],
  [4, 5],
  [6, 7, 8, 9],
  [10, 11],
];

describe('merging and splitting prepared data sets', () => {
  it.each(['instruction', 'pairwise', 'kto'] as const)(
    'keeps the fields of %s together',
    async (kind) => {
      const whole = await writeSet('whole', kind, sequences);
      const parts = await splitTokens(whole, {
        names: ['train', 'valid'],
        sizes: { fractions: [3, 1] },
        seed: 7,
      });
      expect(parts.map(({ prefix }) => prefix)).toEqual([`${whole}_train`, `${whole}_valid`]);
      expect(parts.map(({ fields }) => fields[0]?.documents)).toEqual([3, 1]);
      const merged = join(dir, 'merged');
      await mergeTokens(
        merged,
        parts.map(({ prefix }) => prefix),
      );
      const files = describeOutputs(merged, kind);
      const found = await read(files[0]!.prefix);
      expect(found.toSorted((a, b) => a[0]! - b[0]!)).toEqual(sequences);
      for (const { field, prefix } of files) {
        const wanted = field === 'attention_mask' ? found.map((s) => s.map(() => 1)) : found;
        expect(await read(prefix)).toEqual(wanted);
      }
    },
  );

  it('names parts of raw text so that they are found again', async () => {
    const prefix = await writeSet('wiki', 'pretrain', sequences);
    const parts = await splitTokens(prefix, { names: ['a', 'b'], sizes: { counts: [1, 2] } });
    expect(parts.map((part) => part.prefix)).toEqual([
      join(dir, 'wiki_a_text_document'),
      join(dir, 'wiki_b_text_document'),
    ]);
    expect(await read(parts[1]!.prefix)).toEqual(sequences.slice(1, 3));
    const odd = join(dir, 'corpus');
    await write(odd, sequences);
    const [only] = await splitTokens(odd, { names: ['x'], sizes: { fractions: [1] } });
    expect(only?.prefix).toBe(join(dir, 'corpus_x_text_document'));
  });

  it('takes a token set apart only into another place', async () => {
    const samples = [5, 6].map((id, i) => ({
      ids: Int32Array.of(id, 1),
      learned: Uint8Array.of(0, 1),
      row: i + 1,
      source: 'a',
    }));
    const into = join(dir, 'set');
    const meta = { vocabSize: 10, template: 'plain', cutoffLength: 8, stopTokenIds: [1] };
    await writeTokenSet(into, samples, { meta, report: {} as never });
    const parts = { names: ['a', 'b'], sizes: { fractions: [1, 1] } };
    await expect(splitTokens(into, parts)).rejects.toMatchObject({
      code: 'DATA_BAD_OPTION',
      hint: expect.stringContaining('--output'),
    });
    const output = join(dir, 'out');
    const [first] = await splitTokens(into, { ...parts, output });
    expect((await openTokenSet(first!.prefix)).samples).toMatchObject([{ ids: samples[0]!.ids }]);
  });

  it('refuses sets of other kinds, and fields that came apart', async () => {
    const a = await writeSet('a', 'instruction', sequences);
    const b = await writeSet('b', 'kto', sequences);
    await expect(mergeTokens(join(dir, 'm'), [a, b])).rejects.toMatchObject({
      code: 'DATA_BAD_TOKEN_SET',
      message: expect.stringContaining('kto (input_ids, attention_mask, labels, kto_tags) cannot'),
    });
    await write(`${a}_packed_labels_document`, sequences.slice(1));
    const parts = { names: ['x'], sizes: { fractions: [1] } };
    await expect(splitTokens(a, parts)).rejects.toThrow('labels has 3 documents, input_ids has 4');
  });
});

describe('looking at a prepared data set', () => {
  it('summarizes every field and the lengths, and gives the first samples', async () => {
    const labels = sequences.map((sequence) => sequence.map((id, i) => (i === 0 ? -100 : id)));
    const prefix = await writeSet('x', 'instruction', sequences, { labels });
    const found = await inspectTokens(prefix, { samples: 2 });
    expect(found).toMatchObject({ kind: 'instruction', prefix, meta: null });
    expect(found.fields.map(({ field, sequences, tokens }) => [field, sequences, tokens])).toEqual([
      ['input_ids', 4, 11],
      ['attention_mask', 4, 11],
      ['labels', 4, 11],
    ]);
    expect(found.lengths).toEqual({
      shortest: 2,
      mean: 2.75,
      longest: 4,
      histogram: [
        { from: 1, to: 1, count: 0 },
        { from: 2, to: 2, count: 2 },
        { from: 3, to: 3, count: 1 },
        { from: 4, to: 4, count: 1 },
      ],
    });
    expect(found.samples.map(({ ids, row }) => [row, ...ids])).toEqual([
      [1, 1, 2, 3],
      [2, 4, 5],
    ]);
  });

  it('gives the samples of a packed row by themselves, both sides of a pair, and the tag of kto', async () => {
    const row = { input_ids: [[1, 2, 3, 4, 0]], attention_mask: [[1, 1, 2, 2, 0]] };
    const neat = await writeSet('n', 'instruction', [[-100, 2, -100, 4, -100]], row);
    const { samples } = await inspectTokens(neat, { samples: 5 });
    expect(samples.map(({ ids, learned }) => [[...ids], [...learned]])).toEqual([
      [
        [1, 2],
        [0, 1],
      ],
      [
        [3, 4],
        [0, 1],
      ],
    ]);
    const pairs = await inspectTokens(await writeSet('p', 'pairwise', sequences), { samples: 2 });
    expect(pairs.samples.map(({ row, source }) => [row, source])).toEqual([
      [1, 'p chosen'],
      [1, 'p rejected'],
      [2, 'p chosen'],
      [2, 'p rejected'],
    ]);
    const kto = await writeSet('k', 'kto', sequences, { kto_tags: [[1], [0], [1], [0]] });
    const tagged = await inspectTokens(kto, { samples: 2 });
    expect(tagged.samples.map(({ source }) => source)).toEqual(['k (wanted)', 'k (unwanted)']);
  });

  it('copes with an empty data set', async () => {
    const found = await inspectTokens(await writeSet('e', 'pretrain', []), { samples: 3 });
    expect(found).toMatchObject({ lengths: { shortest: 0, longest: 0 }, samples: [] });
  });
});

describe('verifying a prepared data set', () => {
  const labels = sequences.map((sequence) => sequence.map((id, i) => (i < 1 ? -100 : id)));

  it('finds nothing in a sound one, and counts what is learned', async () => {
    const prefix = await writeSet('v', 'instruction', sequences, { labels });
    const found = await verifyTokens(prefix, { vocabSize: 12, hash: true });
    expect(found).toMatchObject({ kind: 'instruction', learnedTokens: 7, faults: [] });
    expect(found.fields[0]?.sha256?.bin).toMatch(/^[0-9a-f]{64}$/);
    const text = await writeSet('t', 'pretrain', sequences);
    expect(await verifyTokens(text)).toMatchObject({ learnedTokens: null, faults: [] });
    const pairs = await writeSet('p', 'pairwise', sequences);
    expect(await verifyTokens(pairs)).toMatchObject({ learnedTokens: 14, faults: [] });
  });

  it('finds ids beyond the vocabulary, bad masks and tags, unused bytes, and sequences that teach nothing', async () => {
    const nothing = sequences.map((sequence) => sequence.map(() => -100));
    const attention_mask = [
      [1, 1, 1],
      [2, 1],
      [1, 1, 1, 1],
      [1, 0],
    ];
    const fields = { labels: nothing, attention_mask, kto_tags: [[1], [2], [0], [0]] };
    const prefix = await writeSet('v', 'kto', sequences, fields);
    await writeFile(`${prefix}_packed_labels_document.bin`, new Uint8Array(48));
    const { faults } = await verifyTokens(prefix, { vocabSize: 11 });
    expect(
      faults.map(({ severity, field, message }) => `${severity} ${field}: ${message}`),
    ).toEqual([
      'error input_ids: sequence 3, token 1: 11 is out of range; the vocabulary has 11',
      'warning labels: 4 bytes of the values belong to no sequence',
      'error kto_tags: sequence 1, token 0: 2 is out of range',
      'warning labels: nothing is learned from 1 sequence',
      'error attention_mask: samples are not numbered 1, 2, … with 0 on padding in 1 mask',
    ]);
    const quiet = await writeSet('q', 'instruction', sequences, { labels: nothing });
    expect((await verifyTokens(quiet)).faults).toEqual([
      { severity: 'warning', field: 'labels', message: 'nothing is learned from 4 sequences' },
    ]);
  });
});

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IndexedDatasetWriter } from '@tuneyard/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDataReport } from '../encode/data-report.js';
import { IGNORE_LABEL, type TokenizedSample } from '../encode/samples.js';
import { writeTokenSet } from '../token-set/token-set.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import type { ModelFacts } from './model-checks.js';
import { examineTokens, isTokenPath } from './token-doctor.js';

const [BOS, EOS, PAD] = [1, 2, 0];
const model: ModelFacts = {
  vocabSize: 512,
  embeddingRows: 512,
  bosTokenId: BOS,
  eosTokenIds: [EOS],
  padTokenId: PAD,
  generationConfig: null,
};
let tokenizer: Tokenizer;
let dir = '';
beforeAll(async () => {
  const path = new URL('../../../../assets/models/stories260k-hf', import.meta.url);
  tokenizer = await loadTokenizer(fileURLToPath(path));
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-tokens-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Ids that differ from row to row, none of them a byte or a special token. */
const words = (row: number, count: number) =>
  Array.from({ length: count }, (_, i) => 260 + ((row * 131 + i * i * row + i) % 250));

async function writeField(
  prefix: string,
  field: string,
  sequences: readonly (readonly number[])[],
) {
  await using writer = await IndexedDatasetWriter.create(`${prefix}_packed_${field}_document`, {});
  for (const sequence of sequences) {
    await writer.append(Int32Array.from(sequence));
    writer.endDocument();
  }
  await writer.commit();
}

interface Row {
  readonly ids: readonly number[];
  readonly labels: readonly number[];
}

async function writePrefix(name: string, rows: readonly Row[]): Promise<string> {
  const prefix = join(dir, name);
  await writeField(
    prefix,
    'input_ids',
    rows.map(({ ids }) => ids),
  );
  await writeField(
    prefix,
    'attention_mask',
    rows.map(({ ids }) => ids.map(() => 1)),
  );
  await writeField(
    prefix,
    'labels',
    rows.map(({ labels }) => labels),
  );
  return prefix;
}

/** A question, and an answer that is learned with what ends it. */
function rowOf(row: number, end: readonly number[] = [EOS]): Row {
  const [question, answer] = [
    [BOS, ...words(row, 20)],
    [...words(row + 50, 10), ...end],
  ];
  return {
    ids: [...question, ...answer],
    labels: [...question.map(() => IGNORE_LABEL), ...answer],
  };
}

const examine = async (path: string, cutoffLength = 2048) => {
  const { findings, summary } = await examineTokens({ path, tokenizer, model, cutoffLength });
  const found = findings.map(({ code, severity, rows }) => [
    code,
    severity,
    rows.map((r) => r.row),
  ]);
  return { found, summary };
};

describe('examining indexed data sets of other tools', () => {
  it('finds nothing in good ones, with or without BOS and padding', async () => {
    const padding = { ids: Array(5).fill(PAD), labels: Array(5).fill(IGNORE_LABEL) };
    const rows = [1, 2, 3].map((i) => rowOf(i));
    const padded = rows.map(({ ids, labels }) => ({
      ids: [...ids, ...padding.ids],
      labels: [...labels, ...padding.labels],
    }));
    const { found, summary } = await examine(await writePrefix('good', rows));
    expect(found).toEqual([]);
    expect(summary).toMatchObject({ rows: 3, samples: 3, tokens: 96, learnedTokens: 33 });
    expect((await examine(await writePrefix('padded', padded))).found).toEqual([]);
  });

  it('finds what tokens and labels tell, by the number of the sequence', async () => {
    const masked = { ...rowOf(4), labels: rowOf(4).labels.map(() => IGNORE_LABEL) };
    const foreign = { ids: rowOf(6).ids.with(3, 700), labels: rowOf(6).labels };
    const rows = [rowOf(1), rowOf(2, []), rowOf(3), masked, rowOf(3), foreign];
    const path = await writePrefix('faulty', rows);
    expect((await examine(path)).found).toEqual([
      ['id_outside_vocab', 'error', [6]],
      ['all_masked', 'error', [4]],
      ['stop_not_learned', 'error', [2]],
      ['exact_duplicate', 'warning', [5]],
    ]);
    expect((await examine(path, rowOf(2, []).ids.length)).found).toContainEqual([
      'answer_cut',
      'warning',
      [2],
    ]);
  });

  it('examines both sides of pairs', async () => {
    const prefix = join(dir, 'pairs');
    for (const [side, rows] of [
      ['chosen', [rowOf(1), rowOf(2)]],
      ['rejected', [rowOf(3), rowOf(4, [])]],
    ] as const) {
      await writeField(
        prefix,
        `${side}_input_ids`,
        rows.map(({ ids }) => ids),
      );
      await writeField(
        prefix,
        `${side}_labels`,
        rows.map(({ labels }) => labels),
      );
    }
    const { found, summary } = await examine(prefix);
    expect(found).toEqual([['stop_not_learned', 'error', [2]]]);
    expect(summary.samples).toBe(4);
  });
});

describe('examining token sets', () => {
  const sampleOf = ({ ids, labels }: Row, row: number): TokenizedSample => ({
    ids: Int32Array.from(ids),
    learned: Uint8Array.from(labels, (label) => (label === IGNORE_LABEL ? 0 : 1)),
    row,
    source: 'train',
  });

  it('names rows of the source, and uses the stop tokens and cutoff that the set was made with', async () => {
    const path = join(dir, 'own');
    const samples = [
      sampleOf(rowOf(1, [77]), 7),
      sampleOf(rowOf(2), 9),
      sampleOf(
        {
          ids: rowOf(3).ids.toSpliced(0, 0, BOS),
          labels: [IGNORE_LABEL, ...rowOf(3, [77]).labels],
        },
        11,
      ),
    ];
    const meta = { vocabSize: 512, template: 'x', cutoffLength: 64, stopTokenIds: [77] };
    const report = buildDataReport({
      rows: 3,
      keptRows: 3,
      samples,
      truncated: [],
      rejected: [],
      packCapacity: null,
    });
    await writeTokenSet(path, samples, { meta, report });
    const { findings } = await examineTokens({ path, tokenizer, model, cutoffLength: 2048 });
    expect(findings.map(({ code, rows }) => [code, rows])).toEqual([
      ['double_bos', [{ source: 'train', row: 11 }]],
      [
        'stop_not_learned',
        [
          { source: 'train', row: 9 },
          { source: 'train', row: 11 },
        ],
      ],
      ['stop_not_in_eos', []],
    ]);
  });

  it('tells tokens from data files', async () => {
    await writeFile(join(dir, 'good.jsonl'), '{"text": "a"}\n');
    await mkdir(join(dir, 'folder'));
    expect(await isTokenPath(join(dir, 'good'))).toBe(true);
    expect(await isTokenPath(join(dir, 'own'))).toBe(true);
    expect(await isTokenPath(join(dir, 'good.jsonl'))).toBe(false);
    expect(await isTokenPath(join(dir, 'folder'))).toBe(false);
    expect(await isTokenPath(join(dir, 'nothing'))).toBe(false);
  });
});

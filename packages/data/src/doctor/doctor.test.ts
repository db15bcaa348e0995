import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildDataReport } from '../encode/data-report.js';
import { plainPromptTemplate } from '../encode/prompt-template.js';
import type { TokenizedSample } from '../encode/samples.js';
import type { RejectedRecord } from '../handlers/conversation.js';
import { loadTokenizer, type Tokenizer } from '../tokenizer/index.js';
import { checkDataset, type DatasetCheck } from './check-dataset.js';

const STOP = 1;
let tokenizer: Tokenizer;
beforeAll(async () => {
  const dir = new URL('../../../../assets/models/stories260k-hf', import.meta.url);
  tokenizer = await loadTokenizer(fileURLToPath(dir));
});

/** A question of ids derived from `row`, an answer, and the stop token. */
function sampleOf(
  row: number,
  answer: readonly number[] = [40, 41, STOP],
  bos = [1],
): TokenizedSample {
  const question = Array.from({ length: 60 }, (_, i) => 260 + ((row * 131 + i * i * row) % 240));
  const ids = Int32Array.from([...bos, ...question, ...answer]);
  const learned = Uint8Array.from(ids, (_, i) => (i >= bos.length + 60 ? 1 : 0));
  return { ids, learned, row, source: 's' };
}

function check(train: TokenizedSample[], rest: Partial<DatasetCheck> = {}) {
  const report = buildDataReport({
    rows: train.length,
    keptRows: train.length,
    samples: train,
    truncated: [],
    rejected: [],
    packCapacity: null,
  });
  return checkDataset({
    tokenizer,
    template: plainPromptTemplate(STOP),
    modelVocabSize: 512,
    train,
    validation: [],
    report,
    ...rest,
  });
}

const codes = (findings: ReturnType<typeof check>) =>
  findings.map((f) => [f.code, f.severity, f.rows.map((r) => r.row)]);

describe('checking prepared data', () => {
  it('finds nothing in good data', () => {
    expect(
      check(
        [1, 2, 3, 4].map((row) => sampleOf(row)),
        { validation: [sampleOf(9)] },
      ),
    ).toEqual([]);
  });

  it('finds a doubled and a missing BOS', () => {
    const findings = check([
      sampleOf(1),
      sampleOf(2, [40, STOP], [1, 1]),
      sampleOf(3, [40, STOP], []),
    ]);
    expect(codes(findings)).toEqual([
      ['double_bos', 'error', [2]],
      ['missing_bos', 'error', [3]],
    ]);
  });

  it('finds an answer without a stop token, and tells it from one that was cut', () => {
    const train = [sampleOf(1), sampleOf(2, [40, 41]), sampleOf(3, [40, 41])];
    const report = buildDataReport({
      rows: 3,
      keptRows: 3,
      samples: train,
      truncated: [{ source: 's', row: 3, tokensBefore: 50, tokensAfter: 33 }],
      rejected: [],
      packCapacity: null,
    });
    expect(codes(check(train, { report }))).toEqual([
      ['stop_not_learned', 'error', [2]],
      ['answer_cut', 'warning', [3]],
      ['truncated', 'warning', [3]],
    ]);
  });

  it('finds rows that teach nothing, ids the model lacks, and text without a token', () => {
    const masked = { ...sampleOf(1), learned: new Uint8Array(64) };
    const findings = check([masked, sampleOf(2, [511, STOP]), sampleOf(3, [0, STOP])], {
      modelVocabSize: 511,
    });
    expect(codes(findings)).toEqual([
      ['id_outside_vocab', 'error', [2]],
      ['all_masked', 'error', [1]],
      ['unknown_token', 'warning', [3]],
    ]);
  });

  it('turns every bucket of left-out rows into a finding with a fix', () => {
    const rejected = [4, 7].map(
      (row): RejectedRecord => ({
        kind: 'rejected',
        source: 's',
        row,
        bucket: 'wrong_role_order',
        reason: 'the first turn is assistant; expected user',
      }),
    );
    const train = [sampleOf(1)];
    const base = { rows: 3, keptRows: 1, samples: train, truncated: [], packCapacity: null };
    const [finding] = check(train, { report: buildDataReport({ ...base, rejected }) });
    expect(finding).toMatchObject({
      code: 'wrong_role_order',
      severity: 'warning',
      count: 2,
      message: '2 rows: left out: wrong role order',
      rows: [{ row: 4, detail: 'the first turn is assistant; expected user' }, { row: 7 }],
    });
    expect(finding!.fix).toContain('alternate');
  });

  it('finds repeats and leaks, each once', () => {
    const first = sampleOf(1);
    const almost = { ...first, row: 3, ids: Int32Array.from(first.ids) };
    almost.ids[first.ids.length - 2] = 99;
    const near = { ...sampleOf(1), row: 5, ids: Int32Array.from(first.ids) };
    near.ids[1] = 499;
    const train = [first, { ...sampleOf(1), row: 2 }, almost, sampleOf(4), near];
    const nearly = { ...sampleOf(4), row: 12, ids: Int32Array.from(sampleOf(4).ids) };
    nearly.ids[1] = 500;
    const validation = [
      { ...sampleOf(4), row: 10 },
      { ...sampleOf(4, [77, STOP]), row: 11 },
      nearly,
      sampleOf(13),
    ];
    const findings = check(train, { validation });
    expect(codes(findings)).toEqual([
      ['validation_leak', 'error', [10]],
      ['exact_duplicate', 'warning', [2]],
      ['contradiction', 'warning', [3]],
      ['validation_prompt_leak', 'warning', [11]],
      ['validation_near_leak', 'warning', [12]],
      ['near_duplicate', 'note', [5]],
    ]);
  });

  it('lists twenty rows and counts all', () => {
    const train = Array.from({ length: 30 }, (_, i) => ({ ...sampleOf(1), row: i + 1 }));
    const [finding] = check(train);
    expect(finding).toMatchObject({ code: 'exact_duplicate', count: 29 });
    expect(finding!.rows).toHaveLength(20);
  });
});

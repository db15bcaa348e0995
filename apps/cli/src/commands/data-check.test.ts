import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const rows = [
  { instruction: 'Tom had a red ball. What did Tom have?', output: 'a red ball' },
  { instruction: 'Lily went to the park. Who went to the park?', output: 'Lily' },
  { instruction: 'Ben ran.', output: '' },
  { instruction: 'Sue saw a dog. What did Sue see?', output: 'a dog' },
];
const model = ['--model', BUNDLED_MODEL, '--template', 'plain'];
const IDENTITY = fileURLToPath(
  new URL('../../../../assets/datasets/identity.json', import.meta.url),
);
const STORIES = fileURLToPath(new URL('../../../../examples/data', import.meta.url));
const PACKED = fileURLToPath(
  new URL('../../../../packages/data/test/fixtures/packing/plain', import.meta.url),
);

let dir = '';
const check = (args: readonly string[]) => runFake(['data', 'check', ...args], { cwd: dir });
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-check-'));
  const toLines = (list: object[]) => list.map((row) => `${JSON.stringify(row)}\n`).join('');
  await writeFile(join(dir, 'train.jsonl'), toLines(rows));
  await writeFile(join(dir, 'leak.jsonl'), toLines(rows.slice(1, 2)));
  await writeFile(join(dir, 'text.jsonl'), toLines([{ text: 'Once upon a time.' }]));
  await writeFile(join(dir, 'twice.jsonl'), toLines([...rows, ...rows]));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe('tuneyard data check', () => {
  it('groups findings by severity, with rows and a fix, and exits with 0 for warnings', async () => {
    const run = await check(['train.jsonl', ...model]);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toBe(
      [
        'Warnings',
        '  empty_answer  1 row: left out: an answer is empty',
        "    train:3  the answer in 'output' is empty",
        '    → Write the answer, or remove the row.',
        '',
        '  few_rows  only 3 samples to train on',
        '    → Collect more; a handful of rows is learned by heart, not understood.',
        '',
        '3 samples of 4 rows, 77 tokens, 12 learned (16 %)',
        'tokens per sample: median 26, 90 % up to 27, 99 % up to 27, longest 27; cutoff_len is 2048',
        '0 errors, 2 warnings, 0 notes',
        '',
      ].join('\n'),
    );
  });

  it('exits with 1 for warnings under --strict', async () => {
    expect((await check(['train.jsonl', ...model, '--strict'])).exitCode).toBe(1);
  });

  it('exits with 1 when held-out rows are trained on', async () => {
    const run = await check(['train.jsonl', '--validation', 'leak.jsonl', ...model, '--json']);
    expect(run.exitCode).toBe(1);
    expect(JSON.parse(run.stdout).findings[0]).toEqual({
      severity: 'error',
      code: 'validation_leak',
      message: '1 row: held out, but also trained on',
      count: 1,
      rows: [{ source: 'leak', row: 1, detail: 'train row 2' }],
      fix: expect.stringContaining('one side'),
    });
  });

  it('finds leaks of the share that training would hold out', async () => {
    const run = await check(['twice.jsonl', '--val-size', '0.3', ...model, '--json']);
    const { findings, summary } = JSON.parse(run.stdout);
    expect(summary).toMatchObject({ samples: 6, heldOut: 2 });
    expect(findings[0]).toMatchObject({ code: 'validation_leak', severity: 'error' });
  });

  it('writes a clean copy and says what it left out', async () => {
    const run = await check(['twice.jsonl', ...model, '--fix', 'clean.jsonl']);
    expect(run.stdout).toContain(
      `wrote 3 rows to ${join(dir, 'clean.jsonl')}; left out: 2 empty_answer, 3 exact_duplicate\n`,
    );
    const lines = (await readFile(join(dir, 'clean.jsonl'), 'utf8')).trimEnd().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toEqual([rows[0], rows[1], rows[3]]);
    const again = await check(['twice.jsonl', ...model, '--fix', 'clean.jsonl']);
    expect(again.exitCode).not.toBe(0);
    expect(again.stderr).toContain('exists already');
  });

  it('takes one data set with --fix', async () => {
    const run = await check(['train.jsonl', 'leak.jsonl', ...model, '--fix', 'x.jsonl']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('2 were named');
  });

  it('explains a model without a chat template', async () => {
    const run = await check(['train.jsonl', '--model', BUNDLED_MODEL]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/error\[CHAT_TEMPLATE_MISSING\][\s\S]*hint: .*plain/);
  });

  it('finds a template that the tokenizer cannot write, and names one that it can', async () => {
    const run = await check(['train.jsonl', '--model', BUNDLED_MODEL, '--template', 'qwen']);
    expect(run.exitCode).toBe(1);
    expect(run.stdout).toMatch(/template_unusable {2}Template 'qwen' writes "<\|im_end\|>"/);
    expect(run.stdout).toMatch(/→ Use template: .*plain\./);
  });

  it('checks raw text', async () => {
    const run = await check(['text.jsonl', ...model, '--stage', 'pt', '--json']);
    expect(JSON.parse(run.stdout).findings.map((f: { code: string }) => f.code)).toEqual([
      'few_rows',
    ]);
  });

  it('checks prepared tokens: ids of another model do not fit', async () => {
    const run = await check([PACKED, ...model, '--json']);
    expect(run.exitCode).toBe(1);
    const { findings, summary } = JSON.parse(run.stdout);
    expect(summary.rows).toBe(14);
    expect(findings[0]).toMatchObject({ code: 'id_outside_vocab', count: 13 });
    const held = await check([PACKED, ...model, '--val-size', '2']);
    expect(held.stderr).toContain('held-out data is not compared');
    const fix = await check([PACKED, ...model, '--fix', 'y.jsonl']);
    expect(fix.exitCode).toBe(2);
  });
});

describe('the bundled data', () => {
  it('has what is known of the identity set: blanks to fill in, two contradictions, Chinese', async () => {
    const run = await check([IDENTITY, ...model, '--json']);
    expect(run.exitCode).toBe(0);
    const found = JSON.parse(run.stdout).findings.map((f: { code: string; count: number }) => [
      f.code,
      f.count,
    ]);
    expect(Object.fromEntries(found)).toEqual({
      byte_tokens: 75,
      contradiction: 2,
      placeholder_text: 85,
      mixed_scripts: 16,
      small_set: 0,
    });
  });

  it('has nothing to find in the stories', async () => {
    const [train, valid] = ['train', 'valid'].map((part) =>
      join(STORIES, `stories-qa-${part}.jsonl`),
    );
    const argv = [train ?? '', '--validation', valid ?? '', ...model, '--cutoff-len', '128'];
    const run = await check([...argv, '--json']);
    expect(JSON.parse(run.stdout).findings).toEqual([]);
  });
});

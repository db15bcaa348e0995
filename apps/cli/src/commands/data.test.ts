import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL, writeTestAdapter } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const rows = [
  { instruction: 'Tom had a red ball. What did Tom have?', output: 'a red ball' },
  { instruction: 'Lily went to the park. Who went to the park?', output: 'Lily' },
  { instruction: 'Ben ran.', output: '' },
  { instruction: 'Sue saw a dog. What did Sue see?', output: 'a dog' },
];

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-data-'));
  const toLines = (list: object[]) => list.map((row) => `${JSON.stringify(row)}\n`).join('');
  await writeFile(join(dir, 'train.jsonl'), toLines(rows));
  await writeFile(join(dir, 'info.txt'), 'Once upon a time there was a cat.\n');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const model = ['--model', BUNDLED_MODEL, '--template', 'plain'];

describe('tuneyard data preview', () => {
  it('brackets what is learned without colour and says why a row gives nothing', async () => {
    const argv = ['data', 'preview', 'train.jsonl', ...model, '--rows', '1,3'];
    const run = await runFake(argv, { cwd: dir });
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toContain('What did Tom have?⟦ a red ball<s>⟧');
    expect(run.stdout).toMatch(/train, row 3: left out \(empty_answer\): /);
    expect(run.stdout).not.toContain('Lily');
  });

  it('colours what is learned on a terminal', async () => {
    const argv = ['data', 'preview', 'train.jsonl', ...model, '--count', '1'];
    const run = await runFake(argv, { cwd: dir, isTTY: true });
    expect(run.stdout).toContain('\u001b[32m');
    expect(run.stdout).not.toContain('⟦');
  });

  it('gives every token with its mask as JSON', async () => {
    const argv = ['data', 'preview', 'train.jsonl', ...model, '--rows', '4', '--json'];
    const run = await runFake(argv, { cwd: dir });
    const document = JSON.parse(run.stdout);
    expect(document).toMatchObject({ template: 'plain', rows: [{ kind: 'samples', row: 4 }] });
    const [sample] = document.rows[0].samples;
    const learned = sample.tokens.filter((token: { learned: boolean }) => token.learned);
    expect(learned.map((token: { text: string }) => token.text).join('')).toBe(' a dog<s>');
  });

  it('warns about rows that the file does not have', async () => {
    const argv = ['data', 'preview', 'train.jsonl', ...model, '--rows', '2,9'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.stdout).toContain('row 2:');
    expect(run.stderr).toMatch(/warning: .*train\.jsonl has no row 9/);
  });

  it('shows raw text as wholly learned', async () => {
    const argv = ['data', 'preview', 'info.txt', ...model, '--stage', 'pt'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.stdout).toMatch(/⟦ ?Once upon a time.*⟧/);
  });

  it('refuses row numbers that are none', async () => {
    const run = await runFake(['data', 'preview', 'x', ...model, '--rows', '0']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('Expected row numbers from 1 on');
  });
});

describe('tuneyard eval', () => {
  it('measures loss and answers, and an adapter changes them', async () => {
    const argv = ['eval', BUNDLED_MODEL, '--data', 'train.jsonl', '--template', 'plain', '--json'];
    const more = ['--samples', '2', '--max-new-tokens', '4'];
    const base = JSON.parse((await runFake([...argv, ...more], { cwd: dir })).stdout);
    expect(base).toMatchObject({ rows: 3, answers: { asked: 2 } });
    expect(base.perplexity).toBeCloseTo(Math.exp(base.loss), 9);
    expect(base.answers.samples[0]).toMatchObject({ row: 1, expected: ' a red ball'.trim() });
    await writeTestAdapter(join(dir, 'adapter'), { bScale: 0.5 });
    const adapted = await runFake([...argv, '--samples', '0', '--adapter', 'adapter'], {
      cwd: dir,
    });
    const other = JSON.parse(adapted.stdout);
    expect(other.answers).toBeNull();
    expect(Math.abs(other.loss - base.loss)).toBeGreaterThan(0.01);
  });

  it('warns about rows that were left out', async () => {
    const argv = ['eval', BUNDLED_MODEL, '--data', 'train.jsonl', '--template', 'plain'];
    const run = await runFake([...argv, '--samples', '0'], { cwd: dir });
    expect(run.stdout).toMatch(/^ {2}loss {8}[\d.]+ over \d+ learned tokens\n {2}perplexity /);
    expect(run.stderr).toContain('warning: 1 of 4 rows left out');
  });
});

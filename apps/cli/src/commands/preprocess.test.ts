import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const rows = [
  { instruction: 'What did Tom have?', output: 'a red ball' },
  { instruction: 'Who went to the park?', output: 'Lily' },
  { instruction: 'Ben ran.', output: '' },
  { instruction: 'What did Sue see?', output: 'a dog' },
];

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-preprocess-'));
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  await writeFile(join(dir, 'train.jsonl'), lines);
  await writeFile(join(dir, 'text.txt'), 'Once upon a time.\nThere was a cat.\n');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const base = ['--model', BUNDLED_MODEL, '--template', 'plain'];
const run = (...argv: string[]) => runFake(['preprocess', ...argv], { cwd: dir });

describe('tuneyard preprocess', () => {
  it('names what it wrote and says what became of every row', async () => {
    const done = await run('train.jsonl', ...base, '--output-prefix', 'a/train');
    expect(done).toMatchObject({ exitCode: 0 });
    expect(done.stdout).toMatch(/rows read +4/);
    expect(done.stdout).toMatch(/empty answer +1/);
    expect(done.stdout).toContain('a/train_packed_labels_document.{bin,idx}  3 sequences');
    expect(done.stdout).toMatch(/Pass \S*a\/train to the trainer\./);
    expect((await readdir(join(dir, 'a'))).sort()).toEqual([
      'train_packed_attention_mask_document.bin',
      'train_packed_attention_mask_document.idx',
      'train_packed_input_ids_document.bin',
      'train_packed_input_ids_document.idx',
      'train_packed_labels_document.bin',
      'train_packed_labels_document.idx',
      'train_preprocess.json',
    ]);
    const again = await run('train.jsonl', ...base, '--output-prefix', 'a/train');
    expect(again.stdout).toContain('Nothing to do');
  });

  it('takes the names of preprocess_data.py, and writes raw text by its key', async () => {
    const flags = ['--input', 'text.txt', '--tokenizer-name-or-path', BUNDLED_MODEL];
    const more = ['--handler-name', 'GeneralPretrainHandler', '--append-eod', '--json'];
    const done = await run(...flags, ...more, '--output-prefix', 'b/text');
    expect(done.exitCode).toBe(0);
    const result = JSON.parse(done.stdout);
    expect(result).toMatchObject({ kind: 'pretrain', train: { samples: 2 }, template: null });
    expect(await readdir(join(dir, 'b'))).toContain('text_text_document.idx');
  });

  it('counts SN, derives steps, and fails on settings that break a rule', async () => {
    const argv = ['train.jsonl', ...base, '--output-prefix', 'c/train'];
    const good = await run(...argv, '--settings', 'GBS=2 EPOCH=3 SN=3');
    expect(good).toMatchObject({ exitCode: 0 });
    expect(good.stdout).toContain('SN = 3 samples, counted');
    expect(good.stdout).toMatch(/TRAIN_ITERS = .* = 3\n/);
    const bad = await run(...argv, '--settings', 'GBS=4', 'NPUS_PER_NODE=8', 'TP=3', 'NNODES=1');
    expect(bad.exitCode).toBe(1);
    expect(bad.stdout).toMatch(/error: TP · PP · CP .*nearest/);
  });

  it.each([
    [['train.jsonl', '--output-prefix', 'x'], 'CLI_INVALID_VALUE', '--model'],
    [[...base, '--output-prefix', 'x'], 'CLI_INVALID_VALUE', 'No data set'],
    [['train.jsonl', ...base], 'CLI_BAD_USAGE', '--output-prefix'],
    [['none.jsonl', ...base, '--output-prefix', 'x'], 'DATA_', 'none.jsonl'],
    [
      ['train.jsonl', ...base, '--output-prefix', 'x', '--handler-name', 'AlpacaStyle'],
      'DATA_UNKNOWN_HANDLER',
      'Did you mean',
    ],
    [
      ['train.jsonl', ...base, '--output-prefix', 'x', '--neat-pack'],
      'CLI_INVALID_VALUE',
      'Add --pack',
    ],
    [
      ['text.txt', ...base, '--output-prefix', 'x', '--stage', 'pt', '--pack'],
      'CLI_INVALID_VALUE',
      'fine-tuning',
    ],
    [
      ['train.jsonl', ...base, '--output-prefix', 'x', '--map-keys', '{prompt'],
      'CLI_INVALID_VALUE',
      '--map-keys',
    ],
    [
      ['train.jsonl', ...base, '--output-prefix', 'x', '--settings', 'GBS'],
      'CLI_INVALID_VALUE',
      'NAME=value',
    ],
    [
      ['train.jsonl', '--model', BUNDLED_MODEL, '--template', 'qwn', '--output-prefix', 'x'],
      'CHAT_TEMPLATE_UNKNOWN',
      'qwen',
    ],
  ])('refuses %j with %s and writes nothing', async (argv, code, words) => {
    const done = await run(...argv);
    expect(done.exitCode).toBe(2);
    expect(done.stderr).toContain(`error[${code}`);
    expect(done.stderr).toContain(words);
    expect((await readdir(dir)).filter((name) => /^x_.*\.(bin|idx)$/.test(name))).toEqual([]);
  });

  it('does not replace the files of another job unless it is told to', async () => {
    const argv = ['train.jsonl', ...base, '--output-prefix', 'd/train'];
    expect((await run(...argv)).exitCode).toBe(0);
    const before = await readFile(join(dir, 'd/train_packed_labels_document.bin'));
    const refused = await run(...argv, '--train-on-prompt');
    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain('DATA_OUTPUT_EXISTS');
    expect(await readFile(join(dir, 'd/train_packed_labels_document.bin'))).toEqual(before);
    expect((await run(...argv, '--train-on-prompt', '--overwrite')).exitCode).toBe(0);
  });
});

import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeOutputs, loadTokenizer } from '@tuneyard/data';
import { IndexedDatasetWriter } from '@tuneyard/formats';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

let dir = '';
let sequences: Int32Array[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-prepared-'));
  const tokenizer = await loadTokenizer(BUNDLED_MODEL);
  const texts = ['Tom had a red ball.', 'Lily ran.', 'Ben saw a dog in the park.'];
  sequences = texts.map((text) => tokenizer.encode(text));
});
beforeEach(async () => {
  for (const name of await readdir(dir)) await rm(join(dir, name));
  await writeSet('alpaca');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function writeSet(name: string): Promise<void> {
  for (const { field, prefix } of describeOutputs(join(dir, name), 'instruction')) {
    const of: Record<string, (ids: Int32Array) => Int32Array> = {
      attention_mask: (ids) => ids.map(() => 1),
      labels: (ids) => ids.map((id, i) => (i < 3 ? -100 : id)),
    };
    await writeField(prefix, sequences.map(of[field] ?? ((ids) => ids)));
  }
}

async function writeField(prefix: string, values: readonly Int32Array[]): Promise<void> {
  await using writer = await IndexedDatasetWriter.create(prefix);
  for (const value of values) {
    await writer.append(value);
    writer.endDocument();
  }
  await writer.commit();
}

const run = (...argv: string[]) => runFake(['data', ...argv], { cwd: dir });

describe('tuneyard data inspect', () => {
  it('shows fields, counts and lengths', async () => {
    const { stdout, stderr, exitCode } = await run('inspect', 'alpaca');
    expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
    const tokens = sequences.reduce((sum, ids) => sum + ids.length, 0);
    expect(stdout).toContain(`alpaca: instruction, 3 sequences, ${tokens} tokens\n`);
    expect(stdout).toMatch(/field +type +sequences +documents +tokens\n/);
    expect(stdout).toMatch(new RegExp(`attention_mask +int32 +3 +3 +${tokens}\n`));
    expect(stdout).toMatch(/tokens a sequence: shortest \d+, mean [\d.]+, longest \d+\n/);
    expect(stdout).toContain('█');
    expect(stdout).not.toContain('row 1');
  });

  it('decodes the first samples with what is learned in brackets', async () => {
    const { stdout } = await run('inspect', 'alpaca', '--model', BUNDLED_MODEL, '--decode', '1');
    expect(stdout).toMatch(/alpaca, row 1: \d+ tokens, \d+ learned, 3 masked\n/);
    expect(stdout).toMatch(/⟦.*red ball\.⟧/);
    expect(stdout).not.toContain('row 2');
  });

  it('gives ids without a tokenizer, and everything as JSON', async () => {
    const { stdout } = await run('inspect', 'alpaca', '--decode', '1');
    expect(stdout).toContain(`row 1: ${sequences[0]?.join(' ')}\n`);
    const json = await run('inspect', 'alpaca', '--decode', '1', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      kind: 'instruction',
      meta: null,
      fields: [{ field: 'input_ids' }, { field: 'attention_mask' }, { field: 'labels' }],
      samples: [{ row: 1, ids: [...(sequences[0] ?? [])] }],
    });
  });

  it('says what is there when the prefix is wrong, and what is wrong with a damaged file', async () => {
    const wrong = await run('inspect', 'dolly');
    expect(wrong).toMatchObject({ exitCode: 2, stdout: '' });
    expect(wrong.stderr).toMatch(/error\[DATA_TOKEN_FILES_NOT_FOUND\][\s\S]*hint: .*alpaca_packed/);
    await truncate(join(dir, 'alpaca_packed_labels_document.bin'), 8);
    const damaged = await run('inspect', 'alpaca');
    expect(damaged.exitCode).toBe(2);
    expect(damaged.stderr).toContain('error[INDEXED_DATASET_DATA_TRUNCATED]');
  });
});

describe('tuneyard data merge and split', () => {
  it('divide a data set and put it together again', async () => {
    const split = await run('split', 'alpaca', '--fractions', '2,1');
    expect(split).toMatchObject({ exitCode: 0, stderr: '' });
    expect(split.stdout).toMatch(/alpaca_train\n +input_ids +2 documents/);
    expect(split.stdout).toMatch(/alpaca_valid\n +input_ids +1 documents/);
    const merged = await run('merge', 'again', 'alpaca_train', 'alpaca_valid');
    expect(merged).toMatchObject({ exitCode: 0, stderr: '' });
    const hashesOf = async (prefix: string) => {
      const { fields } = JSON.parse((await run('verify', prefix, '--hash', '--json')).stdout);
      return fields.map(({ sha256 }: { sha256: object }) => sha256);
    };
    expect(await hashesOf('again')).toEqual(await hashesOf('alpaca'));
  });

  it('take counts, names, a seed and another place', async () => {
    const options = ['--counts', '1,1', '--names', 'a,b', '--seed', '3', '-o', 'other'];
    const { stdout } = await run('split', 'alpaca', ...options, '--json');
    const { parts } = JSON.parse(stdout);
    expect(parts.map((part: { prefix: string }) => part.prefix)).toEqual([
      join(dir, 'other_a'),
      join(dir, 'other_b'),
    ]);
  });

  it.each([
    [['split', 'alpaca'], 'CLI_BAD_USAGE', '--fractions or with --counts'],
    [['split', 'alpaca', '--fractions', '1', '--counts', '1'], 'CLI_BAD_USAGE', 'how large'],
    [['split', 'alpaca', '--fractions', '1,1', '--names', 'a'], 'CLI_BAD_USAGE', 'many different'],
    [['split', 'alpaca', '--fractions', 'x'], 'CLI_INVALID_VALUE', 'such as 0.9,0.1'],
    [['split', 'alpaca', '--counts', '9'], 'INDEXED_DATASET_BAD_SPLIT', 'do not fit 3'],
    [['merge', 'alpaca', 'alpaca', 'alpaca'], 'INDEXED_DATASET_OUTPUT_CONFLICT', 'also an input'],
    [['merge', 'out'], 'CLI_BAD_USAGE', 'prefix'],
  ])('refuse %j', async (argv, code, text) => {
    const { exitCode, stderr } = await run(...argv);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`error[${code}]`);
    expect(stderr).toContain(text);
  });
});

describe('tuneyard data verify', () => {
  it('finds nothing in a sound data set', async () => {
    const { stdout, exitCode } = await run('verify', 'alpaca', '--model', BUNDLED_MODEL);
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /alpaca: instruction, 3 sequences, \d+ tokens, \d+ learned\nno faults\n/,
    );
  });

  it('exits with 1 when an id is beyond the vocabulary', async () => {
    const { stdout, exitCode } = await run('verify', 'alpaca', '--vocab-size', '10');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(
      /error input_ids: sequence 0, token \d+: \d+ is out of range; the vocabulary has 10/,
    );
    expect(stdout).toContain('2 faults\n');
  });

  it('exits with 0 for warnings', async () => {
    await writeField(
      join(dir, 'alpaca_packed_labels_document'),
      sequences.map((ids) => ids.map(() => -100)),
    );
    const { stdout, exitCode } = await run('verify', 'alpaca');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('warning labels: nothing is learned from 3 sequences\n');
  });

  it('refuses fields that came apart', async () => {
    await writeField(join(dir, 'alpaca_packed_labels_document'), sequences.slice(1));
    const { stderr, exitCode } = await run('verify', 'alpaca');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('labels has 2 sequences, input_ids has 3');
  });
});

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-convert-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const run = (...argv: string[]) => runFake(argv, { cwd: dir });

describe('tuneyard convert', () => {
  it('goes to Megatron and back with nothing changed, carrying the tokenizer', async () => {
    const to = await run(
      'convert',
      BUNDLED_MODEL,
      'mg',
      '--to',
      'megatron',
      '--tp',
      '2',
      '--verify',
    );
    expect(to).toMatchObject({ exitCode: 0, stdout: 'mg\n' });
    expect(to.stderr).toContain('every tensor was read back and is equal');
    expect(await readFile(join(dir, 'mg/latest_checkpointed_iteration.txt'), 'utf8')).toBe('1');
    const back = await run('convert', 'mg', 'hf', '--to', 'hf');
    expect(back.exitCode).toBe(0);
    const same = await run('inspect', 'hf', '--diff', BUNDLED_MODEL);
    expect(same).toMatchObject({ exitCode: 0 });
    expect(same.stdout).toMatch(/^all 47 tensors are equal/m);
    const tokenizer = await readFile(join(dir, 'hf/tokenizer.json'));
    expect(tokenizer).toEqual(await readFile(join(BUNDLED_MODEL, 'tokenizer.json')));
  });

  it('--verify tells copies of one tensor apart that ranks hold', async () => {
    await run('convert', BUNDLED_MODEL, 'drift', '--to', 'megatron', '--tp', '2');
    const model = await readFile(join(BUNDLED_MODEL, 'model.safetensors'));
    const start = 8 + Number(model.readBigUInt64LE(0));
    const header = JSON.parse(model.toString('utf8', 8, start));
    const [begin, end] = header['model.norm.weight'].data_offsets;
    const file = join(dir, 'drift/iter_0000001/mp_rank_01/model_optim_rng.pt');
    const rank = await readFile(file);
    const at = rank.indexOf(model.subarray(start + begin, start + end));
    expect(at).toBeGreaterThan(0);
    rank[at] = rank[at]! ^ 1;
    await writeFile(file, rank);

    expect(await run('convert', 'drift', 'hf-a', '--to', 'hf')).toMatchObject({ exitCode: 0 });
    const told = await run('convert', 'drift', 'hf-b', '--to', 'hf', '--verify');
    expect(told.exitCode).toBe(2);
    expect(told.stderr).toMatch(/mp_rank_01.*model \/ decoder.final_layernorm.weight/s);
    expect(told.stderr).toContain('ranks have drifted apart');
  });

  it('tells two checkpoints apart by their values', async () => {
    await run('convert', BUNDLED_MODEL, 'mg16', '--to', 'megatron', '--dtype', 'bf16');
    await run('convert', 'mg16', 'hf16', '--to', 'hf');
    const diff = await run('inspect', 'hf16', '--diff', BUNDLED_MODEL, '--json');
    expect(diff.exitCode).toBe(1);
    const { differences, compared } = JSON.parse(diff.stdout);
    expect(compared).toBe(47);
    expect(differences.length).toBeGreaterThan(40);
    expect(differences[0].largest).toBeGreaterThan(0);
    expect(differences[0].largest).toBeLessThan(0.05);
  });

  it('shows what it would write and writes nothing', async () => {
    const plan = await run(
      'convert',
      BUNDLED_MODEL,
      'dry',
      '--to',
      'megatron',
      '--pp',
      '5',
      '--dry-run',
    );
    expect(plan.exitCode).toBe(0);
    expect(plan.stdout).toContain('iter_0000001/mp_rank_00_004/model_optim_rng.pt');
    expect(plan.stdout).toContain('nothing was written');
    await expect(readFile(join(dir, 'dry/config.json'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it.each([
    [
      [BUNDLED_MODEL, 'x', '--to', 'megatron', '--tp', '3'],
      'WEIGHTS_MEGATRON_SETTINGS',
      'nearest: 2, 4',
    ],
    [[BUNDLED_MODEL, 'x', '--to', 'hf'], 'WEIGHTS_CONVERT_SOURCE', 'already'],
    [['nothing', 'x', '--to', 'megatron'], 'WEIGHTS_CONVERT_SOURCE', 'does not exist'],
    [[BUNDLED_MODEL, 'x', '--to', 'onnx'], 'CLI_INVALID_VALUE', 'megatron'],
    [[BUNDLED_MODEL, 'x', '--to', 'megatron', '--memory', 'lots'], 'CLI_INVALID_VALUE', '250M'],
  ])('refuses %j with %s', async (argv, code, words) => {
    const done = await run('convert', ...argv);
    expect(done.exitCode).toBe(2);
    expect(done.stderr).toContain(`error[${code}]`);
    expect(done.stderr).toContain(words);
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel, readPeftAdapter } from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL, writeTestAdapter } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const MEGATRON = fileURLToPath(
  new URL('../../../../packages/weights/test/fixtures/megatron-lora', import.meta.url),
);

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-merge-'));
  await writeTestAdapter(join(dir, 'adapter'), { bScale: 0.1 });
  await writeTestAdapter(join(dir, 'tiny'), { bScale: 1e-12 });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function readValues(path: string, name: string): Promise<Float32Array> {
  const source = await openModel(path);
  const bytes = await source.read(name);
  await source.close();
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

describe('tuneyard merge', () => {
  it('writes a model whose weights are the base plus scale · B · A', async () => {
    const output = join(dir, 'merged');
    const run = await runFake(['merge', BUNDLED_MODEL, join(dir, 'adapter'), '-o', output]);
    expect(run).toMatchObject({ exitCode: 0, stdout: `${output}\n` });
    expect(run.stderr).toMatch(/updated {2}2 of \d+ tensors/);
    const name = 'model.layers.1.self_attn.q_proj';
    const before = await readValues(BUNDLED_MODEL, `${name}.weight`);
    const after = await readValues(output, `${name}.weight`);
    const pair = (await readPeftAdapter(join(dir, 'adapter'))).pairs.find(
      (p) => p.module === name,
    )!;
    const [row, column] = [5, 7];
    let update = 0;
    for (let r = 0; r < 2; r++) update += pair.b[row * 2 + r]! * pair.a[r * 64 + column]!;
    const at = row * 64 + column;
    expect(after[at]! - before[at]!).toBeCloseTo(2 * update, 5);
    expect(await readdir(output)).toContain('tokenizer_config.json');
  });

  it('warns when the update is too small to change anything', async () => {
    const output = join(dir, 'same');
    const argv = ['merge', BUNDLED_MODEL, join(dir, 'tiny'), '-o', output, '--dtype', 'bf16'];
    const run = await runFake(argv);
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toContain('warning: the written weights equal the base');
  });

  it('reports as JSON and refuses to write over a model', async () => {
    const argv = ['merge', BUNDLED_MODEL, 'adapter', '-o', 'json', '--json'];
    const run = await runFake(argv, { cwd: dir });
    expect(JSON.parse(run.stdout)).toMatchObject({ output: 'json', merged: [{}, {}] });
    const again = await runFake(argv, { cwd: dir });
    expect(again.exitCode).toBe(2);
    expect(JSON.parse(again.stdout).error).toMatchObject({ code: 'WEIGHTS_OUTPUT_EXISTS' });
  });

  it('stops before writing when it was interrupted', async () => {
    const interrupt = AbortSignal.abort();
    const argv = ['merge', BUNDLED_MODEL, join(dir, 'adapter'), '-o', join(dir, 'none')];
    const run = await runFake(argv, { interrupt });
    expect(run.exitCode).toBe(130);
    expect(run.stderr).toBe('stopped\n');
  });

  it('merges several adapters in turn', async () => {
    const twice = join(dir, 'twice');
    const adapter = join(dir, 'adapter');
    expect(await runFake(['merge', BUNDLED_MODEL, adapter, adapter, '-o', twice])).toMatchObject({
      exitCode: 0,
    });
    const steps = [join(dir, 'step-1'), join(dir, 'step-2')] as const;
    await runFake(['merge', BUNDLED_MODEL, adapter, '-o', steps[0]]);
    await runFake(['merge', steps[0], adapter, '-o', steps[1]]);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    expect(await readValues(twice, name)).toEqual(await readValues(steps[1], name));
  });

  it('merges Megatron checkpoints rank by rank', async () => {
    const run = (...argv: string[]) => runFake(['merge', ...argv]);
    const output = join(dir, 'megatron');
    const done = await run(`${MEGATRON}/base`, `${MEGATRON}/lora-only`, '-o', output);
    expect(done).toMatchObject({ exitCode: 0, stdout: `${output}\n` });
    expect(done.stderr).toMatch(/updated {2}6 weights in 2 ranks/);
    expect(await readdir(join(output, 'iter_0000010'))).toEqual(['mp_rank_00', 'mp_rank_01']);
    const other = join(dir, 'other');
    const unstated = await run(`${MEGATRON}/base`, '-o', other);
    expect(unstated.stderr).toContain('--lora-r, --lora-alpha');
    const both = ['-o', other, '--lora-r', '4', '--lora-alpha', '8'];
    expect((await run(`${MEGATRON}/base`, ...both)).stderr).toContain('no LoRA factors');
    const cast = await run(`${MEGATRON}/unified`, '-o', other, '--dtype', 'f32');
    expect(cast.stderr).toContain('tuneyard convert --dtype');
    expect(await readdir(dir)).not.toContain('other');
    const three = await run(`${MEGATRON}/base`, 'a', 'b', '-o', other);
    expect(three.stderr).toContain('one other at a time');
  });

  it('wants an adapter', async () => {
    const run = await runFake(['merge', BUNDLED_MODEL, '-o', join(dir, 'no')]);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('at least one adapter');
  });

  it('names the allowed types', async () => {
    const run = await runFake(['merge', 'a', 'b', '-o', 'c', '--dtype', 'q8_0']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('Allowed choices are f32, f16, bf16');
  });
});

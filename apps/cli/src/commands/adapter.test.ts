import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GgufReader } from '@tuneyard/formats';
import { readPeftAdapter } from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL, writeTestAdapter } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-adapter-'));
  await writeTestAdapter(join(dir, 'peft'), { bScale: 0.1 });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const convert = (from: string, to: string, ...more: string[]) =>
  runFake(['adapter', 'convert', from, to, ...more], { cwd: dir });

describe('tuneyard adapter convert', () => {
  it('goes to Megatron, to another division of it, and back to the same adapter', async () => {
    const base = ['--base', BUNDLED_MODEL];
    const there = await convert('peft', 'mg', '--to', 'megatron', ...base, '--tp', '2');
    expect(there).toMatchObject({ exitCode: 0, stdout: 'mg\n' });
    expect(there.stderr).toContain('rank     2, alpha 4');
    expect(there.stderr).toMatch(/zeros {4}in 6 shards/);
    expect(await readdir(join(dir, 'mg/iter_0000001'))).toEqual(['mp_rank_00', 'mp_rank_01']);
    expect(await readFile(join(dir, 'mg/latest_checkpointed_iteration.txt'), 'utf8')).toBe('1');
    const argv = ['--to', 'megatron', ...base, '--tp', '4', '--spec', 'legacy'];
    expect(await convert('mg', 'mg4', ...argv)).toMatchObject({ exitCode: 0 });
    const back = await convert('mg4', 'back', '--to', 'peft', ...base, '--json');
    expect(JSON.parse(back.stdout)).toMatchObject({ from: 'megatron', rank: 2, alpha: 4 });
    const [ours, theirs] = await Promise.all(
      ['back', 'peft'].map((name) => readPeftAdapter(join(dir, name))),
    );
    expect(ours?.pairs).toEqual(theirs?.pairs);
    expect(ours?.config).toMatchObject({ rank: 2, alpha: 4, targetModules: ['q_proj'] });
    const gguf = await convert('mg', 'from-mg.gguf', '--to', 'gguf', ...base);
    expect(gguf.exitCode).toBe(0);
    await convert('peft', 'from-peft.gguf', '--to', 'gguf', ...base);
    const files = await Promise.all(
      ['from-mg.gguf', 'from-peft.gguf'].map((name) => GgufReader.open(join(dir, name))),
    );
    const [first, second] = files;
    expect([...first!.tensors.keys()]).toEqual([...second!.tensors.keys()]);
    for (const name of first!.tensors.keys()) {
      expect(Buffer.compare(await first!.read(name), await second!.read(name)), name).toBe(0);
    }
    await Promise.all(files.map((file) => file.close()));
  });

  it('says that the base is needed, and what is in the way', async () => {
    const nowhere = await convert('peft', 'x.gguf', '--to', 'gguf');
    expect(nowhere.exitCode).not.toBe(0);
    expect(nowhere.stderr).toContain('--base');
    const again = await convert('peft', 'peft', '--to', 'peft');
    expect(again.stderr).toContain('already holds an adapter');
    const form = await convert('peft', 'x', '--to', 'onnx');
    expect(form.stderr).toContain('Allowed choices are peft, megatron, gguf');
    const halves = await convert('peft', 'half', '--to', 'peft', '--type', 'bf16');
    expect(halves.exitCode).toBe(0);
  });
});

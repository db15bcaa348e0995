import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const fixtures = fileURLToPath(
  new URL('../../../../packages/formats/test/fixtures/', import.meta.url),
);

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-inspect-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const inspect = (...argv: string[]) => runFake(['inspect', ...argv], { cwd: dir });

describe('tuneyard inspect of torch files', () => {
  it('lists the tensors of an archive and computes their statistics', async () => {
    const file = join(fixtures, 'torch/dtypes.pt');
    const found = await inspect(file, '--json');
    expect(found.exitCode).toBe(0);
    const { kind, tensors } = JSON.parse(found.stdout);
    expect(kind).toBe('torch archive');
    expect(tensors.map(({ dtype }: { dtype: string }) => dtype)).toContain('bfloat16');
    const name = tensors.find(({ dtype }: { dtype: string }) => dtype === 'float32').name;
    const stats = await inspect(file, '--stats', name, '--json');
    expect(JSON.parse(stats.stdout)).toMatchObject({ name, notANumber: expect.any(Number) });
  });

  it('shows the ranks and arguments of a Megatron checkpoint', async () => {
    const argv = ['convert', BUNDLED_MODEL, 'mg', '--to', 'megatron', '--tp', '2'];
    expect((await runFake(argv, { cwd: dir })).exitCode).toBe(0);
    const found = await inspect('mg');
    expect(found.stdout).toMatch(/ranks +mp_rank_00, mp_rank_01/);
    expect(found.stdout).toMatch(/tensor_model_parallel_size +2/);
    expect(found.stdout).toContain('linear_qkv.weight');
  });

  it('shows a distributed checkpoint with the whole shapes of its tensors', async () => {
    const found = await inspect(join(fixtures, 'torch-dcp/fsdp2'));
    expect(found.exitCode).toBe(0);
    expect(found.stdout).toMatch(/chunks +48/);
    expect(found.stdout).toMatch(/embed_tokens\.weight +bfloat16 +33 × 16/);
  });

  it('says what is wrong with a file that only claims to be one', async () => {
    await writeFile(join(dir, 'fake.pt'), 'not a torch file at all');
    const found = await inspect('fake.pt');
    expect(found.exitCode).toBe(2);
    expect(found.stderr).toMatch(/error\[TORCH_/);
    expect(found.stderr).toContain('fake.pt');
  });
});

import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL, writeTestAdapter } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-export-'));
  await writeTestAdapter(join(dir, 'adapter'), { bScale: 0.3 });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function continueStory(...argv: string[]): Promise<string> {
  const more = ['--prompt', 'Once upon a time', '--max-new-tokens', '24'];
  return (await runFake(['generate', ...argv, ...more], { cwd: dir })).stdout;
}

describe('tuneyard export', () => {
  it('writes a GGUF file that continues a text like the model', async () => {
    const run = await runFake(['export', BUNDLED_MODEL, '-o', 'base.gguf'], { cwd: dir });
    expect(run).toMatchObject({ exitCode: 0, stdout: 'base.gguf\n' });
    expect(await continueStory('base.gguf')).toBe(await continueStory(BUNDLED_MODEL));
  });

  it('merges an adapter in, so that the file continues like model and adapter together', async () => {
    const argv = ['export', BUNDLED_MODEL, '--adapter', 'adapter', '-o', 'merged.gguf'];
    expect((await runFake(argv, { cwd: dir })).exitCode).toBe(0);
    const adapted = await continueStory(BUNDLED_MODEL, '--adapter', 'adapter');
    expect(await continueStory('merged.gguf')).toBe(adapted);
    expect(adapted).not.toBe(await continueStory(BUNDLED_MODEL));
    expect((await readdir(dir)).filter((name) => name.includes('tuneyard-merge'))).toEqual([]);
  });

  it('goes from GGUF back to a directory with its tokenizer', async () => {
    await runFake(['export', BUNDLED_MODEL, '-o', 'there.gguf'], { cwd: dir });
    const run = await runFake(['export', 'there.gguf', '-o', 'back'], { cwd: dir });
    expect(run.exitCode).toBe(0);
    expect(await readdir(join(dir, 'back'))).toContain('tokenizer.json');
    expect(await continueStory('back')).toBe(await continueStory(BUNDLED_MODEL));
  });

  it('says which tensors could not have the type', async () => {
    const argv = ['export', BUNDLED_MODEL, '-o', 'q4.gguf', '--type', 'q4_K'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.exitCode).toBe(0);
    expect(run.stderr).toMatch(/warning: \d+ of \d+ tensors are \w+ instead of q4_K/);
  });

  it('copies an adapter, and asks for one when it is missing', async () => {
    const argv = ['export', BUNDLED_MODEL, '--format', 'peft', '-o', 'copy', '--json'];
    const run = await runFake([...argv, '--adapter', 'adapter'], { cwd: dir });
    expect(JSON.parse(run.stdout)).toMatchObject({ format: 'peft', modules: 2 });
    const missing = await runFake(argv, { cwd: dir });
    expect(missing.exitCode).toBe(2);
    expect(JSON.parse(missing.stdout).error.hint).toContain('--adapter');
  });

  it('lists the types of a form', async () => {
    const argv = ['export', BUNDLED_MODEL, '-o', 'dir', '--type', 'q8_0'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/CLI_INVALID_VALUE[\s\S]*allowed {2}f32, f16, bf16/);
  });
});

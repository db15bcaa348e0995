import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { writeSafetensors } from '@tuneyard/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL, writeTestAdapter } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const GGUF = fileURLToPath(
  new URL('../../../../packages/ggml/test/fixtures/stories260K-f32.gguf', import.meta.url),
);

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-inspect-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function inspectJson(...argv: string[]) {
  const run = await runFake(['inspect', ...argv, '--json']);
  return JSON.parse(run.stdout);
}

describe('tuneyard inspect', () => {
  it('shows a model with its weights, tokenizer and one entry for equal layers', async () => {
    const run = await runFake(['inspect', BUNDLED_MODEL]);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toMatch(/architecture +LlamaForCausalLM/);
    expect(run.stdout).toMatch(/parameters +260,032/);
    expect(run.stdout).toMatch(/kind +SentencePiece BPE/);
    expect(run.stdout).toContain('0–4 (5 alike)');
    expect(run.stdout.match(/q_proj/g)).toHaveLength(1);
  });

  it('lists every tensor with --tensors', async () => {
    const run = await runFake(['inspect', BUNDLED_MODEL, '--tensors']);
    expect(run.stdout.match(/q_proj/g)).toHaveLength(5);
  });

  it('counts the same parameters in both forms of the same model', async () => {
    const [hf, gguf] = [await inspectJson(BUNDLED_MODEL), await inspectJson(GGUF)];
    expect(hf.parameters).toBe(260_032);
    expect(gguf.parameters).toBe(260_032);
    expect(gguf.metadata['llama.block_count']).toBe(5);
    expect(hf.tensors).toHaveLength(47);
    expect(hf.tokenizer).toMatchObject({ vocabSize: 512, bosTokenId: 1, chatTemplate: null });
    expect(gguf.tokenizer).toMatchObject({ vocabSize: 512, bosTokenId: 1 });
  });

  it('computes the same statistics from both forms, for part of a name', async () => {
    const hf = await inspectJson(BUNDLED_MODEL, '--stats', 'layers.3.mlp.up_proj');
    const gguf = await inspectJson(GGUF, '--stats', 'blk.3.ffn_up.weight');
    for (const fact of ['elements', 'min', 'max', 'mean', 'standardDeviation', 'first']) {
      expect(hf[fact], fact).toEqual(gguf[fact]);
    }
  });

  it('says when part of a name fits several tensors', async () => {
    const run = await runFake(['inspect', BUNDLED_MODEL, '--stats', 'q_proj']);
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('error[CLI_UNKNOWN_TENSOR]: q_proj fits 5 tensors');
  });

  it('shows an adapter and notices one that changes nothing', async () => {
    await writeTestAdapter(join(dir, 'adapter'), { bScale: 0.1 });
    await writeTestAdapter(join(dir, 'idle'), { bScale: 0 });
    const run = await runFake(['inspect', join(dir, 'adapter')]);
    expect(run.stdout).toMatch(/rank +2\n +alpha +4\n +scale +2\.00\n +adapts +q_proj/);
    expect(run.stderr).toBe('');
    const idle = await runFake(['inspect', join(dir, 'idle')]);
    expect(idle.stderr).toContain('every B factor is zero');
  });

  it('shows a tokenizer file, and fails on JSON that is none', async () => {
    const run = await runFake(['inspect', join(BUNDLED_MODEL, 'tokenizer.json')]);
    expect(run.stdout).toMatch(/^tokenizer /);
    await writeFile(join(dir, 'other.json'), '{}');
    const other = await runFake(['inspect', join(dir, 'other.json')]);
    expect(other.exitCode).toBe(2);
    expect(other.stderr).toMatch(/^error\[TOKENIZER_BAD_FILE\]/);
  });

  it('reads every plain number type of a weight file', async () => {
    const file = join(dir, 'types.safetensors');
    const entry = (name: string, dtype: 'I64' | 'BF16' | 'U8', data: Uint8Array) => ({
      name,
      dtype,
      shape: [2],
      data,
    });
    await writeSafetensors(
      file,
      [
        entry('i64', 'I64', new Uint8Array(BigInt64Array.of(-5n, 7n).buffer)),
        entry('bf16', 'BF16', new Uint8Array(Uint16Array.of(0x3f80, 0xc000).buffer)),
        entry('u8', 'U8', Uint8Array.of(0, 255)),
      ],
      {},
    );
    expect((await inspectJson(file, '--stats', 'i64')).first).toEqual([-5, 7]);
    expect((await inspectJson(file, '--stats', 'bf16')).first).toEqual([1, -2]);
    expect((await inspectJson(file, '--stats', 'u8')).first).toEqual([0, 255]);
  });

  it('shows what it can of a model it does not know, with a warning', async () => {
    const model = join(dir, 'unknown');
    await mkdir(model);
    await copyFile(join(BUNDLED_MODEL, 'model.safetensors'), join(model, 'model.safetensors'));
    const config = { architectures: ['NewForCausalLM'], model_type: 'new' };
    await writeFile(join(model, 'config.json'), JSON.stringify(config));
    const run = await runFake(['inspect', model]);
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toMatch(/parameters +260,032/);
    expect(run.stderr).toMatch(/warning: .*NewForCausalLM/);
    expect(run.stderr).toContain('warning: tokenizer: ');
  });

  it('lists what it can look into when it is given something else', async () => {
    await writeFile(join(dir, 'notes.txt'), 'hello');
    const run = await runFake(['inspect', 'notes.txt'], { cwd: dir });
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/^error\[CLI_UNKNOWN_CONTENT\].*\n.*path.*\n.*allowed.*\.gguf/);
    const missing = await runFake(['inspect', 'missing'], { cwd: dir });
    expect(missing.stderr).toMatch(/^error\[CLI_FILE_NOT_FOUND\]: No such file or directory/);
  });
});

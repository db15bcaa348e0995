import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { LlamaModel } from './index.js';

const fixture = (name: string): string =>
  fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url));

it('continues the bundled story model as its published reference says', async () => {
  const reference = JSON.parse(readFileSync(fixture('stories260k-greedy.json'), 'utf8')) as {
    prompt: string;
    prompt_ids: number[];
    new_ids: number[];
  };
  using model = new LlamaModel(fixture('stories260K-f32.gguf'), { threads: 1 });
  expect(model.tokenize(reference.prompt, { addSpecial: true, parseSpecial: true })).toEqual(
    reference.prompt_ids,
  );
  const { ids } = await model.greedy(reference.prompt_ids, { maxNewTokens: 60, stopTokenIds: [] });
  expect(ids).toEqual(reference.new_ids.slice(0, 60));
});

it('refuses a file that is not a model', () => {
  expect(() => new LlamaModel(fixture('stories260k-greedy.json'), { threads: 1 })).toThrowError(
    expect.objectContaining({ code: 'LLAMA_LOAD_FAILED' }),
  );
});

import { readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { writeGguf } from '@tuneyard/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer } from './load-tokenizer.js';

const FIXTURES = fileURLToPath(new URL('../../test/fixtures/tokenizer/', import.meta.url));
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'load-tokenizer-'));
});

afterAll(async () => {
  await rm(dir, { recursive: true });
});

async function folder(name: string, files: Readonly<Record<string, string | Uint8Array>>) {
  const path = join(dir, name);
  await mkdir(path);
  for (const [file, content] of Object.entries(files)) {
    await writeFile(join(path, file), content);
  }
  return path;
}

describe('loadTokenizer', () => {
  it('prefers tokenizer.json in a directory and reads the config beside it', async () => {
    const tokenizer = await loadTokenizer(join(FIXTURES, 'stories260k'));
    expect(tokenizer.origin).toBe(join(FIXTURES, 'stories260k', 'tokenizer.json'));
    expect([...tokenizer.encode('Once upon a time')]).toEqual([1, 403, 407, 261, 378]);
  });

  it('reads a SentencePiece file, alone or in a directory with a config', async () => {
    const model = join(FIXTURES, 'stories260k', 'tokenizer.model');
    expect([...(await loadTokenizer(model)).encode('Once')].slice(0, 2)).toEqual([1, 403]);
    const path = await folder('spm', { 'tokenizer_config.json': '{"add_bos_token": false}' });
    await copyFile(model, join(path, 'tokenizer.model'));
    expect([...(await loadTokenizer(path)).encode('Once')][0]).toBe(403);
  });

  it('reads vocab.json with merges.txt', async () => {
    const unpack = (file: string) => gunzipSync(readFileSync(join(FIXTURES, 'gpt2', file)));
    const path = await folder('gpt2', {
      'vocab.json': unpack('vocab.json.gz'),
      'merges.txt': unpack('merges.txt.gz'),
    });
    const tokenizer = await loadTokenizer(path);
    expect([...tokenizer.encode('Hello world')]).toEqual([15496, 995]);
    expect(tokenizer).toMatchObject({
      kind: 'byte-level-bpe',
      bosTokenId: 50256,
      unkTokenId: 50256,
    });
  });

  it('reads the vocabulary of a GGUF file', async () => {
    const path = join(dir, 'tiny.gguf');
    const metadata = new Map([
      ['general.architecture', { type: 'string', value: 'llama' }],
      ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
      [
        'tokenizer.ggml.tokens',
        { type: 'array', itemType: 'string', value: ['<unk>', '<s>', '</s>', '▁', 'a', '▁a'] },
      ],
      [
        'tokenizer.ggml.scores',
        { type: 'array', itemType: 'f32', value: Float32Array.of(0, 0, 0, -2, -2, -1) },
      ],
      [
        'tokenizer.ggml.token_type',
        { type: 'array', itemType: 'i32', value: Int32Array.of(2, 3, 3, 1, 1, 1) },
      ],
    ] as const);
    await writeGguf(path, { metadata, tensors: [] });
    const tokenizer = await loadTokenizer(path);
    expect([...tokenizer.encode('aa')]).toEqual([1, 5, 4]);
  });

  it.each([
    ['a path that is not there', () => 'nowhere', 'TOKENIZER_NOT_FOUND', /does not exist/],
    ['a file of another kind', () => 'notes.txt', 'TOKENIZER_NOT_FOUND', /neither a directory/],
    ['an empty directory', () => '.', 'TOKENIZER_NOT_FOUND', /holds none of tokenizer\.json/],
    [
      'a file that is not JSON',
      () => 'broken.json',
      'TOKENIZER_BAD_FILE',
      /broken\.json is not JSON/,
    ],
  ])('names the trouble with %s', async (_what, name, code, message) => {
    const empty = join(dir, 'errors');
    await mkdir(empty, { recursive: true });
    if (name() !== 'nowhere' && name() !== '.') {
      await writeFile(join(empty, name()), '{');
    }
    await expect(loadTokenizer(join(empty, name()))).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as string,
    });
    await rm(empty, { recursive: true });
  });
});

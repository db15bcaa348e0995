/**
 * Tokenizers carried into GGUF metadata and back give the ids they gave before, on seeded random texts;
 * what comes back is also loaded by npm tokenizers 0.23.2. llama.cpp's own reading of the metadata is
 * compared in the engine package.
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { GgufValue } from '@tuneyard/formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadChatTemplate } from '../src/templates/index.js';
import {
  ggufTokenizerFields,
  loadTokenizer,
  planGgufTokenizerFields,
  tokenizerFilesFromGguf,
} from '../src/tokenizer/index.js';
import { checkFields, checkFiles, tokenizerFolder, vocabularyFile } from './export-round-trip.js';

const NAMES = [
  'gpt2',
  'mistral',
  'phi-3',
  'stories260k',
  'stories260k, tokenizer.model alone',
  'like Qwen',
  'like SmolLM',
];

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tokenizer-export-'));
});
afterAll(() => rm(root, { recursive: true }));

const folder = (name: string) => tokenizerFolder(root, name);
const gguf = (fields: ReadonlyMap<string, GgufValue>) => vocabularyFile(root, fields);

describe('GGUF metadata of a Hugging Face tokenizer', () => {
  it.each(NAMES)('give the same ids: %s', (name) => checkFields(root, name));

  it('types the tokens and fills the list up to the size of the embedding', async () => {
    const fields = await ggufTokenizerFields(await folder('stories260k'), { vocabSize: 514 });
    const tokens = fields.get('tokenizer.ggml.tokens')?.value as string[];
    const types = fields.get('tokenizer.ggml.token_type')?.value as Int32Array;
    expect(tokens.slice(511)).toEqual([tokens[511], '[PAD512]', '[PAD513]']);
    expect([types[0], types[1], types[3], types[259], types[513]]).toEqual([2, 3, 6, 1, 5]);
    await expect(
      ggufTokenizerFields(await folder('stories260k'), { vocabSize: 511 }),
    ).rejects.toMatchObject({
      code: 'TOKENIZER_UNSUPPORTED',
      message: expect.stringMatching(/512 tokens for an embedding of 511 rows/) as string,
    });
  });

  it('states the scores of the SentencePiece file, which the merge ranks order alike', async () => {
    const scores = async (name: string) =>
      (await ggufTokenizerFields(await folder(name))).get('tokenizer.ggml.scores')
        ?.value as Float32Array;
    const stated = await scores('stories260k, tokenizer.model alone');
    const derived = await scores('stories260k');
    // Trained scores are 0, -1, -2, … in id order from the first piece on.
    expect([...stated.subarray(259)]).toEqual(Array.from({ length: 253 }, (_, i) => -i));
    const order = (list: Float32Array) =>
      [...list.keys()].slice(259).sort((a, b) => list[b]! - list[a]!);
    const merged = order(derived).filter((id) => derived[id]! > -165);
    expect(order(stated).slice(0, merged.length)).toEqual(merged);
  });

  it('carries the chat template, and special ids that only config.json has', async () => {
    const fields = await ggufTokenizerFields(await folder('like Qwen'));
    expect(fields.get('tokenizer.chat_template')?.value).toBe('{{ messages[0].content }}');
    expect(fields.get('tokenizer.ggml.eos_token_id')).toEqual({ type: 'u32', value: 2001 });
    expect(fields.get('tokenizer.ggml.add_bos_token')).toEqual({ type: 'bool', value: false });
  });

  it('says what llama.cpp will read differently', async () => {
    const differences = async (name: string) =>
      (await planGgufTokenizerFields(await folder(name))).differences;
    expect(await differences('mistral')).toEqual([]);
    expect(await differences('stories260k, tokenizer.model alone')).toEqual([
      expect.stringMatching(/Runs of spaces/),
    ]);
    expect(await differences('phi-3')).toEqual([
      expect.stringMatching(/White space .*<\/s>/),
      expect.stringMatching(/control token/),
    ]);
  });

  it('pass through from another GGUF file, filled up where asked', async () => {
    const fields = await ggufTokenizerFields(await folder('stories260k'));
    const path = await gguf(fields);
    expect(await ggufTokenizerFields(path)).toEqual(fields);
    const larger = await ggufTokenizerFields(path, { vocabSize: 520 });
    expect(larger).toEqual(
      await ggufTokenizerFields(await folder('stories260k'), { vocabSize: 520 }),
    );
    await expect(ggufTokenizerFields(path, { vocabSize: 8 })).rejects.toMatchObject({
      code: 'TOKENIZER_UNSUPPORTED',
    });
  });
});

describe('Hugging Face files of a GGUF tokenizer', () => {
  it.each(NAMES)('give the same ids to us and to the tokenizers library: %s', (name) =>
    checkFiles(root, name),
  );

  it('make a directory that carries back into the same GGUF metadata', async () => {
    const fields = await ggufTokenizerFields(await folder('like Qwen'), { vocabSize: 2048 });
    const back = await mkdtemp(join(root, 'back-'));
    for (const file of await tokenizerFilesFromGguf(await gguf(fields))) {
      await writeFile(join(back, file.name), file.content);
    }
    expect(await ggufTokenizerFields(back, { vocabSize: 2048 })).toEqual(fields);
    const template = await loadChatTemplate(back, await loadTokenizer(back));
    expect(template?.source).toBe('{{ messages[0].content }}');
  });

  it('name the special tokens and what ends an answer', async () => {
    const fields = new Map(await ggufTokenizerFields(await folder('like Qwen')));
    fields.set('tokenizer.ggml.eot_token_id', { type: 'u32', value: 2000 });
    fields.set('tokenizer.chat_template.tool_use', { type: 'string', value: 'T' });
    const files = await tokenizerFilesFromGguf(await gguf(fields));
    const parsed = Object.fromEntries(
      files.map(({ name, content }) => [name, JSON.parse(content) as unknown]),
    );
    expect(parsed['generation_config.json']).toEqual({
      bos_token_id: 2000,
      eos_token_id: [2001, 2000],
    });
    expect(parsed['special_tokens_map.json']).toEqual({
      bos_token: '<|endoftext|>',
      eos_token: '<|im_end|>',
    });
    expect(parsed['tokenizer_config.json']).toMatchObject({
      tokenizer_class: 'PreTrainedTokenizerFast',
      model_max_length: 2048,
      add_bos_token: false,
      chat_template: [
        { name: 'default', template: '{{ messages[0].content }}' },
        { name: 'tool_use', template: 'T' },
      ],
    });
  });
});

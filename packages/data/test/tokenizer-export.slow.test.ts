/** As tokenizer-export.test.ts, for the two vocabularies of 128 k and 151 k tokens. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planGgufTokenizerFields } from '../src/tokenizer/index.js';
import { checkFields, checkFiles, tokenizerFolder } from './export-round-trip.js';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tokenizer-export-'));
});
afterAll(() => rm(root, { recursive: true }));

describe.each(['qwen3', 'llama3'])('%s', (name) => {
  it('gives the same ids from its GGUF metadata', () => checkFields(root, name));
  it('gives the same ids from the files made of them', () => checkFiles(root, name));
});

it('says what llama.cpp reads differently in Qwen3', async () => {
  const plan = await planGgufTokenizerFields(await tokenizerFolder(root, 'qwen3'));
  expect(plan.differences).toEqual([
    expect.stringMatching(/NFC/),
    expect.stringMatching(/control token/),
  ]);
});

/** Tokenizers to be carried into GGUF metadata and back, and the comparisons of ids on the way. */

import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createRng } from '@tuneyard/core';
import { type GgufValue, writeGguf } from '@tuneyard/formats';
import { Tokenizer as Reference } from 'tokenizers';
import { expect } from 'vitest';
import {
  createTokenizer,
  ggufTokenizerFields,
  loadTokenizer,
  readGgufTokenizer,
  readHfTokenizer,
  type Tokenizer,
  tokenizerFilesFromGguf,
} from '../src/tokenizer/index.js';
import { fixtureBytes, fixtureText, llama3Json, randomText } from './tokenizer-fixtures.js';

const ADDED = ['<|endoftext|>', '<|im_end|>', '<think>'].map((content, i) => ({
  id: 2000 + i,
  content,
  special: i < 2,
  normalized: false,
  single_word: false,
  lstrip: false,
  rstrip: false,
}));

/** A vocabulary of 2000 tokens, split like Qwen2's. */
function smallByteLevel(): object {
  return { ...(JSON.parse(fixtureText('small/split-qwen2.json.gz')) as object), normalizer: null };
}

/** Files of each tokenizer, by name. */
const PARTS: Readonly<Record<string, () => Readonly<Record<string, string | Uint8Array>>>> = {
  gpt2: () => ({
    'vocab.json': fixtureText('gpt2/vocab.json.gz'),
    'merges.txt': fixtureText('gpt2/merges.txt.gz'),
  }),
  qwen3: () => ({ 'tokenizer.json': fixtureText('qwen3/tokenizer.json.gz') }),
  llama3: () => ({ 'tokenizer.json': llama3Json() }),
  mistral: () => ({
    'tokenizer.json': fixtureText('mistral-7b-v0.1/tokenizer.json.gz'),
    'tokenizer_config.json': fixtureText('mistral-7b-v0.1/tokenizer_config.json'),
  }),
  'phi-3': () => ({
    'tokenizer.json': fixtureText('phi-3-mini/tokenizer.json.gz'),
    'tokenizer_config.json': fixtureText('phi-3-mini/tokenizer_config.json'),
  }),
  stories260k: () => ({
    'tokenizer.json': fixtureText('stories260k/tokenizer.json'),
    'tokenizer_config.json': fixtureText('stories260k/tokenizer_config.json'),
  }),
  'stories260k, tokenizer.model alone': () => ({
    'tokenizer.model': fixtureBytes('stories260k/tokenizer.model'),
  }),
  'like Qwen': () => ({
    'tokenizer.json': JSON.stringify({ ...smallByteLevel(), added_tokens: ADDED }),
    'config.json': JSON.stringify({ bos_token_id: 2000, eos_token_id: [2001, 2000] }),
    'chat_template.jinja': '{{ messages[0].content }}',
  }),
  'like SmolLM': () => ({
    'tokenizer.json': JSON.stringify({
      ...smallByteLevel(),
      pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Digits', individual_digits: true },
          { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
        ],
      },
    }),
  }),
};
const SPLITTERS: Readonly<Record<string, string>> = {
  gpt2: 'gpt-2',
  qwen3: 'qwen2',
  'like Qwen': 'qwen2',
  llama3: 'llama-bpe',
  'like SmolLM': 'smollm',
};
/** Writes the files of a tokenizer into a new directory under `root`. */
export async function tokenizerFolder(root: string, name: string): Promise<string> {
  const path = await mkdtemp(join(root, 'model-'));
  for (const [file, content] of Object.entries(PARTS[name]!())) {
    await writeFile(join(path, file), content);
  }
  return path;
}

/** Writes a GGUF file without tensors under `root`. */
export async function vocabularyFile(
  root: string,
  fields: ReadonlyMap<string, GgufValue>,
): Promise<string> {
  const path = join(await mkdtemp(join(root, 'gguf-')), 'model.gguf');
  const metadata = new Map<string, GgufValue>([
    ['general.architecture', { type: 'string', value: 'llama' }],
    ['llama.context_length', { type: 'u32', value: 2048 }],
    ...fields,
  ]);
  await writeGguf(path, { metadata, tensors: [] });
  return path;
}

/** Seeded texts without what GGUF cannot state, by tokenizer. */
function texts(name: string, count = 80): string[] {
  const rng = createRng(31);
  return Array.from({ length: count }, () => statable(name, randomText(rng)));
}

function statable(name: string, text: string): string {
  switch (name) {
    case 'qwen3':
      // It normalizes to NFC and takes U+017F for an s.
      return text
        .replace(/[\uD800-\uDFFF]/gu, '\uFFFD')
        .normalize('NFC')
        .replaceAll('\u017f', 's');
    case 'phi-3':
      // Its added tokens take the white space after them.
      return text.replace(/>\s+/gu, '>');
    case 'stories260k, tokenizer.model alone':
      // Its file asks for runs of spaces to be reduced.
      return text.replace(/ *(<s>|<\/s>|<unk>|^| |$) */g, (_, token: string) => token);
    default:
      return text.replaceAll('\u017f', 's');
  }
}

function expectSameIds(actual: Tokenizer, expected: Tokenizer, corpus: readonly string[]): void {
  for (const text of corpus) {
    for (const options of [{}, { addSpecialTokens: false }]) {
      expect([...actual.encode(text, options)], JSON.stringify(text)).toEqual([
        ...expected.encode(text, options),
      ]);
    }
  }
}

/** Loads the tokenizer's GGUF metadata and compares ids with its own. */
export async function checkFields(root: string, name: string): Promise<void> {
  const path = await tokenizerFolder(root, name);
  const expected = await loadTokenizer(path);
  const fields = await ggufTokenizerFields(path);
  const actual = createTokenizer(readGgufTokenizer(fields, name));
  expectSameIds(actual, expected, texts(name));
  expect(fields.get('tokenizer.ggml.pre')?.value).toBe(SPLITTERS[name] ?? 'default');
  expect(actual.vocabSize).toBe(expected.vocabSize);
}

/** Loads the files made of the tokenizer's GGUF metadata, here and in the reference, and compares. */
export async function checkFiles(root: string, name: string): Promise<void> {
  const folder = await tokenizerFolder(root, name);
  const path = await vocabularyFile(root, await ggufTokenizerFields(folder));
  const expected = await loadTokenizer(path);
  const files = new Map(
    (await tokenizerFilesFromGguf(path)).map((file) => [file.name, file.content]),
  );
  const json = files.get('tokenizer.json')!;
  const definition = readHfTokenizer({
    origin: name,
    tokenizer: JSON.parse(json),
    config: JSON.parse(files.get('tokenizer_config.json')!),
  });
  const actual = createTokenizer(definition);
  const corpus = texts(name);
  expectSameIds(actual, expected, corpus);
  for (const key of ['bosTokenId', 'eosTokenId', 'padTokenId', 'unkTokenId'] as const) {
    expect(actual[key], key).toBe(expected[key]);
  }
  const reference = Reference.fromString(json);
  const encodings = await reference.encodeBatch(corpus, { addSpecialTokens: true });
  for (const [i, text] of corpus.entries()) {
    const ids = encodings[i]!.getIds();
    expect(ids, JSON.stringify(text)).toEqual([...expected.encode(text)]);
    expect(actual.decode(ids)).toBe(expected.decode(ids));
  }
}

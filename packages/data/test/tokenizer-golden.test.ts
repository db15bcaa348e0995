import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  createTokenizer,
  loadTokenizer,
  readGpt2Files,
  readHfTokenizer,
  readSentencePiece,
  type Tokenizer,
} from '../src/tokenizer/index.js';
import {
  fixtureBytes,
  fixtureText,
  type GoldenCase,
  llama3Json,
  llamaCppCases,
} from './tokenizer-fixtures.js';

const PLAIN = { addSpecialTokens: false, parseSpecial: false } as const;

function fromJson(origin: string, text: string, config?: unknown): Tokenizer {
  return createTokenizer(readHfTokenizer({ origin, tokenizer: JSON.parse(text), config }));
}

function gpt2(): Tokenizer {
  return createTokenizer(
    readGpt2Files({
      origin: 'gpt2',
      vocabulary: JSON.parse(fixtureText('gpt2/vocab.json.gz')),
      merges: fixtureText('gpt2/merges.txt.gz'),
    }),
  );
}

async function withTempFile<T>(
  name: string,
  bytes: Uint8Array,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const dir = await mkdtemp(join(tmpdir(), 'tokenizer-'));
  try {
    await writeFile(join(dir, name), bytes);
    return await use(join(dir, name));
  } finally {
    await rm(dir, { recursive: true });
  }
}

describe("llama.cpp's vocabulary tests", () => {
  it.each([
    ['gpt-2', 'GPT-2 vocab.json and merges.txt', gpt2],
    [
      'qwen2',
      'Qwen3 tokenizer.json',
      () => fromJson('qwen3', fixtureText('qwen3/tokenizer.json.gz')),
    ],
    ['llama-bpe', 'Llama-3 tokenizer.json', () => fromJson('llama3', llama3Json())],
    [
      'llama-spm',
      'Llama-2 vocabulary in the Phi-3 tokenizer.json',
      () =>
        fromJson(
          'phi3',
          fixtureText('phi-3-mini/tokenizer.json.gz'),
          JSON.parse(fixtureText('phi-3-mini/tokenizer_config.json')),
        ),
    ],
  ])('all 46 texts of %s give the expected ids with %s', (name, _what, load) => {
    const tokenizer = load();
    const cases = llamaCppCases(name);
    expect(cases).toHaveLength(46);
    const encoded: GoldenCase[] = cases.map(({ text }) => ({
      text,
      ids: [...tokenizer.encode(text, PLAIN)],
    }));
    expect(encoded).toEqual(cases);
    for (const { text, ids } of cases) {
      // SentencePiece drops the one space it adds, so text comes back whole there too.
      expect(tokenizer.decode(ids)).toBe(text);
    }
  });

  it('a GPT-2 vocabulary in GGUF metadata gives the same ids as its text files', async () => {
    const bytes = fixtureBytes('gpt2/ggml-vocab-gpt-2.gguf.gz');
    const tokenizer = await withTempFile('gpt2.gguf', bytes, loadTokenizer);
    const cases = llamaCppCases('gpt-2');
    expect(cases.map(({ text }) => [...tokenizer.encode(text, PLAIN)])).toEqual(
      cases.map(({ ids }) => ids),
    );
    expect(tokenizer).toMatchObject({ vocabSize: 50257, eosTokenId: 50256, addBos: false });
    expect([...tokenizer.encode('a<|endoftext|>b')]).toEqual([...gpt2().encode('a<|endoftext|>b')]);
  });
});

describe('the stories260k vocabulary', () => {
  const cases = JSON.parse(fixtureText('stories260k/reference-ids.json')) as GoldenCase[];
  const json = fromJson(
    'stories260k',
    fixtureText('stories260k/tokenizer.json'),
    JSON.parse(fixtureText('stories260k/tokenizer_config.json')),
  );
  const model = createTokenizer(
    readSentencePiece(fixtureBytes('stories260k/tokenizer.model'), 'tokenizer.model'),
  );

  it('as tokenizer.json gives the ids of the reference, BOS included', () => {
    expect(cases.map(({ text }) => [...json.encode(text)])).toEqual(cases.map(({ ids }) => ids));
  });

  it('as a SentencePiece file agrees on text without surplus spaces, which that file removes', () => {
    const kept = cases.filter(({ text }) => text === text.replace(/ +/g, ' ').trim());
    expect(kept.length).toBeGreaterThan(6);
    expect(kept.map(({ text }) => [...model.encode(text)])).toEqual(kept.map(({ ids }) => ids));
    expect([...model.encode('  two  spaces ')]).toEqual([...model.encode('two spaces')]);
    expect(model).toMatchObject({ bosTokenId: 1, eosTokenId: 2, unkTokenId: 0, padTokenId: null });
  });

  it('knows its special tokens by the names in tokenizer_config.json', () => {
    expect(json).toMatchObject({
      kind: 'sentencepiece-bpe',
      vocabSize: 512,
      bosTokenId: 1,
      eosTokenId: 2,
      unkTokenId: 0,
      padTokenId: 0,
      addBos: true,
      addEos: false,
    });
    expect([json.isSpecial(1), json.isSpecial(403)]).toEqual([true, false]);
    expect(json.idToToken(1)).toBe('<s>');
    expect(json.tokenToId('</s>')).toBe(2);
    expect(json.idToToken(512)).toBeUndefined();
  });
});

describe('a document without a split point', () => {
  it('of 100 kB is encoded in less than a second and comes back whole', () => {
    const tokenizer = fromJson('mistral', fixtureText('mistral-7b-v0.1/tokenizer.json.gz'));
    const text = 'Once upon a time there was a naïve 猫 that jumped over 12345 fences.  '.repeat(
      1500,
    );
    const start = performance.now();
    const ids = tokenizer.encode(text);
    expect(performance.now() - start).toBeLessThan(1000);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(text);
  });
});

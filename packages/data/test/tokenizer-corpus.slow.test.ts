/**
 * Every document of a corpus of more than 10 MB, for five tokenizers: the ids of the fast engine against
 * those of npm tokenizers 0.23.2, once as it is used and once with so little memory for pieces that it
 * forgets all the time. A fault in the cache shows only on a corpus.
 */

import { Tokenizer as Reference } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { createTokenizer, readHfTokenizer } from '../src/tokenizer/index.js';
import { buildCorpus } from './corpus.js';
import { gpt2Json } from './tokenizer-differential.js';
import { fixtureText, llama3Json } from './tokenizer-fixtures.js';

const BATCH = 64;
const OPTIONS = { addSpecialTokens: false };
const documents = buildCorpus({ seed: 1, bytes: 10_500_000 }).map(({ text }) => text);

describe('a corpus of 10 MB gives the ids of the reference', () => {
  it('has that size, and documents of every kind', () => {
    const bytes = documents.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
    expect(bytes).toBeGreaterThan(10_485_760);
    expect(documents.length).toBeGreaterThan(2000);
  });

  it.each([
    ['GPT-2', gpt2Json],
    ['Llama-3', llama3Json],
    ['Qwen3', () => fixtureText('qwen3/tokenizer.json.gz')],
    ['Mistral 7B', () => fixtureText('mistral-7b-v0.1/tokenizer.json.gz')],
    ['Phi-3, with the pieces of Llama-2', () => fixtureText('phi-3-mini/tokenizer.json.gz')],
  ])('%s', async (_name, json) => {
    const reference = Reference.fromString(json());
    const definition = readHfTokenizer({ origin: 'corpus', tokenizer: JSON.parse(json()) });
    const usual = createTokenizer(definition);
    const forgetful = createTokenizer(definition, { cacheSlots: 64 });
    let differing = 0;
    for (let from = 0; from < documents.length; from += BATCH) {
      const batch = documents.slice(from, from + BATCH);
      const encodings = await reference.encodeBatch(batch, OPTIONS);
      for (const [i, text] of batch.entries()) {
        const expected = Int32Array.from(encodings[i]!.getIds());
        const isEqual =
          same(usual.encode(text, OPTIONS), expected) &&
          same(forgetful.encode(text, OPTIONS), expected) &&
          same(usual.encodeBytes(Buffer.from(text), OPTIONS), expected);
        differing += isEqual ? 0 : 1;
        if (differing === 1 && !isEqual) {
          expect([...usual.encode(text, OPTIONS)], text.slice(0, 2000)).toEqual([...expected]);
        }
      }
    }
    expect(differing).toBe(0);
  });
});

function same(a: Int32Array, b: Int32Array): boolean {
  return a.length === b.length && Buffer.from(a.buffer).equals(Buffer.from(b.buffer));
}

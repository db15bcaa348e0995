import { readFileSync } from 'node:fs';
import type { GgufValue } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import type { TokenizerDefinition } from '../definition.js';
import { ggufPreTokenizer } from '../gguf-pre-tokenizers.js';
import { readHfTokenizer } from '../hf-tokenizer.js';
import { namePreTokenizer } from './name-pre-tokenizer.js';
import { planGgufTokenizer } from './plan-gguf-fields.js';

type Json = Readonly<Record<string, unknown>>;

const file = new URL(
  '../../../test/fixtures/tokenizer/stories260k/tokenizer.json',
  import.meta.url,
);
const stories = JSON.parse(readFileSync(file, 'utf8')) as Json;
const storiesModel = stories['model'] as Json;
const names = { bos_token: '<s>', eos_token: '</s>' };

function scored(changes: Json = {}, config: Json = names): TokenizerDefinition {
  return readHfTokenizer({ origin: 'test', tokenizer: { ...stories, ...changes }, config });
}

function byteLevel(changes: Json = {}, model: Json = {}): TokenizerDefinition {
  return readHfTokenizer({
    origin: 'test',
    tokenizer: {
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      model: { type: 'BPE', vocab: { a: 0, b: 1, ab: 2 }, merges: ['a b'], ...model },
      decoder: { type: 'ByteLevel' },
      ...changes,
    },
  });
}

const splits = (...patterns: readonly string[]): Json => ({
  type: 'Sequence',
  pretokenizers: [
    ...patterns.map((pattern) => ({
      type: 'Split',
      pattern: { Regex: pattern },
      behavior: 'Isolated',
      invert: false,
    })),
    { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
  ],
});
const LLAMA3 =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const TEKKEN =
  '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

function typesOf(fields: ReadonlyMap<string, GgufValue>): Int32Array {
  return fields.get('tokenizer.ggml.token_type')!.value as Int32Array;
}

describe('naming a splitter', () => {
  it.each([
    ['gpt-2', byteLevel()],
    ['llama-bpe', byteLevel({ pre_tokenizer: splits(LLAMA3) }, { ignore_merges: true })],
    ['dbrx', byteLevel({ pre_tokenizer: splits(LLAMA3) })],
    [
      'deepseek-v3',
      byteLevel({ pre_tokenizer: splits(...ggufPreTokenizer('deepseek-v3', '').patterns) }),
    ],
    [
      'dbrx',
      byteLevel({
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: [
            { type: 'Split', pattern: { Regex: LLAMA3 }, behavior: 'Removed', invert: true },
            { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
          ],
        },
      }),
    ],
  ])('finds %s by its patterns', (name, definition) => {
    expect(namePreTokenizer(definition)).toEqual({ name, isExact: true });
  });

  it('says when llama.cpp only comes close', () => {
    const definition = byteLevel({ pre_tokenizer: splits(TEKKEN) }, { ignore_merges: true });
    expect(namePreTokenizer(definition)).toEqual({ name: 'tekken', isExact: false });
    expect(planGgufTokenizer(definition).differences).toHaveLength(1);
  });

  it.each([
    ['a pattern of its own', splits('\\p{L}+|\\s+')],
    ['steps that do more than split', { type: 'Metaspace' }],
    ['steps after the bytes', { type: 'Sequence', pretokenizers: [splits(), splits()] }],
  ])('refuses %s and lists what is known', (_what, pre_tokenizer) => {
    expect(() => namePreTokenizer(byteLevel({ pre_tokenizer }))).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_UNKNOWN_PRE_TOKENIZER',
        message: expect.stringMatching(/known: gpt-2, smollm, llama-bpe/) as string,
      }) as Error,
    );
  });
});

describe('planning GGUF metadata', () => {
  it.each([
    ['always', true, 1],
    ['first', true, 1],
    ['never', false, 0],
  ])('reads Metaspace "%s" as a space in front: %s', (scheme, isPrefixed, differences) => {
    const plan = planGgufTokenizer(
      scored({
        normalizer: null,
        pre_tokenizer: {
          type: 'Metaspace',
          replacement: '▁',
          prepend_scheme: scheme,
          split: false,
        },
      }),
    );
    expect(plan.fields.get('tokenizer.ggml.add_space_prefix')?.value).toBe(isPrefixed);
    expect(plan.differences).toHaveLength(differences);
  });

  it('writes user-defined pieces with spaces for their marks', () => {
    const definition = scored();
    const token = {
      id: 512,
      content: '▁▁x',
      special: false,
      singleWord: false,
      lstrip: false,
      rstrip: false,
      normalizedContent: '▁▁x',
    };
    const { fields } = planGgufTokenizer({
      ...definition,
      addedTokens: [...definition.addedTokens, token],
    });
    const tokens = fields.get('tokenizer.ggml.tokens')?.value as string[];
    expect(tokens[512]).toBe('  x');
    expect(typesOf(fields)[512]).toBe(4);
  });

  it('fills gaps between the ids of tokens', () => {
    const { fields } = planGgufTokenizer(byteLevel({}, { vocab: { a: 0, b: 1, ab: 4 } }));
    expect(fields.get('tokenizer.ggml.tokens')?.value).toEqual([
      'a',
      'b',
      '[PAD2]',
      '[PAD3]',
      'ab',
    ]);
    expect([...typesOf(fields)]).toEqual([1, 1, 5, 5, 1]);
  });

  it("leaves GLM's prefix of two tokens to the chat template, saying so", () => {
    const ends = ['[gMASK]', '<sop>'].map((content, i) => ({ id: 3 + i, content, special: true }));
    const piece = ({ content }: { content: string }) => ({ SpecialToken: { id: content } });
    const named = ends.map(({ id, content }) => [content, { id: content, ids: [id] }]);
    const plan = planGgufTokenizer(
      byteLevel({
        added_tokens: ends,
        post_processor: {
          type: 'TemplateProcessing',
          single: [...ends.map(piece), { Sequence: { id: 'A' } }],
          special_tokens: Object.fromEntries(named) as Json,
        },
      }),
    );
    expect(plan.fields.get('tokenizer.ggml.add_bos_token')?.value).toBe(false);
    expect(plan.differences.join()).toContain('The prefix [gMASK]<sop>');
  });

  it("takes Gemma's split at spaces, of which its normalizer leaves none", () => {
    const pattern = { String: ' ' };
    const { fields, differences } = planGgufTokenizer(
      scored({
        normalizer: { type: 'Replace', pattern, content: '▁' },
        pre_tokenizer: { type: 'Split', pattern, behavior: 'MergedWithPrevious', invert: false },
      }),
    );
    expect(fields.get('tokenizer.ggml.add_space_prefix')?.value).toBe(false);
    expect(differences).toEqual([]);
  });

  const merges = storiesModel['merges'] as readonly unknown[];
  it.each([
    [/byte tokens/, scored({ model: { ...storiesModel, byte_fallback: false } })],
    [/text treatment \[lowercase\]/, scored({ normalizer: { type: 'Lowercase' } })],
    [/Metaspace without split/, scored({ normalizer: null, pre_tokenizer: { type: 'Metaspace' } })],
    [
      /spell a token but do not merge/,
      scored({ model: { ...storiesModel, merges: merges.slice(1) } }),
    ],
    [
      /do not follow each other/,
      scored({ model: { ...storiesModel, merges: [...merges, merges[0]] } }),
    ],
    [/the normalizer lowercase in GGUF/, byteLevel({ normalizer: { type: 'Lowercase' } })],
    [/add_prefix_space/, byteLevel({ pre_tokenizer: { type: 'ByteLevel' } })],
    [/the prefix \[1\] around a text/, scored({}, { ...names, bos_token: '</s>' })],
  ])('refuses what GGUF cannot state: %s', (message, definition) => {
    expect(() => planGgufTokenizer(definition)).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_UNSUPPORTED',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  it('refuses two tokens with the same text, on which llama.cpp ends the process', () => {
    const twice = byteLevel({ added_tokens: [{ id: 3, content: 'ab', special: true }] });
    expect(() => planGgufTokenizer(twice)).toThrow(/tokens 2 and 3 have the same text "ab"/);
  });
});

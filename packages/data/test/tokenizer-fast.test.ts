/**
 * The fast engine against the string engine and against npm tokenizers 0.23.2 on seeded texts: random
 * parts of many scripts, and the corpus generator's documents, which end in what tokenizers trip over.
 */

import { createRng, type Rng } from '@tuneyard/core';
import { Tokenizer as Reference } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { byteChar, toByteLevel } from '../src/tokenizer/byte-level.js';
import type { TokenizerDefinition } from '../src/tokenizer/definition.js';
import { createByteEncoder } from '../src/tokenizer/fast/byte-encoder.js';
import { createTokenizer, readGgufTokenizer, readHfTokenizer } from '../src/tokenizer/index.js';
import { buildCorpus } from './corpus.js';
import { gpt2Json } from './tokenizer-differential.js';
import { fixtureText, llama3Json, pick, randomText } from './tokenizer-fixtures.js';

const TINY = { cacheSlots: 64 };
const corpus = buildCorpus({ seed: 5, bytes: 200_000 })
  .filter(({ source }) => source !== 'package')
  .map(({ text }) => text);

function texts(seed: number, count: number): string[] {
  const rng = createRng(seed);
  const random = Array.from({ length: count }, () => randomText(rng));
  // Pieces longer than what is remembered, and long enough for the heap.
  const long = Array.from({ length: 6 }, () =>
    Array.from({ length: 700 }, () => pick(rng, ['a', 'b', 'é', '中', '\u0301', '1'])).join(''),
  );
  return ['', ' ', '  ', '\n', ...random, ...long];
}

function definitionOf(json: string): TokenizerDefinition {
  return readHfTokenizer({ origin: 'test', tokenizer: JSON.parse(json) });
}

/** Checks that both engines give the same ids for text and for its bytes, and returns them. */
function compareEngines(definition: TokenizerDefinition, samples: readonly string[]): number[][] {
  expect(createByteEncoder(definition)).not.toBeNull();
  const fast = createTokenizer(definition);
  const forgetful = createTokenizer(definition, TINY);
  const strings = createTokenizer(definition, { engine: 'strings' });
  return samples.map((text, i) => {
    const options = { addSpecialTokens: i % 3 === 0, parseSpecial: i % 4 !== 0 };
    const expected = [...strings.encode(text, options)];
    expect([...fast.encode(text, options)], JSON.stringify(text)).toEqual(expected);
    expect([...forgetful.encode(text, options)], JSON.stringify(text)).toEqual(expected);
    expect([...fast.encodeBytes(Buffer.from(text), options)]).toEqual(expected);
    return [...fast.encode(text, { addSpecialTokens: false })];
  });
}

describe('both engines and the reference give the same ids', () => {
  it.each([
    ['GPT-2', gpt2Json],
    ['Llama-3', llama3Json],
    ['Qwen3', () => fixtureText('qwen3/tokenizer.json.gz')],
    ['Mistral 7B', () => fixtureText('mistral-7b-v0.1/tokenizer.json.gz')],
    ['Phi-3, with the pieces of Llama-2', () => fixtureText('phi-3-mini/tokenizer.json.gz')],
    ['a small vocabulary split like Llama-3', () => fixtureText('small/split-llama3.json.gz')],
    ['a small vocabulary split like Qwen2', () => fixtureText('small/split-qwen2.json.gz')],
  ])('%s', async (_name, json) => {
    const samples = [...texts(31, 250), ...corpus];
    const ids = compareEngines(definitionOf(json()), samples);
    const reference = Reference.fromString(json());
    const encodings = await reference.encodeBatch(samples, { addSpecialTokens: false });
    for (const [i, encoding] of encodings.entries()) {
      expect(ids[i], JSON.stringify(samples[i])).toEqual(encoding.getIds());
    }
  });
});

type Json = Record<string, unknown>;
const sentencePiece = JSON.parse(fixtureText('stories260k/tokenizer.json')) as Json;
const byteLevel = JSON.parse(fixtureText('small/split-qwen2.json.gz')) as Json;
const NFC = { type: 'NFC' };
const PREPEND = { type: 'Prepend', prepend: '▁' };
const REPLACE = { type: 'Replace', pattern: { String: ' ' }, content: '▁' };
const token = (id: number, content: string, flags: Json): Json => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special: false,
  ...flags,
});
const ADDED = [
  token(3000, 'the', { normalized: true, single_word: true }),
  token(3001, ' and', { rstrip: true }),
  token(3002, '<|user|>', { lstrip: true, rstrip: true, special: true }),
  token(3003, '<|end|>', { lstrip: true, normalized: true, special: true }),
  token(3004, '中', {}),
  token(3005, 'é', { normalized: true, rstrip: true }),
];

describe('both engines give the same ids for every shape of definition', () => {
  const metaspace = (scheme: string, split: boolean) => ({
    type: 'Metaspace',
    replacement: '▁',
    prepend_scheme: scheme,
    split,
  });
  const shapes: [string, Json][] = [
    ...[
      [PREPEND, REPLACE],
      [REPLACE, PREPEND],
      [REPLACE],
      [NFC, PREPEND, REPLACE],
      [{ type: 'Lowercase' }, { type: 'Strip', strip_left: true, strip_right: true }, REPLACE],
    ].map((normalizers): [string, Json] => [
      normalizers.map(({ type }) => type).join(', '),
      { ...sentencePiece, normalizer: { type: 'Sequence', normalizers } },
    ]),
    ...['always', 'first', 'never'].flatMap((scheme) =>
      [true, false].map((split): [string, Json] => [
        `Metaspace ${scheme}${split ? ', split' : ''}`,
        { ...sentencePiece, normalizer: null, pre_tokenizer: metaspace(scheme, split) },
      ]),
    ),
    ...[null, NFC, { type: 'NFKC' }].map((normalizer): [string, Json] => [
      `byte level with ${normalizer?.type ?? 'no normalizer'}`,
      { ...byteLevel, normalizer },
    ]),
    ...[true, false].flatMap((prefix) =>
      [true, false].map((useRegex): [string, Json] => [
        `ByteLevel${prefix ? ' with a prefix space' : ''}${useRegex ? '' : ' without splitting'}`,
        {
          ...byteLevel,
          pre_tokenizer: {
            type: 'ByteLevel',
            add_prefix_space: prefix,
            use_regex: useRegex,
            trim_offsets: true,
          },
        },
      ]),
    ),
  ];
  it.each(shapes)('%s, with added tokens of every flag', (_name, json) => {
    const changed = { ...json, added_tokens: [...(json['added_tokens'] as Json[]), ...ADDED] };
    compareEngines(definitionOf(JSON.stringify(changed)), texts(37, 120));
  });

  it('merges that run in score order, and characters that are no tokens', () => {
    const pieces = ['<unk>', '<s>', '</s>', '▁', 'ab', 'bc', 'abc', '中国', '▁a', '  ', 'é中'];
    const bytes = Array.from({ length: 256 }, (_, b) => b.toString(16).toUpperCase());
    const tokens = [...pieces, ...bytes.map((hex) => `<0x${hex.padStart(2, '0')}>`)];
    const types = tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < pieces.length ? 1 : 6));
    const metadata = new Map<string, { type: string; value: unknown }>([
      ['tokenizer.ggml.model', { type: 'string', value: 'llama' }],
      ['tokenizer.ggml.tokens', { type: 'array', value: tokens }],
      ['tokenizer.ggml.scores', { type: 'array', value: tokens.map((_, i) => -(i % 7)) }],
      ['tokenizer.ggml.token_type', { type: 'array', value: types }],
    ]);
    const rng = createRng(41);
    const samples = Array.from({ length: 400 }, () =>
      Array.from({ length: 1 + rng.nextInt(30) }, () =>
        pick(rng, ['a', 'b', 'c', 'é', '中', '国', ' ', '  ', '▁', '\n', '<s>', '🚀']),
      ).join(''),
    );
    compareEngines(readGgufTokenizer(metadata, 'test'), samples);
  });
});

/** A model whose rules join random neighbours of `sample`, cut into the symbols of `split`. */
function randomModel(rng: Rng, sample: string, split: (text: string) => string[]): Json {
  const vocab = new Map(split(sample).map((symbol) => [symbol, 0]));
  const merges: string[] = [];
  const symbols = split(sample);
  while (merges.length < 60) {
    const at = rng.nextInt(symbols.length - 1);
    const [left, right] = [symbols[at]!, symbols[at + 1]!];
    if (!vocab.has(left + right) || rng.nextInt(3) === 0) {
      vocab.set(left + right, 0);
      merges.push(`${left} ${right}`);
    }
    // Sometimes the text stays as it is, so that the parts of a rule are in other rules too.
    if (rng.nextInt(2) === 0) {
      symbols.splice(at, 2, left + right);
    }
  }
  rng.shuffle(merges);
  return { vocab: [...vocab.keys()], merges: [...new Set(merges)] };
}

describe('cutting pieces where no rule reaches across', () => {
  const alphabet = ['a', 'b', ' ', '.', 'é', 'ё', '中', '国', '丮', '🚀', '🚁', '\u0301', '\n'];
  const textOf = (rng: Rng, length: number) =>
    Array.from({ length }, () => pick(rng, alphabet)).join('');

  it('changes nothing for random rules between bytes, parts of characters included', () => {
    const rng = createRng(47);
    for (let i = 0; i < 150; i++) {
      const sample = textOf(rng, 60);
      const { vocab, merges } = randomModel(rng, sample, (text) => [...toByteLevel(text)]) as {
        vocab: string[];
        merges: string[];
      };
      const bytes = Array.from({ length: 256 }, (_, byte) => byteChar(byte));
      const tokens = [...new Set([...bytes, ...vocab])];
      const json = {
        pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: i % 2 === 0 },
        decoder: { type: 'ByteLevel' },
        model: {
          type: 'BPE',
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges,
          ignore_merges: i % 3 === 0,
        },
      };
      const samples = Array.from({ length: 40 }, () => textOf(rng, 1 + rng.nextInt(40)));
      compareEngines(definitionOf(JSON.stringify(json)), samples);
    }
  });

  it('changes nothing for random rules between characters', () => {
    const rng = createRng(53);
    for (let i = 0; i < 150; i++) {
      const sample = textOf(rng, 60).replaceAll(' ', '▁').replaceAll('\n', 'x');
      const { vocab, merges } = randomModel(rng, sample, (text) => [...text]) as {
        vocab: string[];
        merges: string[];
      };
      const bytes = Array.from(
        { length: 256 },
        (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`,
      );
      const tokens = [...new Set(['<unk>', '▁', ...bytes, ...vocab])];
      const json = {
        normalizer: i % 2 === 0 ? { type: 'Sequence', normalizers: [PREPEND, REPLACE] } : REPLACE,
        model: {
          type: 'BPE',
          vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
          merges,
          byte_fallback: true,
          unk_token: '<unk>',
        },
      };
      const samples = Array.from({ length: 40 }, () => textOf(rng, 1 + rng.nextInt(40)));
      compareEngines(definitionOf(JSON.stringify(json)), samples);
    }
  });
});

describe('definitions that the byte engine must leave alone', () => {
  const model = sentencePiece['model'] as Json;
  it.each([
    ['characters without bytes to fall back to', { model: { ...model, byte_fallback: false } }],
    ['spaces that stay spaces', { normalizer: null }],
    ['words looked up before merging', { model: { ...model, ignore_merges: true } }],
    ['pre-tokenizers that remove text', { pre_tokenizer: { type: 'WhitespaceSplit' } }],
  ])('%s', (_name, changes) => {
    const definition = definitionOf(JSON.stringify({ ...sentencePiece, ...changes }));
    expect(createByteEncoder(definition)).toBeNull();
    const text = 'Once upon a time, 中文 and  spaces.';
    expect([...createTokenizer(definition).encode(text)]).toEqual([
      ...createTokenizer(definition, { engine: 'strings' }).encode(text),
    ]);
  });
});

describe('encoding bytes', () => {
  const tokenizer = createTokenizer(definitionOf(JSON.stringify(byteLevel)));
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

  it('reads what is no UTF-8 as U+FFFD, one for each maximal subpart', () => {
    const rng = createRng(43);
    for (let i = 0; i < 2000; i++) {
      const bytes = Buffer.from(randomText(rng));
      for (let j = rng.nextInt(4); j > 0 && bytes.length > 0; j--) {
        bytes[rng.nextInt(bytes.length)] = rng.nextInt(256);
      }
      const cut = bytes.subarray(0, rng.nextInt(bytes.length + 1));
      expect([...tokenizer.encodeBytes(cut)]).toEqual([...tokenizer.encode(decoder.decode(cut))]);
    }
  });

  it('keeps a byte order mark and leaves the caller its bytes', () => {
    const bytes = Buffer.from('\ufeffe\u0301 <|im_end|> ▁x');
    const before = Buffer.from(bytes);
    expect([...tokenizer.encodeBytes(bytes)]).toEqual([...tokenizer.encode(bytes.toString())]);
    expect(bytes.equals(before)).toBe(true);
  });
});

describe('hostile text', () => {
  const tokenizers = ['qwen3', 'mistral-7b-v0.1'].map((name) =>
    createTokenizer(definitionOf(fixtureText(`${name}/tokenizer.json.gz`))),
  );
  it.each([
    ['letters without end', 'a'.repeat(1_000_000)],
    ['two letters by turns', 'ab'.repeat(500_000)],
    ['spaces', ' '.repeat(1_000_000)],
    ['digits', '7'.repeat(1_000_000)],
    ['marks', `e${'\u0301'.repeat(300_000)}`],
    ['Chinese', '中'.repeat(300_000)],
  ])('one megabyte of %s takes well under two seconds', (_name, text) => {
    for (const tokenizer of tokenizers) {
      const before = process.cpuUsage();
      const ids = tokenizer.encode(text);
      const { user, system } = process.cpuUsage(before);
      expect((user + system) / 1e6).toBeLessThan(2);
      const decoded = tokenizer.decode(ids, { skipSpecialTokens: true });
      expect(decoded.normalize('NFC') === text.normalize('NFC')).toBe(true);
    }
  });
});

/**
 * Compares ids and decoded text with Hugging Face's own library, npm tokenizers 0.23.2, on seeded
 * random texts. Decoded text is compared for ids that come from text: for invalid byte runs the two
 * differ on purpose (see decoders.ts), as they do for tokens that normalization respells.
 */

import { createRng } from '@tuneyard/core';
import { Tokenizer as Reference } from 'tokenizers';
import { describe, expect, it } from 'vitest';
import { GGUF_PRE_TOKENIZERS, ggufPreTokenizer } from '../src/tokenizer/gguf-pre-tokenizers.js';
import { createTokenizer, readHfTokenizer } from '../src/tokenizer/index.js';
import { NEWER_CHARACTERS } from '../src/tokenizer/newer-characters.js';
import { NEWER_FORMS } from '../src/tokenizer/newer-forms.js';
import { GPT2_SPLIT } from '../src/tokenizer/split-regex.js';
import { fixtureText, llama3Json, pick, randomText } from './tokenizer-fixtures.js';

interface Comparison {
  readonly texts: readonly string[];
  readonly addSpecialTokens?: boolean;
  readonly compareText?: boolean;
}

function randomTexts(seed: number, count: number): string[] {
  const rng = createRng(seed);
  return Array.from({ length: count }, () => randomText(rng));
}

function load(json: string) {
  return {
    reference: Reference.fromString(json),
    ours: createTokenizer(readHfTokenizer({ origin: 'test', tokenizer: JSON.parse(json) })),
  };
}

async function compare(
  source: string | ReturnType<typeof load>,
  { texts, addSpecialTokens, compareText }: Comparison,
) {
  const { reference, ours } = typeof source === 'string' ? load(source) : source;
  const options = { addSpecialTokens: addSpecialTokens ?? true };
  const expected = await reference.encodeBatch([...texts], options);
  for (const [i, text] of texts.entries()) {
    const ids = expected[i]!.getIds();
    expect([...ours.encode(text, options)], JSON.stringify(text)).toEqual(ids);
    if (compareText ?? true) {
      const skipSpecialTokens = i % 2 === 0;
      const decoded = await reference.decode(ids, skipSpecialTokens);
      expect(ours.decode(ids, { skipSpecialTokens }), JSON.stringify(text)).toBe(decoded);
    }
  }
}

describe('real vocabularies give the ids and texts of the reference', () => {
  it.each([
    ['Qwen3', () => fixtureText('qwen3/tokenizer.json.gz')],
    ['Llama-3', llama3Json],
    ['Phi-3', () => fixtureText('phi-3-mini/tokenizer.json.gz')],
    ['Mistral 7B', () => fixtureText('mistral-7b-v0.1/tokenizer.json.gz')],
    ['stories260k', () => fixtureText('stories260k/tokenizer.json')],
    ['a small vocabulary split like Llama-3', () => fixtureText('small/split-llama3.json.gz')],
    ['a small vocabulary split like Qwen2', () => fixtureText('small/split-qwen2.json.gz')],
  ])('%s', async (_name, json) => {
    const texts = randomTexts(7, 250);
    const pair = load(json());
    await compare(pair, { texts });
    await compare(pair, { texts: texts.slice(0, 20), addSpecialTokens: false });
  });
});

type Json = Record<string, unknown>;
const sentencePiece = JSON.parse(fixtureText('stories260k/tokenizer.json')) as Json;
const byteLevel = {
  ...(JSON.parse(fixtureText('small/split-qwen2.json.gz')) as Json),
  normalizer: null,
};

function split(pattern: Json, behavior: string, invert = false): Json {
  return { type: 'Split', pattern, behavior, invert };
}

function byteLevelStep(addPrefixSpace: boolean, useRegex: boolean): Json {
  return {
    type: 'ByteLevel',
    add_prefix_space: addPrefixSpace,
    use_regex: useRegex,
    trim_offsets: true,
  };
}

function splitThenBytes(...patterns: readonly string[]): Json {
  const splits = patterns.map((pattern) => split({ Regex: pattern }, 'Isolated'));
  return { type: 'Sequence', pretokenizers: [...splits, byteLevelStep(false, false)] };
}

const BEHAVIORS = ['Isolated', 'Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];

describe('every pre-tokenizer splits as the reference does', () => {
  const steps: [string, Json][] = [
    ...BEHAVIORS.flatMap((behavior): [string, Json][] =>
      [false, true].map((invert) => [
        `Split ${behavior}${invert ? ' inverted' : ''}`,
        split({ Regex: '[aeiou\\s]' }, behavior, invert),
      ]),
    ),
    ['Split at a string', split({ String: ' ' }, 'MergedWithNext')],
    ['Digits', { type: 'Digits', individual_digits: false }],
    ['Digits one by one', { type: 'Digits', individual_digits: true }],
    ['Punctuation', { type: 'Punctuation', behavior: 'Isolated' }],
    ['Whitespace', { type: 'Whitespace' }],
    ['WhitespaceSplit', { type: 'WhitespaceSplit' }],
    ...['always', 'first', 'never'].flatMap((scheme): [string, Json][] =>
      [true, false].map((splits) => [
        `Metaspace ${scheme}${splits ? '' : ' unsplit'}`,
        { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: splits },
      ]),
    ),
    [
      'WhitespaceSplit, then Metaspace first',
      {
        type: 'Sequence',
        pretokenizers: [
          { type: 'WhitespaceSplit' },
          { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true },
        ],
      },
    ],
  ];
  it.each(steps)('%s', async (_name, step) => {
    const json = JSON.stringify({ ...sentencePiece, normalizer: null, pre_tokenizer: step });
    await compare(json, { texts: randomTexts(11, 60) });
  });

  it.each([
    ['ByteLevel with a prefix space', byteLevelStep(true, true)],
    ['ByteLevel without splitting', byteLevelStep(false, false)],
    [
      'possessive quantifiers',
      splitThenBytes(
        "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s+",
      ),
    ],
    ['word and digit classes', splitThenBytes('\\w+|\\d|[^\\w]|\\W|\\S|\\D')],
    [
      'Falcon, with steps after ByteLevel',
      {
        type: 'Sequence',
        pretokenizers: [
          { type: 'Punctuation', behavior: 'Contiguous' },
          byteLevelStep(false, true),
          { type: 'Digits', individual_digits: false },
          split({ Regex: '[0-9][0-9][0-9]' }, 'Isolated'),
        ],
      },
    ],
  ] satisfies [string, Json][])('%s', async (_name, step) => {
    const json = JSON.stringify({ ...byteLevel, pre_tokenizer: step });
    await compare(json, { texts: randomTexts(12, 60) });
  });

  it.each(GGUF_PRE_TOKENIZERS)('patterns of the GGUF splitter %s', async (name) => {
    const step = splitThenBytes(...ggufPreTokenizer(name, 'test').patterns);
    const json = JSON.stringify({ ...byteLevel, pre_tokenizer: step });
    await compare(json, { texts: randomTexts(13, 40), compareText: false });
  });
});

const ADDED = [
  {
    id: 512,
    content: 'the ',
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: true,
    special: false,
  },
  {
    id: 513,
    content: 'and',
    single_word: true,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: false,
  },
  {
    id: 514,
    content: '<|user|>',
    single_word: false,
    lstrip: true,
    rstrip: true,
    normalized: false,
    special: true,
  },
  {
    id: 515,
    content: '<|end|>',
    single_word: false,
    lstrip: true,
    rstrip: false,
    normalized: true,
    special: true,
  },
  {
    id: 516,
    content: "'s",
    single_word: true,
    lstrip: true,
    rstrip: false,
    normalized: true,
    special: false,
  },
];
const withAdded = {
  ...sentencePiece,
  added_tokens: [...(sentencePiece['added_tokens'] as Json[]), ...ADDED],
};

describe('normalizers, added tokens and unknown characters follow the reference', () => {
  it.each([
    ['Prepend and Replace', sentencePiece['normalizer']],
    ['Lowercase', { type: 'Lowercase' }],
    ['Strip', { type: 'Strip', strip_left: true, strip_right: true }],
    ['Strip on the left', { type: 'Strip', strip_left: true, strip_right: false }],
    ['Replace by pattern', { type: 'Replace', pattern: { Regex: '\\s+' }, content: '$1 _' }],
    ['none', null],
  ])('%s, with added tokens of every flag', async (_name, normalizer) => {
    const json = JSON.stringify({ ...withAdded, normalizer });
    await compare(json, { texts: randomTexts(17, 150), compareText: false });
  });

  it.each(['NFC', 'NFD', 'NFKC', 'NFKD'])('%s, newer characters included', async (form) => {
    const rng = createRng(19);
    const newer = NEWER_FORMS.flatMap(([first, last]) =>
      Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i)),
    );
    const around = ['a', 'e\u0301', '\u0316', '\u0301', '\u0345', '\u0334', '가', '\u1161', 'é'];
    const mixed = Array.from({ length: 600 }, () =>
      Array.from({ length: 8 }, () => pick(rng, rng.nextInt(2) === 0 ? newer : around)).join(''),
    );
    const texts = [...randomTexts(19, 150), ...mixed];
    const json = JSON.stringify({ ...withAdded, normalizer: { type: form } });
    await compare(json, { texts, compareText: false });
  });

  it.each([
    ['fused unknown tokens', { byte_fallback: false, fuse_unk: true }],
    ['one unknown token per character', { byte_fallback: false, fuse_unk: false }],
    ['characters left out', { byte_fallback: false, unk_token: null }],
  ])('%s', async (_name, model) => {
    const json = JSON.stringify({
      ...sentencePiece,
      model: { ...(sentencePiece['model'] as Json), ...model },
    });
    await compare(json, { texts: randomTexts(23, 100) });
  });

  it.each([
    ['Metaspace', { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }],
    ['no decoder', null],
  ])('decoding with %s', async (_name, decoder) => {
    await compare(JSON.stringify({ ...sentencePiece, decoder }), { texts: randomTexts(29, 60) });
  });
});

describe('characters that are newer than the tables of the reference', () => {
  it.each([
    ['a scanner', splitThenBytes(GPT2_SPLIT)],
    ['patterns', splitThenBytes('\\p{S}|\\p{P}+', '\\p{N}', GPT2_SPLIT)],
    [
      'Digits',
      {
        type: 'Sequence',
        pretokenizers: [{ type: 'Digits', individual_digits: true }, byteLevelStep(false, true)],
      },
    ],
  ] satisfies [string, Json][])('are split as unassigned ones by %s', async (_name, step) => {
    const json = JSON.stringify({ ...byteLevel, pre_tokenizer: step });
    const texts = NEWER_CHARACTERS.flat().map((codePoint) => {
      const char = String.fromCodePoint(codePoint);
      return `a${char}b 1${char}2 ${char}${char} .${char}, 中${char}`;
    });
    await compare(json, { texts });
  });
});

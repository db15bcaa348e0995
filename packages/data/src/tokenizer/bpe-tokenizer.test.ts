import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenizer } from './bpe-tokenizer.js';
import { toByteLevel } from './byte-level.js';
import { readHfTokenizer } from './hf-tokenizer.js';
import { createStreamDecoder } from './tokenizer.js';

const raw = JSON.parse(
  readFileSync(
    new URL('../../test/fixtures/tokenizer/stories260k/tokenizer.json', import.meta.url),
    'utf8',
  ),
) as Record<string, unknown>;
const tokenizer = createTokenizer(readHfTokenizer({ origin: 'test', tokenizer: raw }));

function load(changes: Record<string, unknown>, config?: unknown) {
  return readHfTokenizer({ origin: 'test', tokenizer: { ...raw, ...changes }, config });
}

/** All 256 bytes as tokens, no merges. */
const bytes = createTokenizer(
  readHfTokenizer({
    origin: 'bytes',
    tokenizer: {
      model: {
        type: 'BPE',
        vocab: Object.fromEntries(
          Array.from({ length: 256 }, (_, b) => [
            [...toByteLevel(String.fromCharCode(b))].at(-1) ?? '',
            b,
          ]).map(([token], i) => [token, i]),
        ),
        merges: [],
      },
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      decoder: { type: 'ByteLevel' },
    },
  }),
);

describe('decoding', () => {
  it('gives back every text that was encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const ids = tokenizer.encode(text, { parseSpecial: false });
        expect(tokenizer.decode(ids.subarray(1))).toBe(text);
      }),
      { numRuns: 400, seed: 3 },
    );
  });

  it('writes U+FFFD for bytes that are no UTF-8 and keeps the characters around them', () => {
    const byte = (value: number) => 3 + value;
    expect(tokenizer.decode([byte(0xe7), byte(0x8c), byte(0xab), byte(0xff)])).toBe('猫\ufffd');
    expect(tokenizer.decode([byte(0xe7), byte(0x8c)])).toBe('\ufffd');
    expect(tokenizer.decode([byte(0xe7), byte(0x8c), byte(0x41)])).toBe('\ufffdA');
    expect(tokenizer.decode([byte(0xef), byte(0xbb), byte(0xbf), byte(0x41)])).toBe('\ufeffA');
  });

  it('leaves special tokens out on request and passes over ids without a token', () => {
    const ids = tokenizer.encode('Once upon a time');
    expect(tokenizer.decode(ids)).toBe('<s> Once upon a time');
    expect(tokenizer.decode([...ids, 9999, -1], { skipSpecialTokens: true })).toBe(
      'Once upon a time',
    );
  });
});

describe('stream decoding', () => {
  it('emits the same text as decoding at once, never half a character', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(511), { maxLength: 60 }), (ids) => {
        const stream = createStreamDecoder(tokenizer, { skipSpecialTokens: true });
        const parts = ids.map((id) => stream.push(id));
        expect(parts.join('') + stream.flush()).toBe(
          tokenizer.decode(ids, { skipSpecialTokens: true }),
        );
      }),
      { numRuns: 300, seed: 4 },
    );
  });

  it('holds a character back until its last byte', () => {
    const ids = tokenizer.encode('🐈!', { addSpecialTokens: false });
    const stream = createStreamDecoder(tokenizer);
    const parts = [...ids].map((id) => stream.push(id));
    expect(parts.filter((part) => part !== '')).toEqual(['🐈', '!']);
    expect(stream.flush()).toBe('');
  });

  it('starts afresh after a flush', () => {
    const stream = createStreamDecoder(tokenizer);
    const ids = [...tokenizer.encode('Once', { addSpecialTokens: false })];
    const say = () => ids.map((id) => stream.push(id)).join('') + stream.flush();
    expect([say(), say()]).toEqual(['Once', 'Once']);
  });
});

describe('encoding', () => {
  it('reads lone surrogates as U+FFFD', () => {
    expect(tokenizer.encode('a\ud800b\udc00')).toEqual(tokenizer.encode('a\ufffdb\ufffd'));
  });

  it('recognises special tokens in text unless told not to', () => {
    expect([...tokenizer.encode('</s>', { addSpecialTokens: false })]).toEqual([2]);
    const spelled = tokenizer.encode('</s>', { addSpecialTokens: false, parseSpecial: false });
    expect([...spelled]).not.toContain(2);
    expect(tokenizer.decode(spelled)).toBe('</s>');
  });

  it('gives the same ids when its cache is cold and when it is warm', () => {
    const text = 'the cat and the hat, '.repeat(30);
    expect(bytes.encode(text)).toEqual(bytes.encode(text));
    expect(bytes.encode(text)).toHaveLength(text.length);
  });

  it('adds BOS and EOS as the config says, and else as the template does', () => {
    const names = { bos_token: '<s>', eos_token: { content: '</s>' } };
    const ends = (config: unknown) => {
      const made = createTokenizer(load({}, config));
      const ids = [...made.encode('a')];
      return [ids[0] === 1, ids.at(-1) === 2, made.addBos, made.addEos];
    };
    expect(ends(names)).toEqual([true, false, true, false]);
    expect(ends({ ...names, add_bos_token: false })).toEqual([false, false, false, false]);
    expect(ends({ ...names, add_eos_token: true })).toEqual([true, true, true, true]);
  });

  it('lets added_tokens_decoder change the flags of a token', () => {
    const config = {
      added_tokens_decoder: {
        '2': { content: '</s>', special: false, normalized: false, rstrip: true },
      },
    };
    const made = createTokenizer(load({}, config));
    expect([...made.encode('</s>   ', { addSpecialTokens: false, parseSpecial: false })]).toEqual([
      2,
    ]);
  });
});

describe('a tokenizer.json with something unknown', () => {
  const model = raw['model'] as Record<string, unknown>;
  it.each([
    [
      'normalizer',
      { normalizer: { type: 'Precompiled' } },
      /normalizer Precompiled .*known: Sequence, Prepend/,
    ],
    [
      'pre-tokenizer',
      { pre_tokenizer: { type: 'UnicodeScripts' } },
      /pre-tokenizer UnicodeScripts .*known: Sequence/,
    ],
    ['model', { model: { type: 'Unigram', vocab: [] } }, /model type Unigram .*known: BPE/],
    [
      'prefix',
      { model: { ...model, continuing_subword_prefix: '##' } },
      /continuing_subword_prefix/,
    ],
    ['dropout', { model: { ...model, dropout: 0.1 } }, /dropout 0.1/],
    [
      'post-processor',
      { post_processor: { type: 'BertProcessing' } },
      /post-processor BertProcessing .*known: Template/,
    ],
    ['decoder', { decoder: { type: 'WordPiece' } }, /decoder WordPiece .*known: Sequence/],
    [
      'split behavior',
      { pre_tokenizer: { type: 'Split', pattern: { String: 'a' }, behavior: 'Kept' } },
      /behavior Kept .*known: Isolated/,
    ],
    ['strip', { decoder: { type: 'Strip', content: ' ', start: 0, stop: 1 } }, /Strip/],
  ])('is refused: %s', (_what, changes, message) => {
    expect(() => load(changes)).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_UNSUPPORTED',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });

  it.each([
    [
      'a merge of strangers',
      { model: { ...model, merges: ['q zz'] } },
      /merge 0 joins "q" and "zz", but "zz"/,
    ],
    ['a merge of three', { model: { ...model, merges: ['a b c'] } }, /merges\[0\]: a merge of two/],
    [
      'an id that is no id',
      { model: { ...model, vocab: { a: -1 } } },
      /vocab\["a"\]: a token id was expected, found -1/,
    ],
    ['no model', { model: null }, /model: an object was expected, found null/],
    ['an added token without id', { added_tokens: [{ content: 'x' }] }, /added_tokens\[0\]\.id/],
  ])('is refused: %s', (_what, changes, message) => {
    expect(() => load(changes)).toThrow(
      expect.objectContaining({
        code: 'TOKENIZER_BAD_FILE',
        message: expect.stringMatching(message) as string,
      }) as Error,
    );
  });
});

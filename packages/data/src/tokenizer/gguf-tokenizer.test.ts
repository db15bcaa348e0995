import { describe, expect, it } from 'vitest';
import { createTokenizer } from './bpe-tokenizer.js';
import { type GgufMetadata, readGgufTokenizer } from './gguf-tokenizer.js';

function metadata(fields: Record<string, unknown>): GgufMetadata {
  return new Map(
    Object.entries(fields).map(([key, value]) => [`tokenizer.ggml.${key}`, { type: '', value }]),
  );
}

const LLAMA = {
  model: 'llama',
  tokens: ['<unk>', '<s>', '</s>', '▁', 'a', 'b', 'ab', '▁ab', '<0x63>', '[x]'],
  scores: Float32Array.of(0, 0, 0, -9, -8, -7, -1, -2, 0, 0),
  token_type: Int32Array.of(2, 3, 3, 1, 1, 1, 1, 1, 6, 4),
};
const GPT2 = {
  model: 'gpt2',
  pre: 'llama-bpe',
  tokens: ['a', 'b', 'ab', 'Ġ', '<|bos|>', 'aba'],
  token_type: [1, 1, 1, 1, 3, 1],
  merges: ['a b', 'b missing'],
  bos_token_id: 4,
  eos_token_id: 4,
};

describe('the GGUF vocabulary reader', () => {
  it('merges a llama vocabulary by score and adds BOS and the space in front', () => {
    const tokenizer = createTokenizer(readGgufTokenizer(metadata(LLAMA), 'test'));
    expect([...tokenizer.encode('abab')]).toEqual([1, 7, 6]);
    expect([...tokenizer.encode('cd')]).toEqual([1, 3, 8, 0]);
    expect([...tokenizer.encode('a[x]b')]).toEqual([1, 3, 4, 9, 3, 5]);
    expect(tokenizer.decode([7, 6])).toBe('abab');
    expect(tokenizer).toMatchObject({
      bosTokenId: 1,
      eosTokenId: 2,
      unkTokenId: 0,
      padTokenId: null,
    });
  });

  it('obeys add_space_prefix, add_bos_token and add_eos_token', () => {
    const flags = { add_space_prefix: false, add_bos_token: false, add_eos_token: true };
    const tokenizer = createTokenizer(readGgufTokenizer(metadata({ ...LLAMA, ...flags }), 'test'));
    expect([...tokenizer.encode('ab')]).toEqual([6, 2]);
  });

  it('takes whole pieces first, and BOS, where the splitter says so', () => {
    const tokenizer = createTokenizer(readGgufTokenizer(metadata(GPT2), 'test'));
    expect([...tokenizer.encode('aba ab')]).toEqual([4, 5, 3, 2]);
    const plain = createTokenizer(readGgufTokenizer(metadata({ ...GPT2, pre: 'qwen2' }), 'test'));
    expect([...plain.encode('aba ab<|bos|>')]).toEqual([2, 0, 3, 2, 4]);
  });

  it('reads a missing splitter as the default one, which groups digits by three', () => {
    const { pre: _, ...rest } = GPT2;
    expect(readGgufTokenizer(metadata(rest), 'test').preTokenizer).toHaveLength(5);
  });

  it('takes 2^32 - 1 as no token', () => {
    const none = metadata({ ...GPT2, padding_token_id: 0xffffffff, unknown_token_id: 0xffffffffn });
    expect(readGgufTokenizer(none, 'test')).toMatchObject({ padTokenId: null, unkTokenId: null });
  });

  it.each([
    ['TOKENIZER_BAD_FILE', /carries no tokenizer/, {}],
    ['TOKENIZER_UNSUPPORTED', /"bert" is not supported; known: llama, gpt2/, { model: 'bert' }],
    ['TOKENIZER_BAD_FILE', /tokens is missing/, { model: 'llama' }],
    ['TOKENIZER_BAD_FILE', /tokens is not an array/, { ...LLAMA, tokens: 'a' }],
    ['TOKENIZER_BAD_FILE', /scores has 1 entries for 10 tokens/, { ...LLAMA, scores: [1] }],
    ['TOKENIZER_BAD_FILE', /add_bos_token is not a boolean/, { ...LLAMA, add_bos_token: 1 }],
    ['TOKENIZER_BAD_FILE', /merges is missing/, { ...GPT2, merges: undefined }],
    ['TOKENIZER_BAD_FILE', /merges\[0\] is not two tokens/, { ...GPT2, merges: ['ab'] }],
    [
      'TOKENIZER_UNKNOWN_PRE_TOKENIZER',
      /"qwen3" is not known; known: default/,
      { ...GPT2, pre: 'qwen3' },
    ],
  ])('raises %s: %s', (code, message, fields) => {
    expect(() => readGgufTokenizer(metadata(fields), 'test')).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) as string }) as Error,
    );
  });
});

/** The tokenizers that the fast engine is compared on, as tokenizer.json texts. */

import { fixtureText } from './tokenizer-fixtures.js';

/** GPT-2's two files as one tokenizer.json, which is what the reference reads. */
export function gpt2Json(): string {
  const merges = fixtureText('gpt2/merges.txt.gz').split('\n').slice(1).filter(Boolean);
  return JSON.stringify({
    version: '1.0',
    added_tokens: [
      {
        id: 50256,
        content: '<|endoftext|>',
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special: true,
      },
    ],
    normalizer: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      vocab: JSON.parse(fixtureText('gpt2/vocab.json.gz')),
      merges,
    },
  });
}

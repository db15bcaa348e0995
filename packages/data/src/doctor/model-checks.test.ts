import { describe, expect, it } from 'vitest';
import type { Tokenizer } from '../tokenizer/index.js';
import { checkModel, type ModelFacts } from './model-checks.js';

const TOKENS = ['<pad>', '<s>', '</s>', '<|im_end|>', 'a', 'b', 'c', 'd'];
const tokenizer = {
  vocabSize: TOKENS.length,
  bosTokenId: 1,
  eosTokenId: 2,
  padTokenId: 0,
  addBos: true,
  idToToken: (id: number) => TOKENS[id],
} as Tokenizer;
const model: ModelFacts = {
  vocabSize: 8,
  embeddingRows: 8,
  bosTokenId: 1,
  eosTokenIds: [2],
  padTokenId: 0,
  generationConfig: { eos_token_id: [2, 3] },
};
const template = { name: 'chatml', stopTokenIds: [3] };
const check = (rest: Partial<ModelFacts>, other: Partial<Tokenizer> = {}) =>
  checkModel({ ...model, ...rest }, { ...tokenizer, ...other }, template).map(
    ({ code, severity, message }) => [code, severity, message],
  );

describe('checking a model against its tokenizer', () => {
  it('finds nothing where they agree, or where one of them is silent', () => {
    expect(check({})).toEqual([]);
    expect(check({ vocabSize: 128, embeddingRows: 128 })).toEqual([]);
    expect(check({ bosTokenId: null, padTokenId: null, embeddingRows: null })).toEqual([]);
    expect(check({}, { bosTokenId: 7, addBos: false })).toEqual([]);
    expect(check({}, { padTokenId: null })).toEqual([]);
  });

  it('finds ids that the model lacks, and names them', () => {
    expect(check({ vocabSize: 7, embeddingRows: 7 })).toEqual([
      [
        'tokenizer_larger_than_model',
        'warning',
        'the tokenizer has 8 ids, the model 7; the first: d (7)',
      ],
    ]);
  });

  it('finds an embedding that is smaller than the config says', () => {
    expect(check({ vocabSize: 16 })).toEqual([
      ['embedding_rows', 'error', 'the embedding has 8 rows, vocab_size is 16'],
    ]);
  });

  it('finds special tokens that differ', () => {
    const [finding, ...rest] = check({
      bosTokenId: 2,
      padTokenId: 2,
      eosTokenIds: [4],
      generationConfig: { eos_token_id: 3 },
    });
    expect(rest).toEqual([]);
    expect(finding).toEqual([
      'special_ids_differ',
      'warning',
      'BOS is <s> (1) for the tokenizer, </s> (2) for the model; EOS is </s> (2) for the tokenizer, a (4), <|im_end|> (3) for the model; padding is <pad> (0) for the tokenizer, </s> (2) for the model',
    ]);
  });

  it('finds a stop token that generation does not stop at', () => {
    expect(check({ generationConfig: { eos_token_id: 2 } })).toEqual([
      [
        'stop_not_in_eos',
        'warning',
        'answers end with <|im_end|> (3); generation_config.json stops at </s> (2)',
      ],
    ]);
    expect(check({ generationConfig: null })).toEqual([
      [
        'stop_not_in_eos',
        'warning',
        'answers end with <|im_end|> (3); config.json stops at </s> (2)',
      ],
    ]);
    expect(check({ generationConfig: null, eosTokenIds: [2, 3] })).toEqual([]);
  });
});

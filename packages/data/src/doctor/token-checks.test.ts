import { describe, expect, it } from 'vitest';
import { IGNORE_LABEL, type TokenizedSample } from '../encode/samples.js';
import type { Tokenizer } from '../tokenizer/index.js';
import { checkBeforeTraining } from './check-dataset.js';
import type { TokenFacts } from './token-checks.js';

const [PAD, BOS, EOS, UNK, END, NEWLINE] = [0, 1, 2, 3, 4, 5];
/** Ids from 10 on are words, from 90 on bytes of longer characters. */
const tokenizer = {
  kind: 'byte-level-bpe',
  vocabSize: 100,
  bosTokenId: BOS,
  eosTokenId: EOS,
  unkTokenId: UNK,
  padTokenId: PAD,
  addBos: true,
  isSpecial: (id: number) => id < NEWLINE,
  idToToken: (id: number) => `t${id}`,
  decode: (ids: ArrayLike<number>) => ((ids[0] ?? 0) >= 90 ? '\ufffd' : 'word '),
} as unknown as Tokenizer;
const facts: TokenFacts = {
  tokenizer,
  template: { form: 'text', stopTokenIds: [END] },
  modelVocabSize: 100,
};
const words = (n: number, from = 10) => Array.from({ length: n }, (_, i) => from + (i % 10));

/** Ids with the answer from `begin` on learned. */
function sampleOf(ids: readonly number[], begin: number, row = 1): TokenizedSample {
  const learned = Uint8Array.from(ids, (_, i) => (i >= begin ? 1 : 0));
  return { ids: Int32Array.from(ids), learned, source: 's', row };
}

const good = (row: number) => sampleOf([BOS, ...words(20), ...words(20), END], 21, row);
const check = (samples: TokenizedSample[], rest: Partial<TokenFacts> = {}) =>
  checkBeforeTraining({ samples }, { ...facts, ...rest }).map(({ code, severity, rows }) => [
    code,
    severity,
    rows.map(({ row }) => row),
  ]);

describe('checking tokens before training', () => {
  it('finds nothing in good samples', () => {
    expect(check([1, 2, 3].map(good))).toEqual([]);
  });

  it('accepts a line break after the stop token, and an end that is learned on another token', () => {
    const framed = sampleOf([BOS, ...words(20), ...words(20), END, NEWLINE], 21);
    expect(check([framed])).toEqual([]);
    const ids = [BOS, ...words(20), ...words(20), 12];
    const labels = Int32Array.from(ids, (id, i) => (i < 21 ? IGNORE_LABEL : id));
    labels[ids.length - 1] = END;
    expect(check([{ ...sampleOf(ids, 21), labels }])).toEqual([]);
  });

  it('finds a stop token that is there but masked', () => {
    const sample = good(1);
    sample.learned[sample.ids.length - 1] = 0;
    expect(check([sample, good(2)])).toEqual([['stop_not_learned', 'error', [1]]]);
  });

  it('tells an answer that was cut from one that never ends', () => {
    const open = sampleOf([BOS, ...words(20), ...words(20)], 21);
    expect(check([open])).toEqual([['stop_not_learned', 'error', [1]]]);
    const cut = checkBeforeTraining(
      { samples: [open], truncated: [{ source: 's', row: 1 }] },
      facts,
    );
    expect(cut.map(({ code, severity }) => [code, severity])).toEqual([['answer_cut', 'warning']]);
  });

  it('finds learned padding, also where padding is the stop token, but not one stop token', () => {
    const padded = sampleOf([BOS, ...words(20), ...words(20), END, PAD, PAD], 21);
    expect(check([padded])).toEqual([['padding_learned', 'error', [1]]]);
    const masked = { ...padded, learned: Uint8Array.from(padded.learned) };
    masked.learned.fill(0, 42);
    expect(check([masked])).toEqual([]);
    const same = { tokenizer: { ...tokenizer, padTokenId: END } as Tokenizer };
    const ended = sampleOf([BOS, ...words(20), ...words(20), END, END, END], 21, 2);
    expect(check([good(1), ended], same)).toEqual([['padding_learned', 'error', [2]]]);
    const none = { tokenizer: { ...tokenizer, padTokenId: null } as Tokenizer, padTokenId: END };
    expect(check([good(1), ended], none)).toEqual([['padding_learned', 'error', [2]]]);
  });

  it('finds doubled and missing BOS; a named template may do without one', () => {
    const twice = sampleOf([BOS, BOS, ...words(20), ...words(20), END], 22, 2);
    const without = sampleOf([...words(20), ...words(20), END], 20, 3);
    expect(check([good(1), twice, without])).toEqual([
      ['double_bos', 'error', [2]],
      ['missing_bos', 'error', [3]],
    ]);
    const slots = { template: { form: 'slots', stopTokenIds: [END] } } as const;
    expect(check([good(1), without], slots)).toEqual([['missing_bos', 'warning', [3]]]);
    const quiet = { tokenizer: { ...tokenizer, addBos: false } as Tokenizer };
    expect(check([good(1), without], quiet)).toEqual([]);
  });

  it('finds ids outside the vocabulary, also negative ones', () => {
    const high = sampleOf([BOS, ...words(20), ...words(20, 60), END], 21, 2);
    const low = sampleOf([BOS, ...words(20), -7, ...words(20), END], 21, 3);
    const limit = { modelVocabSize: 69 };
    expect(check([good(1), high, low], limit)).toEqual([['id_outside_vocab', 'error', [2, 3]]]);
    expect(check([good(1), high], { modelVocabSize: 70 })).toEqual([]);
  });

  it('finds unknown tokens, but not padding that shares their id', () => {
    const unknown = sampleOf([BOS, ...words(20), UNK, ...words(20), END], 21, 2);
    expect(check([good(1), unknown])).toEqual([['unknown_token', 'warning', [2]]]);
    const shared = { tokenizer: { ...tokenizer, padTokenId: UNK } as Tokenizer };
    const padded = sampleOf([BOS, ...words(20), ...words(20), END, UNK, UNK], 21, 3);
    padded.learned.fill(0, 42);
    expect(check([good(1), padded], shared)).toEqual([]);
    expect(check([unknown, padded], shared)).toEqual([['unknown_token', 'warning', [2]]]);
  });

  it('finds characters spelled in bytes when they are a tenth of all tokens, not less', () => {
    const spelled = (n: number, row: number) =>
      sampleOf([BOS, ...words(20), ...words(n, 90), ...words(20 - n), END], 21, row);
    expect(check([1, 2, 3, 4, 5].map((row) => spelled(8, row)))).toEqual([
      ['byte_tokens', 'warning', [1, 2, 3, 4, 5]],
    ]);
    expect(check([1, 2, 3, 4, 5, 6].map((row) => (row < 3 ? spelled(8, row) : good(row))))).toEqual(
      [],
    );
  });

  it('finds data of which almost nothing is learned', () => {
    const reading = (row: number) => sampleOf([BOS, ...words(500), 10, END], 502 - 1, row);
    expect(check([1, 2].map(reading))).toEqual([['learned_share_low', 'warning', [1, 2]]]);
    expect(check([reading(1), sampleOf([BOS, ...words(20), ...words(100), END], 21, 2)])).toEqual(
      [],
    );
  });

  it('finds all-masked samples', () => {
    const masked = { ...good(2), learned: new Uint8Array(42) };
    expect(check([good(1), masked])).toEqual([['all_masked', 'error', [2]]]);
  });
});

/** The tokenizers that `bench:tokenizer` times, behind one call. */

import { Tiktoken } from 'tiktoken';
import { Tokenizer as Reference } from 'tokenizers';
import { createTokenizer, readHfTokenizer } from '../src/tokenizer/index.js';
import { fixtureText, llama3Json } from './tokenizer-fixtures.js';

/** Vocabularies of the bench. */
export const BENCH_VOCABULARIES = ['llama3', 'qwen3', 'mistral'] as const;
/** One of {@link BENCH_VOCABULARIES}. */
export type BenchVocabulary = (typeof BENCH_VOCABULARIES)[number];
/** We, Hugging Face's Rust library through its own binding, OpenAI's through WebAssembly. */
export const BENCH_CANDIDATES = ['tuneyard', 'tokenizers', 'tiktoken'] as const;
/** One of {@link BENCH_CANDIDATES}. */
export type BenchCandidate = (typeof BENCH_CANDIDATES)[number];

/** A loaded tokenizer: one text to its ids, without special tokens around it. */
export type EncodeCall = (text: string) => ArrayLike<number> | Promise<ArrayLike<number>>;

/** True when the candidate can run the vocabulary: tiktoken knows no SentencePiece-type models. */
export function canRun(candidate: BenchCandidate, vocabulary: BenchVocabulary): boolean {
  return candidate !== 'tiktoken' || vocabulary !== 'mistral';
}

/** Text of the vocabulary's tokenizer.json. */
export function vocabularyJson(vocabulary: BenchVocabulary): string {
  switch (vocabulary) {
    case 'llama3':
      return llama3Json();
    case 'qwen3':
      return fixtureText('qwen3/tokenizer.json.gz');
    case 'mistral':
      return fixtureText('mistral-7b-v0.1/tokenizer.json.gz');
  }
}

/** Loads a candidate from the text of a tokenizer.json. */
export function openCandidate(candidate: BenchCandidate, json: string): EncodeCall {
  switch (candidate) {
    case 'tuneyard':
      return openOurs(json);
    case 'tokenizers':
      return openReference(json);
    case 'tiktoken':
      return openTiktoken(json);
  }
}

function openOurs(json: string): EncodeCall {
  const definition = readHfTokenizer({ origin: 'bench', tokenizer: JSON.parse(json) });
  const tokenizer = createTokenizer(definition);
  const options = { addSpecialTokens: false };
  return (text) => tokenizer.encode(text, options);
}

function openReference(json: string): EncodeCall {
  const tokenizer = Reference.fromString(json);
  const options = { addSpecialTokens: false };
  return async (text) => (await tokenizer.encode(text, null, options)).getIds();
}

interface ByteLevelJson {
  readonly normalizer: { readonly type: string } | null;
  readonly pre_tokenizer: {
    readonly pretokenizers: readonly { readonly pattern?: { readonly Regex: string } }[];
  };
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly added_tokens: readonly { readonly id: number; readonly content: string }[];
}

/** Ranks are the ids in order; form C, which tiktoken does not know, is done by hand. */
function openTiktoken(json: string): EncodeCall {
  const { normalizer, pre_tokenizer, model, added_tokens } = JSON.parse(json) as ByteLevelJson;
  const added = Object.fromEntries(added_tokens.map(({ content, id }) => [content, id]));
  const charToByte = byteAlphabet();
  const ranks = Object.entries(model.vocab)
    .sort(([, a], [, b]) => a - b)
    .map(([token]) =>
      Buffer.from(Array.from(token, (char) => charToByte.get(char) ?? 0)).toString('base64'),
    );
  const pattern = pre_tokenizer.pretokenizers[0]?.pattern?.Regex ?? '';
  const encoder = new Tiktoken(`! 0 ${ranks.join(' ')}`, added, pattern);
  const composes = normalizer?.type === 'NFC';
  return (text) => encoder.encode(composes ? text.normalize('NFC') : text, 'all', []);
}

function byteAlphabet(): ReadonlyMap<string, number> {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return new Map(
    Array.from({ length: 256 }, (_, byte) => [
      String.fromCharCode(printable(byte) ? byte : next++),
      byte,
    ]),
  );
}

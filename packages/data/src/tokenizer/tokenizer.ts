/** What the rest of Tuneyard sees of a tokenizer; the loaders and the engine stay behind it. */

/** Options of {@link Tokenizer.encode}. */
export interface EncodeOptions {
  /** Default true: add what the post-processor adds (BOS, EOS). */
  readonly addSpecialTokens?: boolean;
  /**
   * Default true: text that spells a special token becomes that token. Added tokens that are not
   * special are recognised either way, as the reference does.
   */
  readonly parseSpecial?: boolean;
}

/** Options of {@link Tokenizer.decode} and {@link Tokenizer.streamDecoder}. */
export interface DecodeOptions {
  /** Default false: special tokens are written out as their text. */
  readonly skipSpecialTokens?: boolean;
}

/** Turns a run of generated ids into text, giving out only whole characters. */
export interface StreamDecoder {
  /** Returns the text that `id` completes; empty while a UTF-8 sequence is still open. */
  push(id: number): string;
  /** Ends the stream: an unfinished sequence becomes U+FFFD. The decoder is then ready for reuse. */
  flush(): string;
}

/** A loaded tokenizer. Immutable but for its internal caches. */
export interface Tokenizer {
  /** Where it came from: a file or directory name. */
  readonly origin: string;
  readonly kind: 'byte-level-bpe' | 'sentencepiece-bpe';
  /** One more than the highest id, added tokens included. */
  readonly vocabSize: number;
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly unkTokenId: number | null;
  readonly padTokenId: number | null;
  /** True when {@link EncodeOptions.addSpecialTokens} puts the BOS token in front. */
  readonly addBos: boolean;
  /** True when {@link EncodeOptions.addSpecialTokens} puts the EOS token at the end. */
  readonly addEos: boolean;
  /**
   * Encodes one text. Lone surrogates count as U+FFFD.
   *
   * Throws: `TOKENIZER_TEXT_TOO_LONG` for a stretch of 64 MiB without a split point, nothing else.
   * Cost: linear but for merges in long words (n log n); about 40 bytes of memory per byte of the
   * longest word.
   */
  encode(text: string, options?: EncodeOptions): Int32Array;
  /**
   * Encodes one text given in UTF-8, with the ids of {@link encode} for the decoded text; every maximal
   * subpart that is no UTF-8 counts as U+FFFD. For callers that hold bytes anyway: it saves a string.
   */
  encodeBytes(bytes: Uint8Array, options?: EncodeOptions): Int32Array;
  /**
   * Decodes ids to text. Ids without a token are left out; bytes that are not UTF-8 become U+FFFD,
   * one per maximal subpart.
   */
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  /** Starts a decoder for one generated answer. */
  streamDecoder(options?: DecodeOptions): StreamDecoder;
  idToToken(id: number): string | undefined;
  tokenToId(token: string): number | undefined;
  /** True for control tokens such as BOS; false for added tokens that are ordinary text. */
  isSpecial(id: number): boolean;
}

/** Starts an incremental decoder that emits only complete UTF-8 text. */
export function createStreamDecoder(tokenizer: Tokenizer, options?: DecodeOptions): StreamDecoder {
  return tokenizer.streamDecoder(options);
}

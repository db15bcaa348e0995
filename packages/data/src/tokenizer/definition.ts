/**
 * The one internal model that every tokenizer file format is loaded into.
 *
 * It is plain data: what a text goes through on its way to ids, and back. Loaders build it, the engine
 * (bpe-tokenizer.ts) reads it; neither knows the other.
 */

/** One step of text normalization, applied to each stretch of text between added tokens. */
export type NormalizerStep =
  | { readonly type: 'prepend'; readonly text: string }
  | { readonly type: 'replace'; readonly pattern: RegExp; readonly content: string }
  | { readonly type: 'unicode'; readonly form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' }
  | { readonly type: 'lowercase' }
  | { readonly type: 'strip'; readonly left: boolean; readonly right: boolean }
  /** SentencePiece's remove_extra_whitespaces: trims and collapses runs of U+0020. */
  | { readonly type: 'collapse-spaces' };

/** What happens to the text a split pattern matches. Names are those of tokenizer.json. */
export type SplitBehavior =
  | 'Isolated'
  | 'Removed'
  | 'MergedWithPrevious'
  | 'MergedWithNext'
  | 'Contiguous';

/** One step of splitting text into pieces that merges never cross. */
export type PreTokenizerStep =
  | {
      readonly type: 'split';
      /** Global and sticky-free; matches at least one character. */
      readonly pattern: RegExp;
      readonly behavior: SplitBehavior;
      readonly invert: boolean;
    }
  | {
      readonly type: 'byte-level';
      readonly addPrefixSpace: boolean;
      readonly pattern: RegExp | null;
    }
  | {
      readonly type: 'metaspace';
      readonly replacement: string;
      readonly prepend: 'always' | 'first' | 'never';
      readonly split: boolean;
    };

/** Merge rules as parallel arrays; ids are symbol ids of {@link BpeModelDefinition.symbols}. */
export interface MergeRules {
  readonly left: Int32Array;
  readonly right: Int32Array;
  readonly result: Int32Array;
  /** Lower merges first; equal ranks merge left to right. */
  readonly rank: Int32Array;
}

/** A byte-pair model. */
export interface BpeModelDefinition {
  /** Token text to id; may hold symbols at or above {@link VIRTUAL_SYMBOL_BASE} that are not tokens. */
  readonly symbols: ReadonlyMap<string, number>;
  readonly merges: MergeRules;
  /** Ids of `<0x00>` … `<0xFF>` (-1 where absent), or null without byte fallback. */
  readonly byteFallback: Int32Array | null;
  /** A piece that is a token as a whole is taken without merging (Llama-3). */
  readonly ignoreMerges: boolean;
  readonly unkId: number | null;
  /** Several unknown characters in a row give one unknown token. */
  readonly fuseUnk: boolean;
}

/**
 * Characters that take part in merges without being tokens get ids from here on; a model whose
 * vocabulary has "ab" but not "a" needs them. The largest real vocabularies have 2^18 tokens.
 */
export const VIRTUAL_SYMBOL_BASE = 1 << 24;

/** A token that is found in text before the model runs. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Matches only between non-word characters. */
  readonly singleWord: boolean;
  /** Takes the white space on its left, or right, into the match. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Non-null: it is looked for after normalization, spelled like this. */
  readonly normalizedContent: string | null;
}

/** How token texts become bytes. */
export interface DecoderDefinition {
  /** Token characters stand for bytes, as in GPT-2. */
  readonly byteLevel: boolean;
  /** `<0xXX>` tokens stand for one byte. */
  readonly byteFallback: boolean;
  readonly replacements: readonly { readonly from: string; readonly to: string }[];
  /** Removed from the first token wherever it stands, before the replacements (Metaspace). */
  readonly dropInFirst: string | null;
  /** How many leading U+0020 of the whole text are removed. */
  readonly stripLeadingSpaces: number;
  /** Put between tokens; '' for every known model, ' ' when a file names no decoder. */
  readonly separator: string;
}

/** Everything a tokenizer file says. */
export interface TokenizerDefinition {
  readonly origin: string;
  readonly kind: 'byte-level-bpe' | 'sentencepiece-bpe';
  readonly normalizer: readonly NormalizerStep[];
  readonly preTokenizer: readonly PreTokenizerStep[];
  readonly model: BpeModelDefinition;
  readonly addedTokens: readonly AddedToken[];
  readonly decoder: DecoderDefinition;
  /** Ids put before and after the text when special tokens are asked for. */
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly unkTokenId: number | null;
  readonly padTokenId: number | null;
}

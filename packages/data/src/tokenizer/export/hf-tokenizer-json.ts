/**
 * Writes a loaded GGUF vocabulary as Hugging Face's `tokenizer.json`.
 *
 * The file says what llama.cpp does, in the words the tokenizers library has: the split patterns as
 * they stand in the table of names, one `Split` each, then `ByteLevel`; or SentencePiece's text
 * treatment with the merges in the order of their scores. One thing cannot be said: merges of equal
 * score go left to right, but in tokenizer.json each merge has a rank of its own. Where two ways to
 * make the same piece compete for a token, the smaller left id wins there, as in the files that
 * transformers converts.
 */

import { type TokenizerDefinition, VIRTUAL_SYMBOL_BASE } from '../definition.js';
import { unsupported } from '../json-fields.js';
import { SPACE_MARK } from '../sentencepiece.js';

/** The vocabulary behind a tokenizer.json. */
export interface HfVocabulary {
  readonly definition: TokenizerDefinition;
  /** Token texts by id, all of them. */
  readonly tokens: readonly string[];
  /** Patterns by which text is split, in order; empty for a SentencePiece vocabulary. */
  readonly patterns: readonly string[];
}

/** A JSON object to be written. */
export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Makes the content of `tokenizer.json`.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` when the vocabulary asks for runs of spaces to be reduced.
 * Checked against: our loader and npm tokenizers 0.23.2, ids on random text.
 */
export function hfTokenizerJson(vocabulary: HfVocabulary): JsonObject {
  const { definition } = vocabulary;
  const isScored = definition.kind === 'sentencepiece-bpe';
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: definition.addedTokens.toSorted((a, b) => a.id - b.id).map(addedTokenJson),
    normalizer: isScored ? spaceNormalizer(definition) : null,
    pre_tokenizer: isScored ? null : byteLevelSplitter(vocabulary),
    post_processor: postProcessor(vocabulary),
    decoder: isScored ? spaceDecoder(definition) : byteLevel(true),
    model: modelJson(vocabulary),
  };
}

type AddedToken = TokenizerDefinition['addedTokens'][number];

function addedTokenJson(token: AddedToken): JsonObject {
  return { id: token.id, ...addedTokenFlags(token) };
}

/** The members of an added token as both tokenizer files have them. */
export function addedTokenFlags(token: AddedToken): JsonObject {
  return {
    content: token.content,
    single_word: token.singleWord,
    lstrip: token.lstrip,
    rstrip: token.rstrip,
    normalized: false,
    special: token.special,
  };
}

function spaceNormalizer({ normalizer, origin }: TokenizerDefinition): JsonObject {
  if (normalizer.some((step) => step.type === 'collapse-spaces')) {
    throw unsupported(origin, 'remove_extra_whitespaces in a tokenizer.json');
  }
  const prefixed = normalizer.some((step) => step.type === 'prepend');
  return {
    type: 'Sequence',
    normalizers: [
      ...(prefixed ? [{ type: 'Prepend', prepend: SPACE_MARK }] : []),
      { type: 'Replace', pattern: { String: ' ' }, content: SPACE_MARK },
    ],
  };
}

function spaceDecoder({ decoder }: TokenizerDefinition): JsonObject {
  const start = decoder.stripLeadingSpaces;
  return {
    type: 'Sequence',
    decoders: [
      { type: 'Replace', pattern: { String: SPACE_MARK }, content: ' ' },
      { type: 'ByteFallback' },
      { type: 'Fuse' },
      ...(start > 0 ? [{ type: 'Strip', content: ' ', start, stop: 0 }] : []),
    ],
  };
}

function byteLevelSplitter({ definition, patterns }: HfVocabulary): JsonObject {
  const step = definition.preTokenizer.at(-1);
  if (step?.type === 'byte-level' && step.addPrefixSpace) {
    throw unsupported(definition.origin, 'add_space_prefix with byte-level tokens');
  }
  const splits = patterns.map((pattern) => ({
    type: 'Split',
    pattern: { Regex: pattern },
    behavior: 'Isolated',
    invert: false,
  }));
  return { type: 'Sequence', pretokenizers: [...splits, byteLevel(false)] };
}

function byteLevel(forDecoding: boolean): JsonObject {
  return {
    type: 'ByteLevel',
    add_prefix_space: forDecoding,
    trim_offsets: forDecoding,
    use_regex: forDecoding,
  };
}

function postProcessor({ definition, tokens }: HfVocabulary): JsonObject | null {
  const { prefixIds, suffixIds } = definition;
  if (prefixIds.length === 0 && suffixIds.length === 0) return null;
  const special = (id: number, type: number) => ({
    SpecialToken: { id: tokens[id] ?? '', type_id: type },
  });
  const around = (name: 'A' | 'B', type: number) => [
    ...prefixIds.map((id) => special(id, type)),
    { Sequence: { id: name, type_id: type } },
    ...suffixIds.map((id) => special(id, type)),
  ];
  const named = [...new Set([...prefixIds, ...suffixIds])].map((id) => {
    const text = tokens[id] ?? '';
    return [text, { id: text, ids: [id], tokens: [text] }] as const;
  });
  return {
    type: 'TemplateProcessing',
    single: around('A', 0),
    pair: [...around('A', 0), ...around('B', 1)],
    special_tokens: Object.fromEntries(named),
  };
}

function modelJson({ definition, tokens }: HfVocabulary): JsonObject {
  const { model, kind } = definition;
  const isScored = kind === 'sentencepiece-bpe';
  return {
    type: 'BPE',
    dropout: null,
    unk_token: model.unkId === null ? null : (tokens[model.unkId] ?? null),
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: isScored && model.fuseUnk,
    byte_fallback: model.byteFallback !== null,
    ignore_merges: model.ignoreMerges,
    vocab: Object.fromEntries(tokens.map((text, id) => [text, id])),
    merges: mergesJson(definition, tokens),
  };
}

/** Merges by rank, then by ids; parts that are no tokens cannot be named and are left out. */
function mergesJson(
  { model: { merges } }: TokenizerDefinition,
  tokens: readonly string[],
): readonly string[] | readonly (readonly [string, string])[] {
  const { left, right, result, rank } = merges;
  const at = (list: Int32Array, i: number): number => list[i] ?? 0;
  const named = Array.from(left.keys()).filter(
    (i) => at(left, i) < VIRTUAL_SYMBOL_BASE && at(right, i) < VIRTUAL_SYMBOL_BASE,
  );
  const order = named.sort(
    (a, b) =>
      at(rank, a) - at(rank, b) ||
      at(result, a) - at(result, b) ||
      at(left, a) - at(left, b) ||
      at(right, a) - at(right, b),
  );
  const pairs = order.map((i) => [tokens[at(left, i)] ?? '', tokens[at(right, i)] ?? ''] as const);
  // The older spelling, which every version reads, has no place for tokens with spaces.
  const hasSpaces = pairs.some(([a, b]) => a.includes(' ') || b.includes(' '));
  return hasSpaces ? pairs : pairs.map(([a, b]) => `${a} ${b}`);
}

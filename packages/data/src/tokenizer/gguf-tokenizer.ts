/**
 * Loads the vocabulary that a GGUF file carries in its `tokenizer.ggml.*` metadata, with llama.cpp's
 * rules: SentencePiece-type merging by score (`llama`), or byte-level BPE with a named splitter
 * (`gpt2`).
 *
 * Two rules differ from Hugging Face's reading of the same vocabulary and are kept: a missing
 * `tokenizer.ggml.pre` means llama.cpp's "default" splitter, and no Unicode normalization is done
 * (Qwen's tokenizer.json asks for NFC). One of llama.cpp's is not kept: it looks for special tokens
 * longest first over the whole text, we look leftmost first; they differ only where special tokens
 * overlap.
 */

import { PLAIN_DECODER } from './decoders.js';
import type { NormalizerStep, TokenizerDefinition } from './definition.js';
import { ggufPreTokenizer } from './gguf-pre-tokenizers.js';
import { badFile, unsupported } from './json-fields.js';
import { rulesFromPairs } from './merge-rules.js';
import { literalPattern } from './normalizers.js';
import { splitStep } from './pre-tokenizers.js';
import {
  addedPieces,
  fromPieces,
  PIECE_TYPE,
  type PieceRecord,
  SPACE_MARK,
} from './sentencepiece.js';
import { compileSplitPattern } from './split-regex.js';

/** GGUF metadata as `GgufReader.metadata` gives it. */
export type GgufMetadata = ReadonlyMap<string, { readonly type: string; readonly value: unknown }>;

const PREFIX = 'tokenizer.ggml.';

/**
 * Reads `tokenizer.ggml.*` into the internal model.
 *
 * Throws: `TOKENIZER_BAD_FILE` for missing or mistyped keys, `TOKENIZER_UNSUPPORTED` for a vocabulary
 * type, `TOKENIZER_UNKNOWN_PRE_TOKENIZER` for a splitter outside the known ones.
 * Checked against: llama.cpp's own test vectors for gpt-2, llama-spm, llama-bpe and qwen2.
 */
export function readGgufTokenizer(metadata: GgufMetadata, origin: string): TokenizerDefinition {
  const fields = new TokenizerFields(metadata, origin);
  const model = fields.string('model');
  switch (model) {
    case 'llama':
      return readSentencePieceVocabulary(fields, origin);
    case 'gpt2':
      return readByteLevelVocabulary(fields, origin);
    case undefined:
      throw badFile(origin, `${PREFIX}model is missing: the file carries no tokenizer`);
    default:
      throw unsupported(origin, `${PREFIX}model ${JSON.stringify(model)}`, ['llama', 'gpt2']);
  }
}

function readSentencePieceVocabulary(fields: TokenizerFields, origin: string): TokenizerDefinition {
  const pieces = fields.pieces();
  const addSpacePrefix = fields.boolean('add_space_prefix') ?? true;
  const normalizer: NormalizerStep[] = [
    ...(fields.boolean('remove_extra_whitespaces') ? [{ type: 'collapse-spaces' } as const] : []),
    ...(addSpacePrefix ? [{ type: 'prepend', text: SPACE_MARK } as const] : []),
    { type: 'replace', pattern: literalPattern(' '), content: SPACE_MARK },
  ];
  const ids = specialIds(fields, pieces.length, { bos: 1, eos: 2, unk: 0 });
  return {
    ...fromPieces(pieces, { origin, userDefinedNormalized: false }),
    normalizer,
    decoder: {
      ...PLAIN_DECODER,
      byteFallback: true,
      replacements: [{ from: SPACE_MARK, to: ' ' }],
      stripLeadingSpaces: addSpacePrefix ? 1 : 0,
    },
    ...ids,
    ...affixes(fields, ids, true),
  };
}

function readByteLevelVocabulary(fields: TokenizerFields, origin: string): TokenizerDefinition {
  const pieces = fields.pieces();
  const splitter = ggufPreTokenizer(fields.string('pre') ?? 'default', origin);
  const symbols = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) {
    if (!symbols.has(piece.text)) {
      symbols.set(piece.text, id);
    }
  }
  const ids = specialIds(fields, pieces.length, { bos: 11, eos: 11, unk: null });
  return {
    origin,
    kind: 'byte-level-bpe',
    normalizer: [],
    preTokenizer: [
      ...splitter.patterns.map((pattern) =>
        splitStep(compileSplitPattern(pattern, origin), 'Isolated'),
      ),
      {
        type: 'byte-level',
        addPrefixSpace: fields.boolean('add_space_prefix') ?? false,
        pattern: null,
      },
    ],
    model: {
      symbols,
      merges: rulesFromPairs(fields.mergePairs(symbols), symbols, origin),
      byteFallback: null,
      ignoreMerges: splitter.ignoreMerges,
      unkId: null,
      fuseUnk: false,
    },
    addedTokens: addedPieces(pieces, false),
    decoder: { ...PLAIN_DECODER, byteLevel: true },
    ...ids,
    ...affixes(fields, ids, splitter.addBos),
  };
}

interface SpecialIds {
  readonly bosTokenId: number | null;
  readonly eosTokenId: number | null;
  readonly unkTokenId: number | null;
  readonly padTokenId: number | null;
}

function specialIds(
  fields: TokenizerFields,
  count: number,
  fallback: { readonly bos: number; readonly eos: number; readonly unk: number | null },
): SpecialIds {
  const known = (key: string, id: number | null): number | null => {
    const stated = fields.number(key) ?? id;
    // Writers state 2^32 - 1 for "none".
    return stated !== null && stated >= 0 && stated < count ? stated : null;
  };
  return {
    bosTokenId: known('bos_token_id', fallback.bos),
    eosTokenId: known('eos_token_id', fallback.eos),
    unkTokenId: known('unknown_token_id', fallback.unk),
    padTokenId: known('padding_token_id', null),
  };
}

function affixes(
  fields: TokenizerFields,
  ids: SpecialIds,
  addBosDefault: boolean,
): Pick<TokenizerDefinition, 'prefixIds' | 'suffixIds'> {
  const addBos = fields.boolean('add_bos_token') ?? addBosDefault;
  const addEos = fields.boolean('add_eos_token') ?? false;
  return {
    prefixIds: addBos && ids.bosTokenId !== null ? [ids.bosTokenId] : [],
    suffixIds: addEos && ids.eosTokenId !== null ? [ids.eosTokenId] : [],
  };
}

/** Typed access to the `tokenizer.ggml.*` keys. */
class TokenizerFields {
  readonly #metadata: GgufMetadata;
  readonly #origin: string;

  constructor(metadata: GgufMetadata, origin: string) {
    this.#metadata = metadata;
    this.#origin = origin;
  }

  string(key: string): string | undefined {
    const value = this.#value(key);
    if (value !== undefined && typeof value !== 'string') {
      throw this.#mistyped(key, 'a string');
    }
    return value;
  }

  boolean(key: string): boolean | undefined {
    const value = this.#value(key);
    if (value !== undefined && typeof value !== 'boolean') {
      throw this.#mistyped(key, 'a boolean');
    }
    return value;
  }

  number(key: string): number | undefined {
    const value = this.#value(key);
    if (value !== undefined && typeof value !== 'number' && typeof value !== 'bigint') {
      throw this.#mistyped(key, 'a number');
    }
    return value === undefined ? undefined : Number(value);
  }

  /** The tokens with their scores and types; both default as in llama.cpp, to 0 and normal. */
  pieces(): readonly PieceRecord[] {
    const tokens = this.#list('tokens');
    if (tokens === undefined || tokens.length === 0) {
      throw badFile(this.#origin, `${PREFIX}tokens is missing or empty`);
    }
    const scores = this.#list('scores');
    const types = this.#list('token_type');
    for (const [key, list] of [['scores', scores] as const, ['token_type', types] as const]) {
      if (list !== undefined && list.length < tokens.length) {
        throw badFile(
          this.#origin,
          `${PREFIX}${key} has ${list.length} entries for ${tokens.length} tokens`,
        );
      }
    }
    return Array.from(tokens, (text, i) => {
      if (typeof text !== 'string') {
        throw this.#mistyped('tokens', 'an array of strings');
      }
      return {
        text,
        score: Number(scores?.[i] ?? 0),
        type: Number(types?.[i] ?? PIECE_TYPE.normal),
      };
    });
  }

  /** The merges as pairs; those that lead outside the vocabulary are left out. */
  mergePairs(symbols: ReadonlyMap<string, number>): readonly (readonly [string, string])[] {
    const merges = this.#list('merges');
    if (merges === undefined) {
      throw badFile(this.#origin, `${PREFIX}merges is missing`);
    }
    const pairs: (readonly [string, string])[] = [];
    for (const [i, merge] of Array.from(merges).entries()) {
      const gap = typeof merge === 'string' ? merge.indexOf(' ', 1) : -1;
      if (typeof merge !== 'string' || gap < 0) {
        throw badFile(this.#origin, `${PREFIX}merges[${i}] is not two tokens with a space between`);
      }
      const left = merge.slice(0, gap);
      const right = merge.slice(gap + 1);
      if (symbols.has(left) && symbols.has(right) && symbols.has(left + right)) {
        pairs.push([left, right]);
      }
    }
    return pairs;
  }

  #value(key: string): unknown {
    return this.#metadata.get(PREFIX + key)?.value;
  }

  #list(key: string): ArrayLike<unknown> | undefined {
    const value = this.#value(key);
    if (value === undefined) {
      return undefined;
    }
    if (!Array.isArray(value) && !ArrayBuffer.isView(value)) {
      throw this.#mistyped(key, 'an array');
    }
    return value as unknown as ArrayLike<unknown>;
  }

  #mistyped(key: string, wanted: string): Error {
    return badFile(this.#origin, `${PREFIX}${key} is not ${wanted}`);
  }
}

/**
 * Plans the `tokenizer.*` metadata of a GGUF file from a loaded tokenizer.
 *
 * Source: llama.cpp `gguf-py/gguf/constants.py` (keys, token types), `gguf/vocab.py` and
 * `conversion/base.py` (padding, special ids), `src/llama-vocab.cpp` (what the keys do).
 */

import type { GgufValue } from '@tuneyard/formats';
import type { TokenizerDefinition } from '../definition.js';
import { unsupported } from '../json-fields.js';
import { PIECE_TYPE } from '../sentencepiece.js';
import { derivedScores, requireScoreOrder } from './merge-scores.js';
import { namePreTokenizer } from './name-pre-tokenizer.js';
import { spaceTreatment } from './space-treatment.js';
import { type TokenList, tokenList } from './token-list.js';

/** What is known about a tokenizer beside its definition. */
export interface GgufTokenizerSettings {
  /** Rows of the embedding; the token list is filled up to it. Default: no filling. */
  readonly vocabSize?: number | undefined;
  /** Scores by id from the SentencePiece file; default: derived from the merges. */
  readonly scores?: ArrayLike<number> | undefined;
  readonly chatTemplate?: string | undefined;
  /** Ids from the model's configuration, used where the tokenizer names no such token. */
  readonly modelIds?: SpecialTokenIds | undefined;
}

/** Ids of special tokens. */
export interface SpecialTokenIds {
  readonly bos?: number | undefined;
  readonly eos?: number | undefined;
  readonly pad?: number | undefined;
}

/** The planned metadata. */
export interface GgufTokenizerPlan {
  readonly fields: ReadonlyMap<string, GgufValue>;
  /** Sentences on where llama.cpp will give other ids than the tokenizer; empty when nowhere. */
  readonly differences: readonly string[];
}

/** Score of entries that never come out of merging. */
export const UNUSED_SCORE = -1e9;

/**
 * Plans the metadata.
 *
 * Throws: `TOKENIZER_UNSUPPORTED` for what GGUF has no words for, `TOKENIZER_UNKNOWN_PRE_TOKENIZER`,
 * `TOKENIZER_BAD_FILE` for two tokens with the same text.
 * Checked against: llama.cpp's ids on the same file.
 */
export function planGgufTokenizer(
  definition: TokenizerDefinition,
  settings: GgufTokenizerSettings = {},
): GgufTokenizerPlan {
  const differences: string[] = [];
  const isScored = definition.kind === 'sentencepiece-bpe';
  const tokens = tokenList(definition, settings.vocabSize);
  const fields = new Map<string, GgufValue>();
  const set = (key: string, value: GgufValue) => fields.set(`tokenizer.ggml.${key}`, value);
  const list = (itemType: 'i32' | 'f32', value: Int32Array | Float32Array): GgufValue => ({
    type: 'array',
    itemType,
    value,
  });
  set('model', { type: 'string', value: isScored ? 'llama' : 'gpt2' });
  const splitter = isScored ? 'default' : byteLevelSplitter(definition, differences);
  set('pre', { type: 'string', value: splitter });
  set('tokens', { type: 'array', itemType: 'string', value: tokens.texts });
  if (isScored) set('scores', list('f32', scoreList(definition, tokens, settings.scores)));
  set('token_type', list('i32', tokens.types));
  if (!isScored) {
    set('merges', { type: 'array', itemType: 'string', value: mergeList(definition) });
  }
  const special = specialFields(definition, settings.modelIds ?? {});
  for (const [key, value] of special.fields) set(key, value);
  differences.push(...special.differences);
  if (isScored) {
    const spaces = spaceTreatment(definition);
    differences.push(...spaces.differences);
    set('add_space_prefix', { type: 'bool', value: spaces.isPrefixed });
  }
  if (settings.chatTemplate !== undefined) {
    fields.set('tokenizer.chat_template', { type: 'string', value: settings.chatTemplate });
  }
  noteStripping(definition, differences);
  noteEndMark(tokens, differences);
  return { fields, differences };
}

function scoreList(
  definition: TokenizerDefinition,
  tokens: TokenList,
  stated: ArrayLike<number> | undefined,
): Float32Array {
  const { origin, model } = definition;
  if (model.byteFallback === null || model.byteFallback.includes(-1)) {
    throw unsupported(origin, 'a vocabulary without the 256 byte tokens in GGUF');
  }
  const normal = (id: number) => tokens.types[id] === PIECE_TYPE.normal;
  requireScoreOrder(model, normal, origin);
  const derived = derivedScores(model, tokens.texts.length);
  return Float32Array.from(tokens.texts, (_, id) => {
    switch (tokens.types[id]) {
      case PIECE_TYPE.normal:
        return stated?.[id] ?? derived[id] ?? 0;
      case PIECE_TYPE.userDefined:
      case PIECE_TYPE.unused:
        return stated?.[id] ?? UNUSED_SCORE;
      default:
        return stated?.[id] ?? 0;
    }
  });
}

function mergeList({ model }: TokenizerDefinition): string[] {
  const texts = new Map([...model.symbols].map(([text, id]) => [id, text]));
  const { left, right } = model.merges;
  return Array.from(left, (id, i) => `${texts.get(id) ?? ''} ${texts.get(right[i] ?? -1) ?? ''}`);
}

function byteLevelSplitter(definition: TokenizerDefinition, differences: string[]): string {
  const { origin, normalizer, preTokenizer } = definition;
  const foreign = normalizer.find((step) => step.type !== 'unicode' || step.form !== 'NFC');
  if (foreign !== undefined) {
    throw unsupported(origin, `the normalizer ${foreign.type} in GGUF`, ['NFC']);
  }
  if (normalizer.length > 0) {
    differences.push('Text is not normalized to NFC: letters written as two characters stay so.');
  }
  if (preTokenizer.some((step) => step.type === 'byte-level' && step.addPrefixSpace)) {
    throw unsupported(origin, 'add_prefix_space of a byte-level tokenizer in GGUF');
  }
  const { name, isExact } = namePreTokenizer(definition);
  if (!isExact) {
    differences.push(
      `The splitter ${name} of llama.cpp treats some letters without case otherwise.`,
    );
  }
  return name;
}

function specialFields(
  definition: TokenizerDefinition,
  modelIds: SpecialTokenIds,
): {
  readonly fields: readonly (readonly [string, GgufValue])[];
  readonly differences: readonly string[];
} {
  const { prefixIds, suffixIds, origin } = definition;
  const differences: string[] = [];
  const ids = {
    bos: definition.bosTokenId ?? prefixIds[0] ?? modelIds.bos,
    eos: definition.eosTokenId ?? suffixIds[0] ?? modelIds.eos,
    unknown: definition.unkTokenId,
    padding: definition.padTokenId ?? modelIds.pad,
  };
  const adds = (affix: readonly number[], id: number | undefined, place: string): GgufValue => {
    if (affix.length > 1) {
      // GLM-4 opens every text with two tokens; its chat template, which GGUF carries, states them too.
      const texts = affix.map((token) => textOf(definition, token)).join('');
      differences.push(`${place} ${texts} around a text is left to the chat template.`);
      return { type: 'bool', value: false };
    }
    if (affix.length === 1 && affix[0] !== id) {
      throw unsupported(
        origin,
        `${place.toLowerCase()} [${affix.join(', ')}] around a text in GGUF`,
        ['one BOS and one EOS token'],
      );
    }
    return { type: 'bool', value: affix.length === 1 };
  };
  const fields = [
    ...Object.entries(ids).flatMap(([key, id]) =>
      id === undefined || id === null
        ? []
        : [[`${key}_token_id`, { type: 'u32', value: id }] as const],
    ),
    ['add_bos_token', adds(prefixIds, ids.bos, 'The prefix')] as const,
    ['add_eos_token', adds(suffixIds, ids.eos, 'The suffix')] as const,
  ];
  return { fields, differences };
}

function textOf({ addedTokens }: TokenizerDefinition, id: number): string {
  return addedTokens.find((token) => token.id === id)?.content ?? `[${id}]`;
}

function noteStripping(definition: TokenizerDefinition, differences: string[]): void {
  const flagged = definition.addedTokens.filter(
    (token) => token.lstrip || token.rstrip || token.singleWord,
  );
  if (flagged.length === 0) return;
  const names = flagged.slice(0, 3).map((token) => token.content);
  differences.push(
    `White space and word borders beside ${flagged.length} added tokens (${names.join(', ')}${flagged.length > 3 ? ', …' : ''}) are not treated specially.`,
  );
}

/** llama.cpp holds `</s>` for a control token in any vocabulary; in Qwen's it is ordinary text. */
function noteEndMark(tokens: TokenList, differences: string[]): void {
  const type = tokens.types[tokens.texts.indexOf('</s>')];
  if (type === PIECE_TYPE.normal || type === PIECE_TYPE.userDefined) {
    differences.push('The text </s>, an ordinary token here, is read as a control token.');
  }
}

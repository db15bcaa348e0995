/**
 * Loads Hugging Face's `tokenizer.json` and the two small files that stand beside it.
 *
 * The settings of `tokenizer_config.json` win over `tokenizer.json`, as in transformers: the flags of
 * `added_tokens_decoder` by id, and `add_bos_token` / `add_eos_token` where they are stated. The
 * `truncation` and `padding` members are not ours to apply: length is the caller's business.
 */

import { PLAIN_DECODER, parseDecoder } from './decoders.js';
import type {
  AddedToken,
  BpeModelDefinition,
  NormalizerStep,
  TokenizerDefinition,
} from './definition.js';
import {
  asArray,
  asRecord,
  asString,
  asTokenId,
  badFile,
  booleanField,
  isRecord,
  isTokenId,
  type JsonRecord,
  unsupported,
} from './json-fields.js';
import { byteFallbackIds, rulesFromPairs } from './merge-rules.js';
import { normalize, parseNormalizer } from './normalizers.js';
import { parsePreTokenizer } from './pre-tokenizers.js';

/** The parsed files of one tokenizer. */
export interface HfTokenizerFiles {
  /** Names the directory or file in errors. */
  readonly origin: string;
  readonly tokenizer: unknown;
  /** `tokenizer_config.json`, when there is one. */
  readonly config?: unknown;
  /** `special_tokens_map.json`, when there is one. */
  readonly specialTokensMap?: unknown;
}

/**
 * Reads a `tokenizer.json` of BPE type into the internal model.
 *
 * Throws: `TOKENIZER_BAD_FILE`, `TOKENIZER_UNSUPPORTED`, `TOKENIZER_BAD_REGEX`.
 * Checked against: npm tokenizers 0.23.2, ids of every vocabulary at hand on random text.
 */
export function readHfTokenizer(files: HfTokenizerFiles): TokenizerDefinition {
  const where = files.origin;
  const root = asRecord(files.tokenizer, where);
  const config = isRecord(files.config) ? files.config : {};
  const normalizer = parseNormalizer(root['normalizer'], `${where}: normalizer`);
  const preTokenizer = parsePreTokenizer(root['pre_tokenizer'], `${where}: pre_tokenizer`);
  const model = parseModel(root['model'], `${where}: model`);
  const addedTokens = readAddedTokens(root, config, normalizer, where);
  const idOf = tokenLookup(model.symbols, addedTokens);
  const names = specialNames(config, files.specialTokensMap);
  const bosTokenId = idOf(names['bos_token']);
  const eosTokenId = idOf(names['eos_token']);
  const template = parsePostProcessor(root['post_processor'], `${where}: post_processor`);
  const isByteLevel = preTokenizer.some((step) => step.type === 'byte-level');
  return {
    origin: where,
    kind: isByteLevel ? 'byte-level-bpe' : 'sentencepiece-bpe',
    normalizer,
    preTokenizer,
    model,
    addedTokens,
    decoder: parseDecoder(root['decoder'], `${where}: decoder`),
    ...overrideAffixes(template, config, { bos: bosTokenId, eos: eosTokenId }),
    bosTokenId,
    eosTokenId,
    unkTokenId: idOf(names['unk_token']) ?? model.unkId,
    padTokenId: idOf(names['pad_token']),
  };
}

/** The two text files of the original GPT-2 release. */
export interface Gpt2Files {
  readonly origin: string;
  /** Parsed `vocab.json`. */
  readonly vocabulary: unknown;
  /** Text of `merges.txt`. */
  readonly merges: string;
  /** Parsed `tokenizer_config.json`, when there is one. */
  readonly config?: unknown;
  readonly specialTokensMap?: unknown;
}

/**
 * Reads `vocab.json` and `merges.txt`, which imply GPT-2's splitting and its one special token.
 *
 * Throws: `TOKENIZER_BAD_FILE` when a merge names a token outside the vocabulary.
 */
export function readGpt2Files(files: Gpt2Files): TokenizerDefinition {
  const vocabulary = asRecord(files.vocabulary, `${files.origin}: vocab.json`);
  const endOfText = '<|endoftext|>';
  const endId = vocabulary[endOfText];
  const end = endId === undefined ? {} : { content: endOfText };
  const lines = files.merges.split('\n').map((line) => line.replace(/\r$/, ''));
  const definition = readHfTokenizer({
    origin: files.origin,
    tokenizer: {
      pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      decoder: { type: 'ByteLevel' },
      model: {
        type: 'BPE',
        vocab: vocabulary,
        merges: lines.filter((line) => line !== '' && !line.startsWith('#version')),
      },
      added_tokens:
        endId === undefined
          ? []
          : [{ id: endId, content: endOfText, special: true, normalized: false }],
    },
    config: {
      bos_token: end,
      eos_token: end,
      unk_token: end,
      ...(isRecord(files.config) ? files.config : {}),
    },
    specialTokensMap: files.specialTokensMap,
  });
  return { ...definition, decoder: { ...PLAIN_DECODER, byteLevel: true } };
}

function parseModel(value: unknown, where: string): BpeModelDefinition {
  const model = asRecord(value, where);
  const type = model['type'] ?? (model['merges'] === undefined ? undefined : 'BPE');
  if (type !== 'BPE') {
    throw unsupported(where, `the model type ${String(type)}`, ['BPE']);
  }
  for (const affix of ['continuing_subword_prefix', 'end_of_word_suffix']) {
    if (typeof model[affix] === 'string' && model[affix] !== '') {
      throw unsupported(where, `${affix} ${JSON.stringify(model[affix])}`);
    }
  }
  if (typeof model['dropout'] === 'number' && model['dropout'] > 0) {
    throw unsupported(where, `dropout ${model['dropout']}`, ['no dropout']);
  }
  const symbols = new Map<string, number>();
  const vocabulary = asRecord(model['vocab'], `${where}.vocab`);
  for (const token of Object.keys(vocabulary)) {
    const id = vocabulary[token];
    // The place is spelled out only for a value that is refused.
    symbols.set(
      token,
      isTokenId(id) ? id : asTokenId(id, `${where}.vocab[${JSON.stringify(token)}]`),
    );
  }
  const unk = model['unk_token'];
  return {
    symbols,
    merges: rulesFromPairs(parsePairs(model['merges'], `${where}.merges`), symbols, where),
    byteFallback: booleanField(model, 'byte_fallback', false) ? byteFallbackIds(symbols) : null,
    ignoreMerges: booleanField(model, 'ignore_merges', false),
    unkId: typeof unk === 'string' ? (symbols.get(unk) ?? null) : null,
    fuseUnk: booleanField(model, 'fuse_unk', false),
  };
}

/** Merges are "a b" strings, or pairs since tokenizers 0.20 (tokens may then hold spaces). */
function parsePairs(value: unknown, where: string): readonly (readonly [string, string])[] {
  const entries = asArray(value, where);
  const pairs = new Array<readonly [string, string]>(entries.length);
  for (let i = 0; i < entries.length; i++) {
    const pair = parsePair(entries[i]);
    if (pair === null) {
      throw badFile(
        `${where}[${i}]`,
        `a merge of two tokens was expected, found ${JSON.stringify(entries[i])}`,
      );
    }
    pairs[i] = pair;
  }
  return pairs;
}

function parsePair(entry: unknown): readonly [string, string] | null {
  if (typeof entry === 'string') {
    const gap = entry.indexOf(' ');
    const isPair = gap >= 0 && entry.indexOf(' ', gap + 1) < 0;
    return isPair ? [entry.slice(0, gap), entry.slice(gap + 1)] : null;
  }
  if (Array.isArray(entry) && entry.length === 2) {
    const [left, right]: unknown[] = entry;
    if (typeof left === 'string' && typeof right === 'string') {
      return [left, right];
    }
  }
  return null;
}

function readAddedTokens(
  root: JsonRecord,
  config: JsonRecord,
  normalizer: readonly NormalizerStep[],
  where: string,
): readonly AddedToken[] {
  const byId = new Map<number, AddedToken>();
  for (const [i, entry] of asArray(
    root['added_tokens'] ?? [],
    `${where}: added_tokens`,
  ).entries()) {
    const place = `${where}: added_tokens[${i}]`;
    const record = asRecord(entry, place);
    const id = asTokenId(record['id'], `${place}.id`);
    byId.set(id, addedToken(id, record, normalizer, place));
  }
  if (isRecord(config['added_tokens_decoder'])) {
    for (const [key, entry] of Object.entries(config['added_tokens_decoder'])) {
      const place = `${where}: added_tokens_decoder[${key}]`;
      const id = asTokenId(Number(key), place);
      byId.set(id, addedToken(id, asRecord(entry, place), normalizer, place));
    }
  }
  return [...byId.values()];
}

function addedToken(
  id: number,
  record: JsonRecord,
  normalizer: readonly NormalizerStep[],
  where: string,
): AddedToken {
  const content = asString(record['content'], `${where}.content`);
  const special = booleanField(record, 'special', false);
  return {
    id,
    content,
    special,
    singleWord: booleanField(record, 'single_word', false),
    lstrip: booleanField(record, 'lstrip', false),
    rstrip: booleanField(record, 'rstrip', false),
    normalizedContent: booleanField(record, 'normalized', !special)
      ? normalize(content, normalizer)
      : null,
  };
}

const SPECIAL_NAMES = ['bos_token', 'eos_token', 'unk_token', 'pad_token'] as const;

/** Names of the special tokens: a string, or an object with `content`, or null. */
function specialNames(config: JsonRecord, map: unknown): Readonly<Record<string, string | null>> {
  const fallback = isRecord(map) ? map : {};
  return Object.fromEntries(
    SPECIAL_NAMES.map((name) => [name, tokenText(config[name] ?? fallback[name])]),
  );
}

function tokenText(value: unknown): string | null {
  const text = isRecord(value) ? value['content'] : value;
  return typeof text === 'string' ? text : null;
}

function tokenLookup(
  symbols: ReadonlyMap<string, number>,
  added: readonly AddedToken[],
): (name: string | null | undefined) => number | null {
  const addedIds = new Map(added.map((token) => [token.content, token.id]));
  return (name) =>
    name === null || name === undefined ? null : (addedIds.get(name) ?? symbols.get(name) ?? null);
}

/** Ids that are put around a text. */
export interface Affixes {
  readonly prefixIds: readonly number[];
  readonly suffixIds: readonly number[];
}

/** Lets `add_bos_token` and `add_eos_token` of a tokenizer_config.json override, where it has them. */
export function overrideAffixes(
  base: Affixes,
  config: JsonRecord,
  ids: { readonly bos: number | null; readonly eos: number | null },
): Affixes {
  const choose = (flag: unknown, id: number | null, otherwise: readonly number[]) => {
    if (typeof flag !== 'boolean') {
      return otherwise;
    }
    return flag && id !== null ? [id] : [];
  };
  return {
    prefixIds: choose(config['add_bos_token'], ids.bos, base.prefixIds),
    suffixIds: choose(config['add_eos_token'], ids.eos, base.suffixIds),
  };
}

function parsePostProcessor(value: unknown, where: string): Affixes {
  if (value === null || value === undefined) {
    return { prefixIds: [], suffixIds: [] };
  }
  const record = asRecord(value, where);
  const type = asString(record['type'], `${where}.type`);
  switch (type) {
    case 'ByteLevel':
      // It only shifts offsets.
      return { prefixIds: [], suffixIds: [] };
    case 'TemplateProcessing':
      return parseTemplate(record, where);
    case 'Sequence': {
      const parts = asArray(record['processors'], `${where}.processors`).map((part, i) =>
        parsePostProcessor(part, `${where}.processors[${i}]`),
      );
      return {
        prefixIds: parts.toReversed().flatMap((part) => part.prefixIds),
        suffixIds: parts.flatMap((part) => part.suffixIds),
      };
    }
    default:
      throw unsupported(where, `the post-processor ${type}`, [
        'TemplateProcessing',
        'ByteLevel',
        'Sequence',
      ]);
  }
}

function parseTemplate(record: JsonRecord, where: string): Affixes {
  const specials = asRecord(record['special_tokens'], `${where}.special_tokens`);
  const prefixIds: number[] = [];
  const suffixIds: number[] = [];
  let sequences = 0;
  for (const [i, entry] of asArray(record['single'], `${where}.single`).entries()) {
    const place = `${where}.single[${i}]`;
    const piece = asRecord(entry, place);
    if (piece['Sequence'] !== undefined) {
      sequences++;
      continue;
    }
    const name = asString(asRecord(piece['SpecialToken'], place)['id'], `${place}.id`);
    const special = asRecord(specials[name], `${where}.special_tokens[${JSON.stringify(name)}]`);
    for (const id of asArray(special['ids'], `${where}.special_tokens.ids`)) {
      (sequences === 0 ? prefixIds : suffixIds).push(asTokenId(id, `${place}.ids`));
    }
  }
  if (sequences !== 1) {
    throw unsupported(where, `a template with the text ${sequences} times`, ['once']);
  }
  return { prefixIds, suffixIds };
}

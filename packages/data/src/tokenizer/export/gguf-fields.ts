/** Reads a tokenizer wherever it lies and gives the metadata that a GGUF file states it with. */

import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { GgufReader, type GgufValue } from '@tuneyard/formats';
import { loadChatTemplate } from '../../templates/load-chat-template.js';
import { createTokenizer } from '../bpe-tokenizer.js';
import type { TokenizerDefinition } from '../definition.js';
import { badFile, isRecord, type JsonRecord, unsupported } from '../json-fields.js';
import { loadTokenizerDefinition } from '../load-tokenizer.js';
import { PIECE_TYPE } from '../sentencepiece.js';
import { type GgufTokenizerPlan, planGgufTokenizer, UNUSED_SCORE } from './plan-gguf-fields.js';
import { readSentencePieceScores } from './sentencepiece-scores.js';
import { paddingText } from './token-list.js';

/** Settings of {@link ggufTokenizerFields}. */
export interface GgufFieldsOptions {
  /** Rows of the model's embedding; the list is filled up to it with unused tokens `[PAD<id>]`. */
  readonly vocabSize?: number | undefined;
}

/**
 * The `tokenizer.*` metadata for a GGUF file, from a Hugging Face directory, one of its tokenizer
 * files, or another `.gguf` file, whose keys pass through.
 *
 * Throws: what loading the tokenizer and its chat template throws; `TOKENIZER_UNSUPPORTED` for what
 * GGUF cannot state; `TOKENIZER_UNKNOWN_PRE_TOKENIZER`.
 * Checked against: llama.cpp's ids.
 */
export async function ggufTokenizerFields(
  path: string,
  options: GgufFieldsOptions = {},
): Promise<ReadonlyMap<string, GgufValue>> {
  return (await planGgufTokenizerFields(path, options)).fields;
}

/** As {@link ggufTokenizerFields}, with a list of what llama.cpp will read differently. */
export async function planGgufTokenizerFields(
  path: string,
  options: GgufFieldsOptions = {},
): Promise<GgufTokenizerPlan> {
  if (path.endsWith('.gguf')) {
    return { fields: await copyFields(path, options.vocabSize), differences: [] };
  }
  const definition = await loadTokenizerDefinition(path);
  const directory = /\.(json|model)$/.test(path) ? dirname(path) : path;
  const template = await loadChatTemplate(path, createTokenizer(definition));
  return planGgufTokenizer(definition, {
    vocabSize: options.vocabSize,
    scores: await storedScores(definition, directory),
    chatTemplate: template?.source,
    modelIds: await modelIds(directory),
  });
}

/** Scores of the SentencePiece file beside or behind the tokenizer, when it has the same pieces. */
async function storedScores(
  { kind, model }: TokenizerDefinition,
  directory: string,
): Promise<readonly number[] | undefined> {
  if (kind !== 'sentencepiece-bpe') return undefined;
  const file = join(directory, 'tokenizer.model');
  const bytes = await readOptional(file);
  if (bytes === undefined) return undefined;
  const pieces = readSentencePieceScores(bytes, file);
  const isSame = pieces.every(({ text }, id) => (model.symbols.get(text) ?? id) === id);
  return isSame ? pieces.map((piece) => piece.score) : undefined;
}

/** Special ids of `config.json`, which speak where the tokenizer's files are silent. */
async function modelIds(directory: string) {
  const file = join(directory, 'config.json');
  const bytes = await readOptional(file);
  const config = bytes === undefined ? {} : parseRecord(bytes, file);
  const id = (key: string): number | undefined => {
    const value = config[key];
    const first: unknown = Array.isArray(value) ? value[0] : value;
    return typeof first === 'number' && Number.isInteger(first) && first >= 0 ? first : undefined;
  };
  return { bos: id('bos_token_id'), eos: id('eos_token_id'), pad: id('pad_token_id') };
}

async function copyFields(
  path: string,
  vocabSize: number | undefined,
): Promise<ReadonlyMap<string, GgufValue>> {
  const reader = await GgufReader.open(path);
  try {
    const fields = new Map([...reader.metadata].filter(([key]) => key.startsWith('tokenizer.')));
    const tokens = fields.get('tokenizer.ggml.tokens');
    if (tokens?.type !== 'array' || tokens.itemType !== 'string') {
      throw badFile(path, 'tokenizer.ggml.tokens is missing: the file carries no tokenizer');
    }
    if (vocabSize !== undefined) fillUp(fields, tokens.value, { size: vocabSize, path });
    return fields;
  } finally {
    await reader.close();
  }
}

function fillUp(
  fields: Map<string, GgufValue>,
  tokens: readonly string[],
  { size, path }: { readonly size: number; readonly path: string },
): void {
  const from = tokens.length;
  if (from === size) return;
  if (from > size) {
    throw unsupported(path, `a tokenizer of ${from} tokens for an embedding of ${size} rows`);
  }
  const texts = Array.from({ length: size }, (_, id) => tokens[id] ?? paddingText(id));
  fields.set('tokenizer.ggml.tokens', { type: 'array', itemType: 'string', value: texts });
  const extend = (key: string, filler: number): ArrayLike<number> | undefined => {
    const value = fields.get(key);
    if (value?.type !== 'array' || value.itemType === 'string') return undefined;
    const old = Array.from(value.value as ArrayLike<number | bigint>, Number);
    return Array.from({ length: size }, (_, id) => old[id] ?? filler);
  };
  const scores = extend('tokenizer.ggml.scores', UNUSED_SCORE);
  if (scores !== undefined) {
    const value = Float32Array.from(scores);
    fields.set('tokenizer.ggml.scores', { type: 'array', itemType: 'f32', value });
  }
  const types =
    extend('tokenizer.ggml.token_type', PIECE_TYPE.unused) ??
    texts.map((_, id) => (id < from ? PIECE_TYPE.normal : PIECE_TYPE.unused));
  fields.set('tokenizer.ggml.token_type', {
    type: 'array',
    itemType: 'i32',
    value: Int32Array.from(types),
  });
}

async function readOptional(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

function parseRecord(bytes: Uint8Array, path: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw badFile(path, `${basename(path)} is not JSON`);
  }
  if (!isRecord(value)) throw badFile(path, 'an object was expected');
  return value;
}

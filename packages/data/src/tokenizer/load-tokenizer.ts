/** Finds out what kind of tokenizer a path holds and loads it. */

import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { GgufReader } from '@tuneyard/formats';
import { createTokenizer } from './bpe-tokenizer.js';
import type { TokenizerDefinition } from './definition.js';
import { TOKENIZER_ERRORS } from './errors.js';
import { readGgufTokenizer } from './gguf-tokenizer.js';
import { overrideAffixes, readGpt2Files, readHfTokenizer } from './hf-tokenizer.js';
import { badFile, isRecord, type JsonRecord } from './json-fields.js';
import { readSentencePiece } from './sentencepiece.js';
import type { Tokenizer } from './tokenizer.js';

const FORMS = ['tokenizer.json', 'tokenizer.model', 'vocab.json with merges.txt'];

/**
 * Loads a tokenizer from a Hugging Face model directory, a `tokenizer.json`, a SentencePiece
 * `tokenizer.model`, or the metadata of a `.gguf` file.
 *
 * A directory is read in this order: `tokenizer.json`, `tokenizer.model`, `vocab.json` with
 * `merges.txt`; `tokenizer_config.json` and `special_tokens_map.json` beside them are taken into
 * account.
 *
 * Throws: `TOKENIZER_NOT_FOUND`, `TOKENIZER_BAD_FILE`, `TOKENIZER_UNSUPPORTED`, `TOKENIZER_BAD_REGEX`,
 * `TOKENIZER_UNKNOWN_PRE_TOKENIZER`; whatever the GGUF reader throws.
 */
export async function loadTokenizer(path: string): Promise<Tokenizer> {
  return createTokenizer(await loadTokenizerDefinition(path));
}

/** As {@link loadTokenizer}, but returns what the files say without building the engine. */
export async function loadTokenizerDefinition(path: string): Promise<TokenizerDefinition> {
  const kind = await kindOf(path);
  if (kind === 'directory') {
    return loadDirectory(path);
  }
  if (kind === 'missing') {
    throw notFound(path, 'does not exist');
  }
  if (path.endsWith('.gguf')) {
    return loadGguf(path);
  }
  if (path.endsWith('.model')) {
    return withConfig(readSentencePiece(await readFile(path), path), dirname(path));
  }
  if (path.endsWith('.json')) {
    return loadJson(path, dirname(path));
  }
  throw notFound(path, 'is neither a directory nor a .json, .model or .gguf file');
}

async function loadDirectory(directory: string): Promise<TokenizerDefinition> {
  const json = join(directory, 'tokenizer.json');
  if ((await kindOf(json)) === 'file') {
    return loadJson(json, directory);
  }
  const model = join(directory, 'tokenizer.model');
  if ((await kindOf(model)) === 'file') {
    return withConfig(readSentencePiece(await readFile(model), model), directory);
  }
  const vocabulary = join(directory, 'vocab.json');
  const merges = join(directory, 'merges.txt');
  if ((await kindOf(vocabulary)) === 'file' && (await kindOf(merges)) === 'file') {
    return readGpt2Files({
      origin: directory,
      vocabulary: await readJson(vocabulary),
      merges: await readFile(merges, 'utf8'),
      ...(await sidecars(directory)),
    });
  }
  throw notFound(directory, `holds none of ${FORMS.join(', ')}`);
}

async function loadJson(path: string, directory: string): Promise<TokenizerDefinition> {
  return readHfTokenizer({
    origin: path,
    tokenizer: await readJson(path),
    ...(await sidecars(directory)),
  });
}

async function loadGguf(path: string): Promise<TokenizerDefinition> {
  const reader = await GgufReader.open(path);
  try {
    return readGgufTokenizer(reader.metadata, path);
  } finally {
    await reader.close();
  }
}

/** The flags and names of `tokenizer_config.json` that a bare SentencePiece file does not have. */
async function withConfig(
  definition: TokenizerDefinition,
  directory: string,
): Promise<TokenizerDefinition> {
  const { config } = await sidecars(directory);
  if (config === undefined) {
    return definition;
  }
  const ids = { bos: definition.bosTokenId, eos: definition.eosTokenId };
  return { ...definition, ...overrideAffixes(definition, config, ids) };
}

async function sidecars(
  directory: string,
): Promise<{ readonly config?: JsonRecord; readonly specialTokensMap?: JsonRecord }> {
  const config = await readOptionalRecord(join(directory, 'tokenizer_config.json'));
  const specialTokensMap = await readOptionalRecord(join(directory, 'special_tokens_map.json'));
  return {
    ...(config === undefined ? {} : { config }),
    ...(specialTokensMap === undefined ? {} : { specialTokensMap }),
  };
}

async function readOptionalRecord(path: string): Promise<JsonRecord | undefined> {
  if ((await kindOf(path)) !== 'file') {
    return undefined;
  }
  const value = await readJson(path);
  if (!isRecord(value)) {
    throw badFile(path, 'an object was expected');
  }
  return value;
}

async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new TuneyardError(
      TOKENIZER_ERRORS.TOKENIZER_BAD_FILE,
      `${basename(path)} is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
      { details: { path }, cause },
    );
  }
}

async function kindOf(path: string): Promise<'file' | 'directory' | 'missing'> {
  try {
    return (await stat(path)).isDirectory() ? 'directory' : 'file';
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      return 'missing';
    }
    throw error;
  }
}

function notFound(path: string, why: string): TuneyardError {
  return new TuneyardError(
    TOKENIZER_ERRORS.TOKENIZER_NOT_FOUND,
    `No tokenizer at ${path}: it ${why}`,
    {
      category: 'not_found',
      details: { path },
      hint: `Give a directory with ${FORMS.join(', or ')}, or a .gguf file.`,
    },
  );
}

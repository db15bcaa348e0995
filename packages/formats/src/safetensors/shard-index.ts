/**
 * Finds the files that make up a checkpoint: one file, or shards named by an index.
 *
 * Source: the layout that Hugging Face `save_pretrained` writes.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { fileError } from '../io/file-errors.js';
import { quoteName } from '../io/quote-name.js';
import { readSmallFile } from '../io/random-access-file.js';
import { isJsonObject, parseJsonObject } from './header-json.js';
import { INDEX_FILE_NAME, SINGLE_FILE_NAME } from './layout.js';
import { MAX_INDEX_BYTES, MAX_SHARDS } from './limits.js';

const INDEX_SUFFIX = '.safetensors.index.json';

/** Files of one checkpoint; `shardOf` maps tensor to file when an index says so. */
export interface WeightFiles {
  readonly files: readonly string[];
  readonly shardOf: ReadonlyMap<string, string> | null;
}

/**
 * Resolves a file, an index, or a directory to the files that hold the tensors.
 *
 * A directory is searched for `model.safetensors`, then for its index, then for a single other
 * `*.safetensors.index.json` or `*.safetensors`.
 *
 * Throws: `SAFETENSORS_NO_WEIGHTS`, `SAFETENSORS_AMBIGUOUS`, `SAFETENSORS_BAD_INDEX`, `FILE_…`.
 */
export async function findWeightFiles(path: string): Promise<WeightFiles> {
  const file = (await isDirectory(path)) ? await pickInDirectory(path) : path;
  return file.endsWith('.index.json')
    ? await readShardIndex(file)
    : { files: [file], shardOf: null };
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    throw fileError(error, 'open', path);
  }
}

async function pickInDirectory(directory: string): Promise<string> {
  const names = (await readdir(directory)).sort();
  const indexes = names.filter((name) => name.endsWith(INDEX_SUFFIX));
  const singles = names.filter((name) => name.endsWith('.safetensors'));
  for (const name of [SINGLE_FILE_NAME, INDEX_FILE_NAME]) {
    if (names.includes(name)) return join(directory, name);
  }
  const candidates = indexes.length > 0 ? indexes : singles;
  const [first] = candidates;
  if (first === undefined) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_NO_WEIGHTS,
      `${directory} holds neither ${SINGLE_FILE_NAME} nor another safetensors file`,
      { category: 'not_found', details: { directory } },
    );
  }
  if (candidates.length > 1) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_AMBIGUOUS,
      `${directory} holds ${candidates.length} weight files (${candidates.slice(0, 4).join(', ')}) and no ${INDEX_FILE_NAME}`,
      {
        details: { directory, candidates },
        hint: 'Name the file to read instead of the directory.',
      },
    );
  }
  return join(directory, first);
}

/** Reads `weight_map` of an index; shard names must be plain file names beside it. */
async function readShardIndex(path: string): Promise<WeightFiles> {
  const bytes = await readSmallFile(path, MAX_INDEX_BYTES, (size) =>
    badIndex(path, `it has ${size} bytes, above the limit of ${MAX_INDEX_BYTES}`),
  );
  const { value } = parseJsonObject(bytes, path);
  const weightMap = value['weight_map'];
  if (!isJsonObject(weightMap)) throw badIndex(path, 'weight_map must be an object');
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== 'string' || !isPlainFileName(shard)) {
      throw badIndex(path, `the shard of tensor ${quoteName(tensor)} is not a plain file name`);
    }
    shardOf.set(tensor, join(dirname(path), shard));
  }
  const files = [...new Set(shardOf.values())].sort();
  if (files.length === 0) throw badIndex(path, 'weight_map is empty');
  if (files.length > MAX_SHARDS) throw badIndex(path, `it names ${files.length} shards`);
  return { files, shardOf };
}

/** A name that cannot lead out of the directory of the index. */
function isPlainFileName(name: string): boolean {
  return (
    name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name) && basename(name) === name
  );
}

function badIndex(path: string, reason: string): TuneyardError {
  return new TuneyardError(
    SAFETENSORS_ERRORS.SAFETENSORS_BAD_INDEX,
    `The shard index ${path} cannot be used: ${reason}`,
    { details: { path } },
  );
}

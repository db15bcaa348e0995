/**
 * Finds the data files that an input names: a file, a glob, or a folder.
 *
 * Of a folder, the files of its most frequent known extension are taken, as MindSpeed-LLM does; folders that Hugging
 * Face tools made (`data/train-00000-of-00001.parquet`, `save_to_disk`, its cache) are known by their files.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import { glob, isDynamicPattern } from 'tinyglobby';
import { type DataFile, kindOfName } from './data-file.js';
import { filesOfFolder } from './discover/data-folder.js';
import { isMetadataName } from './discover/folder-names.js';
import { probeFile } from './discover/probe-file.js';
import { cannotOpen, fileError, systemCode } from './file-errors.js';

/** Options of {@link discoverDataFiles}. */
export interface DiscoverOptions {
  /** What relative inputs are relative to. */
  readonly baseDir: string;
  /** Which split of a Hugging Face folder; by default `train`. */
  readonly split?: string;
  readonly signal?: AbortSignal;
}

/**
 * Finds and probes the data files of an input; of several inputs, one after the other. Files of a folder or glob are
 * sorted by their path, so that the order does not depend on the file system.
 *
 * Throws: `DATA_FILE_NOT_FOUND`; `DATA_NO_FILES` when a folder or glob holds none that is read; the codes of
 * {@link probeFile}.
 */
export async function discoverDataFiles(
  input: string | readonly string[],
  options: DiscoverOptions,
): Promise<DataFile[]> {
  const inputs = typeof input === 'string' ? [input] : input;
  const files: DataFile[] = [];
  for (const one of inputs) {
    for (const path of await pathsOf(one, options)) {
      throwIfAborted(options.signal);
      files.push(await probeFile(path, options.signal));
    }
  }
  return files;
}

async function pathsOf(input: string, options: DiscoverOptions): Promise<readonly string[]> {
  const path = resolve(options.baseDir, input);
  try {
    const found = await stat(path);
    return found.isDirectory() ? await filesOfFolder(path, options.split ?? 'train') : [path];
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    if (systemCode(error) !== 'ENOENT' || !isDynamicPattern(input)) throw cannotOpen(path, error);
  }
  return pathsOfGlob(input, options);
}

async function pathsOfGlob(input: string, options: DiscoverOptions): Promise<readonly string[]> {
  const matches = await glob(input, {
    cwd: options.baseDir,
    absolute: true,
    expandDirectories: false,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const known = matches.filter((path) => kindOfName(path) !== undefined && !isMetadataName(path));
  if (known.length > 0) return known.map((path) => resolve(path)).sort();
  const what = matches.length === 0 ? 'matches no file' : 'matches no file of a kind that is read';
  throw fileError('DATA_NO_FILES', { file: input }, `the pattern ${what}`, {
    category: 'not_found',
    details: { matches: matches.length, baseDir: options.baseDir },
    hint: `Relative patterns begin at ${options.baseDir}.`,
  });
}

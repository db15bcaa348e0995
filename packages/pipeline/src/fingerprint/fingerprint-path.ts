/** Fingerprints of files and directories outside the workspace. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';
import { hashOf } from './canonical-json.js';
import type { FileHashCache } from './file-hash-cache.js';

/** Deepest directory that is looked into; model snapshots have one level, data folders two. */
const DEPTH_MAX = 8;
/** Most files of one input; the largest sharded checkpoints have about two hundred. */
const FILES_MAX = 10_000;

/** Options of {@link fingerprintPath}. */
export interface FingerprintPathOptions {
  /** Which files of a directory count, by path relative to it; default all. */
  readonly includes?: (relative: string) => boolean;
  readonly signal?: AbortSignal;
}

/**
 * Hashes relative names, sizes and contents of a file or of a directory's files.
 *
 * Hidden entries are left out; symbolic links are followed, since model snapshots are made of them. The
 * place does not count: a copy has the same fingerprint. A single file counts without its name.
 *
 * Throws: `FINGERPRINT_INPUT_UNREADABLE`.
 */
export async function fingerprintPath(
  target: string,
  cache: FileHashCache,
  options: FingerprintPathOptions = {},
): Promise<string> {
  try {
    if (!(await stat(target)).isDirectory()) {
      return hashOf([{ name: '', ...(await cache.hash(target, options.signal)) }]);
    }
    const includes = options.includes ?? (() => true);
    const names = (await listFiles(target, '', 0)).filter(includes).sort();
    const files = [];
    for (const name of names) {
      files.push({ name, ...(await cache.hash(path.join(target, name), options.signal)) });
    }
    return hashOf(files);
  } catch (cause) {
    if (cause instanceof TuneyardError) throw cause;
    throw unreadable(target, (cause as Error).message, cause);
  }
}

/** Files below a directory, as paths with `/` relative to it. */
async function listFiles(root: string, inside: string, depth: number): Promise<string[]> {
  if (depth > DEPTH_MAX) throw unreadable(root, `directories deeper than ${DEPTH_MAX} levels`);
  const found: string[] = [];
  for (const entry of await readdir(path.join(root, inside), { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const relative = inside === '' ? entry.name : `${inside}/${entry.name}`;
    const facts = entry.isSymbolicLink() ? await stat(path.join(root, relative)) : entry;
    if (facts.isDirectory()) found.push(...(await listFiles(root, relative, depth + 1)));
    else if (facts.isFile()) found.push(relative);
    if (found.length > FILES_MAX) throw unreadable(root, `more than ${FILES_MAX} files`);
  }
  return found;
}

function unreadable(target: string, why: string, cause?: unknown): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.FINGERPRINT_INPUT_UNREADABLE,
    `${target} cannot be fingerprinted: ${why}`,
    { category: 'not_found', details: { path: target }, cause },
  );
}

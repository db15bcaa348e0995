/** Finding, opening and checking artifacts. */
import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';
import { hashFile } from '../fingerprint/file-hash-cache.js';
import { SHORT_FINGERPRINT } from '../fingerprint/stage-fingerprint.js';
import { type Artifact, readManifest } from './manifest.js';
import type { Workspace } from './workspace.js';

/** Marks a directory that is still being written. */
export const TEMPORARY_MARK = '.tmp-';

/** Options of {@link openArtifact}. */
export interface OpenOptions {
  /** Also compare the hash of every file; default: sizes only. */
  readonly verify?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Opens an artifact directory and checks its files against the manifest.
 *
 * Throws: `ARTIFACT_MANIFEST_INVALID`, `ARTIFACT_DAMAGED` naming the file.
 */
export async function openArtifact(dir: string, options: OpenOptions = {}): Promise<Artifact> {
  const manifest = await readManifest(dir);
  for (const file of manifest.files) {
    throwIfAborted(options.signal);
    const full = path.join(dir, file.path);
    const found = await stat(full).catch(() => null);
    if (found === null || !found.isFile()) throw damaged(dir, file.path, 'is missing');
    if (found.size !== file.size) {
      throw damaged(dir, file.path, `has ${found.size} bytes, the manifest says ${file.size}`);
    }
    if (options.verify === true && (await hashFile(full, options.signal)) !== file.sha256) {
      throw damaged(dir, file.path, 'has another content than when it was made');
    }
  }
  return { dir, manifest };
}

/** Directories of complete artifacts, by kind and name; nothing of them is read. */
export async function artifactDirs(workspace: Workspace, kind?: string): Promise<string[]> {
  const kinds = kind === undefined ? await subdirectories(workspace.artifacts) : [kind];
  const found: string[] = [];
  for (const each of kinds) {
    const parent = path.join(workspace.artifacts, each);
    for (const name of await subdirectories(parent)) {
      if (!name.includes(TEMPORARY_MARK)) found.push(path.join(parent, name));
    }
  }
  return found.sort();
}

/** Every artifact whose manifest can be read, newest first. */
export async function listArtifacts(workspace: Workspace): Promise<Artifact[]> {
  const artifacts: Artifact[] = [];
  for (const dir of await artifactDirs(workspace)) {
    const manifest = await readManifest(dir).catch(onlyInvalid);
    if (manifest !== null) artifacts.push({ dir, manifest });
  }
  return artifacts.sort((a, b) => (a.manifest.createdAt < b.manifest.createdAt ? 1 : -1));
}

/**
 * The intact artifact with a fingerprint, whatever recipe made it; null when there is none.
 *
 * A damaged one counts as absent, so that its stage runs again.
 */
export async function findArtifact(
  workspace: Workspace,
  kind: string,
  fingerprint: string,
): Promise<Artifact | null> {
  const ending = `-${fingerprint.slice(0, SHORT_FINGERPRINT)}`;
  for (const dir of await artifactDirs(workspace, kind)) {
    if (!dir.endsWith(ending)) continue;
    const artifact = await openArtifact(dir).catch(onlyInvalid);
    if (artifact?.manifest.fingerprint === fingerprint) return artifact;
  }
  return null;
}

/**
 * Finds an artifact by what a person may type: its directory, `kind/name-fingerprint`, or the first
 * digits (at least four) of a fingerprint.
 *
 * Throws: `ARTIFACT_NOT_FOUND`, also when several fit.
 */
export async function resolveArtifact(workspace: Workspace, text: string): Promise<Artifact> {
  for (const dir of [path.resolve(text), path.join(workspace.artifacts, text)]) {
    if ((await stat(path.join(dir, 'manifest.json')).catch(() => null))?.isFile()) {
      return await openArtifact(dir);
    }
  }
  const isPrefix = /^[0-9a-f]{4,64}$/.test(text);
  const fitting = isPrefix
    ? (await listArtifacts(workspace)).filter((a) => a.manifest.fingerprint.startsWith(text))
    : [];
  const [only, ...others] = fitting;
  if (only !== undefined && others.length === 0) return await openArtifact(only.dir);
  throw new TuneyardError(
    PIPELINE_ERRORS.ARTIFACT_NOT_FOUND,
    others.length > 0
      ? `${text} fits ${fitting.length} artifacts: ${fitting.map((a) => path.basename(a.dir)).join(', ')}`
      : `No artifact of ${workspace.root} is named ${text}`,
    {
      category: 'not_found',
      details: { name: text },
      hint: 'List what there is with: tuneyard artifacts',
    },
  );
}

async function subdirectories(parent: string): Promise<string[]> {
  const entries: Dirent[] = await readdir(parent, { withFileTypes: true }).catch((error) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
}

function onlyInvalid(error: unknown): null {
  if (error instanceof TuneyardError) return null;
  throw error;
}

function damaged(dir: string, file: string, why: string): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.ARTIFACT_DAMAGED,
    `The artifact ${dir} is damaged: ${file} ${why}`,
    {
      details: { path: dir, file },
      hint: 'Delete the directory; the next run makes it again.',
    },
  );
}

/**
 * Writing artifacts so that a half-written one never exists under its final name.
 *
 * Files go to a temporary directory; they are synced and hashed, the manifest is written last, and the
 * directory is renamed. A temporary directory names the process that fills it, so that what a killed
 * process left is swept by the next run on this machine.
 */
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { PIPELINE_ERRORS } from '../errors.js';
import { hashFile } from '../fingerprint/file-hash-cache.js';
import { SHORT_FINGERPRINT } from '../fingerprint/stage-fingerprint.js';
import { isProcessAlive } from './live-process.js';
import { type Artifact, type ArtifactManifest, MANIFEST_FILE } from './manifest.js';
import { openArtifact, TEMPORARY_MARK } from './open-artifact.js';
import type { Workspace } from './workspace.js';

/** An artifact that is being written. */
export interface ArtifactDraft {
  /** Temporary directory; a stage writes its files here. */
  readonly dir: string;
  /** Where it will be. */
  readonly finalDir: string;
}

/** What a manifest says apart from the files themselves. */
export type ArtifactDescription = Omit<ArtifactManifest, 'format' | 'files'>;

let draftCount = 0;

/** The directory of an artifact: `artifacts/<kind>/<name>-<fingerprint12>`. */
export function artifactDir(
  workspace: Workspace,
  id: { readonly kind: string; readonly name: string; readonly fingerprint: string },
): string {
  const leaf = `${id.name}-${id.fingerprint.slice(0, SHORT_FINGERPRINT)}`;
  return path.join(workspace.artifacts, id.kind, leaf);
}

/** Creates the empty temporary directory of an artifact. */
export async function beginArtifact(finalDir: string): Promise<ArtifactDraft> {
  draftCount++;
  const dir = `${finalDir}${TEMPORARY_MARK}${process.pid}-${draftCount}`;
  await rm(dir, { recursive: true, force: true });
  await mkdir(dir, { recursive: true });
  return { dir, finalDir };
}

/** Removes a draft that is given up. */
export async function discardArtifact(draft: ArtifactDraft): Promise<void> {
  await rm(draft.dir, { recursive: true, force: true });
}

/**
 * Completes an artifact under its final name.
 *
 * When another process was faster with the same fingerprint, its artifact is returned and ours is removed;
 * a damaged one in the way is replaced.
 *
 * Throws: `ARTIFACT_CONTENT_INVALID` when the directory is empty or holds anything but plain files.
 */
export async function commitArtifact(
  draft: ArtifactDraft,
  description: ArtifactDescription,
  signal?: AbortSignal,
): Promise<Artifact> {
  const paths = await listPlainFiles(draft.dir, '');
  if (paths.length === 0) throw contentInvalid(draft.dir, 'no file was written');
  const files: ArtifactManifest['files'] = [];
  for (const relative of paths.sort()) {
    const full = path.join(draft.dir, relative);
    files.push({ path: relative, ...(await syncFile(full)), sha256: await hashFile(full, signal) });
  }
  const manifest: ArtifactManifest = { format: 1, ...description, files };
  await writeSynced(path.join(draft.dir, MANIFEST_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
  await syncDirectory(draft.dir);
  return await placeArtifact(draft, manifest);
}

/** Removes temporary directories whose process is gone; returns their paths. */
export async function sweepTemporaries(workspace: Workspace): Promise<string[]> {
  const swept: string[] = [];
  for (const kind of await readdir(workspace.artifacts).catch(() => [])) {
    const parent = path.join(workspace.artifacts, kind);
    for (const name of await readdir(parent).catch(() => [])) {
      const pid = name.split(TEMPORARY_MARK)[1]?.split('-')[0];
      if (pid === undefined || isProcessAlive(Number(pid))) continue;
      const dir = path.join(parent, name);
      await rm(dir, { recursive: true, force: true });
      swept.push(dir);
    }
  }
  return swept;
}

async function placeArtifact(draft: ArtifactDraft, manifest: ArtifactManifest): Promise<Artifact> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rename(draft.dir, draft.finalDir);
      await syncDirectory(path.dirname(draft.finalDir));
      return { dir: draft.finalDir, manifest };
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? '';
      if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(code) || attempt >= 3) throw error;
    }
    const winner = await openArtifact(draft.finalDir).catch((error: unknown) => {
      if (error instanceof TuneyardError) return null;
      throw error;
    });
    if (winner?.manifest.fingerprint === manifest.fingerprint) {
      await discardArtifact(draft);
      return winner;
    }
    await moveAside(draft);
  }
}

/** Takes a damaged artifact out of the way; another process may have done so already. */
async function moveAside(draft: ArtifactDraft): Promise<void> {
  const aside = `${draft.dir}-damaged`;
  try {
    await rename(draft.finalDir, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  await rm(aside, { recursive: true, force: true });
}

async function listPlainFiles(root: string, inside: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(path.join(root, inside), { withFileTypes: true })) {
    const relative = inside === '' ? entry.name : `${inside}/${entry.name}`;
    if (relative === MANIFEST_FILE) throw contentInvalid(root, `a stage wrote ${MANIFEST_FILE}`);
    if (entry.isDirectory()) found.push(...(await listPlainFiles(root, relative)));
    else if (entry.isFile()) found.push(relative);
    else throw contentInvalid(root, `${relative} is neither a file nor a directory`);
  }
  if (inside !== '') await syncDirectory(path.join(root, inside));
  return found;
}

async function syncFile(file: string): Promise<{ size: number }> {
  const handle = await open(file, 'r');
  try {
    await handle.sync();
    return { size: (await handle.stat()).size };
  } finally {
    await handle.close();
  }
}

/** Writes a small file and waits until it is on the disk. */
export async function writeSynced(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Windows cannot sync a directory; there the rename alone has to do. */
async function syncDirectory(dir: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function contentInvalid(dir: string, why: string): TuneyardError {
  return new TuneyardError(
    PIPELINE_ERRORS.ARTIFACT_CONTENT_INVALID,
    `The output in ${dir} cannot become an artifact: ${why}`,
    { category: 'internal', details: { path: dir } },
  );
}

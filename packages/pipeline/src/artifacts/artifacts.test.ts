import { mkdir, mkdtemp, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type ArtifactDescription,
  artifactDir,
  beginArtifact,
  commitArtifact,
  sweepTemporaries,
} from './create-artifact.js';
import type { Artifact } from './manifest.js';
import { findArtifact, listArtifacts, openArtifact, resolveArtifact } from './open-artifact.js';
import { hasLeftovers, WorkDir } from './work-dir.js';
import { openWorkspace, type Workspace } from './workspace.js';

let root: string;
let workspace: Workspace;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tuneyard-artifacts-'));
  workspace = await openWorkspace(path.join(root, '.tuneyard'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const FINGERPRINT = 'ab'.repeat(32);

function description(fingerprint = FINGERPRINT): ArtifactDescription {
  return {
    kind: 'tokens',
    name: 'quick',
    fingerprint,
    stage: 'preprocess-train',
    stageVersion: 1,
    parents: [{ role: 'data0', fingerprint, artifact: null, path: '/data/a.jsonl' }],
    parameters: { 'data.cutoff_len': 8 },
    metrics: { samples: 3 },
    toolVersions: { node: '20' },
    createdAt: '2026-11-25T10:00:00.000Z',
    durationMs: 5,
  };
}

async function make(content = 'hello', fingerprint = FINGERPRINT): Promise<Artifact> {
  const described = description(fingerprint);
  const draft = await beginArtifact(artifactDir(workspace, described));
  await mkdir(path.join(draft.dir, 'sub'));
  await writeFile(path.join(draft.dir, 'sub', 'file.txt'), content);
  return await commitArtifact(draft, described);
}

const tokensDir = (): string => path.join(workspace.artifacts, 'tokens');

describe('artifacts', () => {
  it('appear under their final name with a manifest of every file', async () => {
    const { dir } = await make();
    expect(path.relative(workspace.root, dir)).toBe('artifacts/tokens/quick-abababababab');
    const { manifest } = await openArtifact(dir, { verify: true });
    expect(manifest.files).toEqual([
      {
        path: 'sub/file.txt',
        size: 5,
        sha256: '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824',
      },
    ]);
    expect(await readdir(tokensDir())).toEqual(['quick-abababababab']);
  });

  it('end well when several writers race for one of them', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => make()));
    expect(new Set(all.map((artifact) => artifact.dir)).size).toBe(1);
    expect(await readdir(tokensDir())).toEqual(['quick-abababababab']);
    await openArtifact(all[0]!.dir, { verify: true });
  });

  it('replace a damaged one of the same name', async () => {
    const { dir } = await make();
    await truncate(path.join(dir, 'sub', 'file.txt'), 2);
    expect(await findArtifact(workspace, 'tokens', FINGERPRINT)).toBeNull();
    await make();
    await openArtifact(dir, { verify: true });
    expect(await readdir(tokensDir())).toEqual(['quick-abababababab']);
  });

  it('tell a wrong size at once and a wrong content on request', async () => {
    const { dir } = await make();
    await writeFile(path.join(dir, 'sub', 'file.txt'), 'HELLO');
    await openArtifact(dir);
    await expect(openArtifact(dir, { verify: true })).rejects.toMatchObject({
      code: 'ARTIFACT_DAMAGED',
      details: { file: 'sub/file.txt' },
    });
    await truncate(path.join(dir, 'sub', 'file.txt'), 1);
    await expect(openArtifact(dir)).rejects.toThrow('has 1 bytes, the manifest says 5');
    await rm(path.join(dir, 'sub', 'file.txt'));
    await expect(openArtifact(dir)).rejects.toThrow('is missing');
  });

  it('cannot be empty, hold links, or carry a manifest of their own', async () => {
    const final = artifactDir(workspace, description());
    const empty = await beginArtifact(final);
    await expect(commitArtifact(empty, description())).rejects.toMatchObject({
      code: 'ARTIFACT_CONTENT_INVALID',
    });
    const linked = await beginArtifact(final);
    await symlink('/etc/passwd', path.join(linked.dir, 'x'));
    await expect(commitArtifact(linked, description())).rejects.toThrow('neither a file');
    const forged = await beginArtifact(final);
    await writeFile(path.join(forged.dir, 'manifest.json'), '{}');
    await expect(commitArtifact(forged, description())).rejects.toThrow('manifest.json');
  });

  it.each([
    ['no JSON', '{'],
    ['another shape', '{"format":1}'],
    ['a path that leaves the artifact', null],
  ])('are refused when the manifest is %s', async (_, text) => {
    const { dir, manifest } = await make();
    const escaping = { ...manifest, files: [{ ...manifest.files[0]!, path: '../../x' }] };
    await writeFile(path.join(dir, 'manifest.json'), text ?? JSON.stringify(escaping));
    await expect(openArtifact(dir)).rejects.toMatchObject({ code: 'ARTIFACT_MANIFEST_INVALID' });
    expect(await findArtifact(workspace, 'tokens', FINGERPRINT)).toBeNull();
  });

  it('are found by fingerprint whatever recipe made them', async () => {
    const { dir } = await make();
    expect((await findArtifact(workspace, 'tokens', FINGERPRINT))?.dir).toBe(dir);
    const twin = `${FINGERPRINT.slice(0, 12)}${'0'.repeat(52)}`;
    expect(await findArtifact(workspace, 'tokens', twin)).toBeNull();
    expect(await findArtifact(workspace, 'none', FINGERPRINT)).toBeNull();
  });

  it('are found by directory, by kind and name, and by the first digits', async () => {
    const { dir } = await make();
    await make('x', 'cd'.repeat(32));
    for (const text of [dir, 'tokens/quick-abababababab', 'abab']) {
      expect((await resolveArtifact(workspace, text)).dir).toBe(dir);
    }
    await expect(resolveArtifact(workspace, 'zzzz')).rejects.toMatchObject({
      code: 'ARTIFACT_NOT_FOUND',
    });
    expect(await listArtifacts(workspace)).toHaveLength(2);
  });

  it('leave no trace of writers that died', async () => {
    const dead = path.join(tokensDir(), 'quick-abababababab.tmp-2147483646-1');
    const alive = path.join(tokensDir(), `quick-abababababab.tmp-${process.pid}-99`);
    await mkdir(dead, { recursive: true });
    await mkdir(alive, { recursive: true });
    expect(await sweepTemporaries(workspace)).toEqual([dead]);
    expect(await readdir(tokensDir())).toEqual([path.basename(alive)]);
    expect(await listArtifacts(workspace)).toEqual([]);
  });
});

describe('WorkDir', () => {
  const dir = (): string => path.join(workspace.work, 'train-abababababab');

  it('belongs to one holder at a time and keeps its content', async () => {
    const first = await WorkDir.tryOpen(dir());
    expect(first).not.toBeNull();
    expect(await WorkDir.tryOpen(dir())).toBeNull();
    expect(await hasLeftovers(dir())).toBe(false);
    await writeFile(path.join(dir(), 'checkpoint'), 'x');
    await first!.close();
    expect(await hasLeftovers(dir())).toBe(true);
    const second = await WorkDir.tryOpen(dir());
    expect(second).not.toBeNull();
    await second!.remove();
    await expect(stat(dir())).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('is taken from a holder that died, by exactly one of many', async () => {
    await mkdir(dir(), { recursive: true });
    const { hostname } = await import('node:os');
    const lock = { host: hostname(), pids: [2147483646], nonce: 'old' };
    await writeFile(path.join(dir(), 'lock'), JSON.stringify(lock));
    const opened = await Promise.all(Array.from({ length: 8 }, () => WorkDir.tryOpen(dir())));
    const holders = opened.filter((each) => each !== null);
    expect(holders).toHaveLength(1);
    expect((await readdir(dir())).filter((name) => name.startsWith('lock'))).toEqual(['lock']);
    await holders[0]!.close();
  });

  it('is not taken while the process of the stage outlives the run', async () => {
    const first = await WorkDir.tryOpen(dir());
    await first!.addHolder(process.ppid);
    expect(await WorkDir.tryOpen(dir())).toBeNull();
    await first!.close();
  });
});

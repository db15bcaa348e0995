import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { canonicalJson, hashOf } from './canonical-json.js';
import { FileHashCache } from './file-hash-cache.js';
import { fingerprintPath } from './fingerprint-path.js';
import { stageFingerprint } from './stage-fingerprint.js';

let root: string;
let cacheFile: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tuneyard-fingerprint-'));
  cacheFile = path.join(root, 'cache.json');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const cache = (): FileHashCache => new FileHashCache(cacheFile, () => Date.now() + 60_000);

describe('canonicalJson', () => {
  it('does not depend on the order of keys, and keeps that of lists', () => {
    expect(canonicalJson({ b: 1, a: [2, 1], c: undefined })).toBe('{"a":[2,1],"b":1}');
    expect(canonicalJson(-0)).toBe('0');
    expect(() => canonicalJson({ a: Number.NaN })).toThrow('not finite');
  });

  it('parses back to the same value, whatever the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });
});

describe('stageFingerprint', () => {
  it('is the SHA-256 of the canonical parts', () => {
    const parts = { kind: 'train', version: 1, parameters: { b: 2, a: 1 }, inputs: { model: 'f' } };
    const text = '{"inputs":{"model":"f"},"parameters":{"a":1,"b":2},"stage":"train","version":1}';
    expect(stageFingerprint(parts)).toBe(createHash('sha256').update(text).digest('hex'));
    expect(stageFingerprint({ ...parts, version: 2 })).not.toBe(stageFingerprint(parts));
  });
});

describe('fingerprintPath', () => {
  it('depends on names and contents, not on the place or on hidden files', async () => {
    for (const dir of ['one', 'two']) {
      await mkdir(path.join(root, dir, 'sub'), { recursive: true });
      await writeFile(path.join(root, dir, 'sub', 'b'), 'B');
      await writeFile(path.join(root, dir, 'a'), 'A');
    }
    await writeFile(path.join(root, 'two', '.DS_Store'), 'x');
    const one = await fingerprintPath(path.join(root, 'one'), cache());
    expect(await fingerprintPath(path.join(root, 'two'), cache())).toBe(one);
    const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
    expect(one).toBe(
      hashOf([
        { name: 'a', size: 1, sha256: sha('A') },
        { name: 'sub/b', size: 1, sha256: sha('B') },
      ]),
    );
    await rename(path.join(root, 'two', 'a'), path.join(root, 'two', 'c'));
    expect(await fingerprintPath(path.join(root, 'two'), cache())).not.toBe(one);
  });

  it('counts only the files asked for and follows links', async () => {
    await mkdir(path.join(root, 'm'));
    await writeFile(path.join(root, 'blob'), 'weights');
    await symlink(path.join(root, 'blob'), path.join(root, 'm', 'model.safetensors'));
    const includes = (name: string): boolean => name.endsWith('.safetensors');
    const before = await fingerprintPath(path.join(root, 'm'), cache(), { includes });
    await writeFile(path.join(root, 'm', 'README.md'), 'changed');
    expect(await fingerprintPath(path.join(root, 'm'), cache(), { includes })).toBe(before);
    await writeFile(path.join(root, 'blob'), 'WEIGHTS');
    expect(await fingerprintPath(path.join(root, 'm'), cache(), { includes })).not.toBe(before);
  });

  it('names a path that is missing', async () => {
    await expect(fingerprintPath(path.join(root, 'no'), cache())).rejects.toMatchObject({
      code: 'FINGERPRINT_INPUT_UNREADABLE',
      category: 'not_found',
    });
  });
});

describe('FileHashCache', () => {
  it('remembers by size, time stamp and inode, and notices each change', async () => {
    const file = path.join(root, 'f');
    await writeFile(file, 'one');
    const first = cache();
    const hash = await first.hash(file);
    await first.save();
    expect(JSON.parse(await readFile(cacheFile, 'utf8'))[file].sha256).toBe(hash.sha256);

    const planted = JSON.parse(await readFile(cacheFile, 'utf8'));
    planted[file].sha256 = 'a'.repeat(64);
    await writeFile(cacheFile, JSON.stringify(planted));
    expect((await cache().hash(file)).sha256).toBe('a'.repeat(64));

    const later = new Date(Date.now() + 5000);
    await utimes(file, later, later);
    expect((await cache().hash(file)).sha256).toBe(hash.sha256);
  });

  it('does not remember a file that changed a moment ago', async () => {
    const file = path.join(root, 'f');
    await writeFile(file, 'one');
    const fresh = new FileHashCache(cacheFile);
    await fresh.hash(file);
    await fresh.save();
    await expect(readFile(cacheFile)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('goes on with an empty memory when its file is damaged', async () => {
    await writeFile(cacheFile, '{"x": 1');
    const file = path.join(root, 'f');
    await writeFile(file, 'one');
    expect((await cache().hash(file)).size).toBe(3);
  });
});

/** The rules of the house, kept by a test. A rule joins when it has caught something. */
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { collectErrorTables } from './error-codes.js';
import { brokenLinks } from './markdown-links.js';
import { undocumentedExports } from './package-exports.js';
import { renderErrorsDoc } from './render-errors-doc.js';
import { listFiles } from './source-files.js';
import { FILE_RULES } from './tidy-rules.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const paths = await listFiles(root);
const read = (path: string): string | undefined =>
  paths.includes(path) ? readFileSync(join(root, path), 'utf8') : undefined;

/** Data carried along unchanged, where rules about our own writing do not apply. */
const isData = (path: string): boolean => /(^|\/)fixtures\/|^assets\//.test(path);

describe('the repository', () => {
  it('keeps every rule about single files', async () => {
    const faults: string[] = [];
    for (const path of paths.filter((name) => !isData(name))) {
      const text = /\.(m?[jt]sx?|py|c|h|sh|jinja)$/.test(path)
        ? await readFile(join(root, path), 'utf8')
        : '';
      for (const rule of FILE_RULES) faults.push(...rule({ path, text }));
    }
    expect(faults).toEqual([]);
  });

  it('documents every export of every package', () => {
    const indexes = paths.filter((path) => /^(packages|apps)\/[^/]+\/src\/index\.ts$/.test(path));
    expect(indexes.length).toBeGreaterThanOrEqual(7);
    expect(indexes.flatMap((index) => undocumentedExports(index, read))).toEqual([]);
  });

  it('gives every codec its limits and a place in the conformance suite', () => {
    const codecs = new Set(
      paths.map((path) => /^packages\/formats\/src\/([^/]+)\//.exec(path)?.[1]).filter(Boolean),
    );
    codecs.delete('io');
    expect(codecs.size).toBeGreaterThanOrEqual(2);
    const suite = read('packages/formats/test/codecs.ts') ?? '';
    for (const codec of codecs) {
      expect(paths).toContain(`packages/formats/src/${codec}/limits.ts`);
      expect(suite).toContain(`folder: '${codec}'`);
    }
  });

  it('explains every error code once, under a name equal to its value', async () => {
    const codes = (await collectErrorTables(root)).flatMap(({ path, codes: own }) =>
      own.map((code) => ({ path, ...code })),
    );
    expect(codes.length).toBeGreaterThan(50);
    const unexplained = codes.filter(({ meaning }) => meaning === '');
    expect(unexplained.map(({ path, code }) => `${path}: ${code}`)).toEqual([]);
    expect(codes.filter(({ code, value }) => code !== value)).toEqual([]);
    expect(
      codes.filter(({ code }) => !/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$|^CANCELLED$/.test(code)),
    ).toEqual([]);
    const names = codes.map(({ code }) => code);
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
  });

  it('lists in docs/errors.md exactly the codes that exist (else: npm run docs:errors)', async () => {
    expect(read('docs/errors.md')).toBe(renderErrorsDoc(await collectErrorTables(root)));
  });

  it('says of every fixture and asset where it comes from', () => {
    const folders = new Set(
      paths.filter((path) => isData(path)).map((path) => path.slice(0, path.lastIndexOf('/'))),
    );
    const unexplained = [...folders].filter((folder) => !hasProvenance(folder));
    expect(unexplained.sort()).toEqual([]);
  });

  it('links only to pages and headings that exist', () => {
    const pages = paths.filter((path) => path.endsWith('.md') && !isData(path));
    const broken = pages.flatMap((path) =>
      brokenLinks(
        { path, text: read(path) ?? '' },
        (target) => existsSync(join(root, target)),
        read,
      ),
    );
    expect(broken).toEqual([]);
  });
});

/** A README or licence note in the folder, or above it up to the fixtures or assets folder. */
function hasProvenance(folder: string): boolean {
  const names = ['README.md', 'LICENSE', 'NOTICE', 'NOTICE.md', 'LICENSES.md'];
  for (
    let at = folder;
    at.includes('/') || at === 'assets';
    at = at.slice(0, Math.max(0, at.lastIndexOf('/')))
  ) {
    if (names.some((name) => paths.includes(`${at}/${name}`))) return true;
    if (/(^|\/)fixtures$|^assets$/.test(at)) return false;
  }
  return false;
}

import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkBoundaries } from './check-boundaries.js';

let root = '';
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/** A workspace of the given files; every package in it can be imported by name. */
async function plant(files: Record<string, string>): Promise<string> {
  root = await mkdtemp(join(tmpdir(), 'tuneyard-bounds-'));
  const write = async (path: string, text: string): Promise<void> => {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  };
  await write('package.json', '{"name":"planted","type":"module","workspaces":["packages/*"]}');
  await mkdir(join(root, 'node_modules/@tuneyard'), { recursive: true });
  for (const name of ['core', 'formats', 'engine']) {
    const manifest = {
      name: `@tuneyard/${name}`,
      type: 'module',
      exports: { '.': { '@tuneyard/source': './src/index.ts' } },
      dependencies: { '@tuneyard/core': '*', '@tuneyard/formats': '*' },
    };
    await write(`packages/${name}/package.json`, JSON.stringify(manifest));
    await write(`packages/${name}/src/index.ts`, 'export const here = 1;\n');
    await symlink(join(root, 'packages', name), join(root, 'node_modules/@tuneyard', name));
  }
  await write('node_modules/koffi/package.json', '{"name":"koffi","main":"index.js"}');
  await write('node_modules/koffi/index.js', 'module.exports = {};\n');
  for (const [path, text] of Object.entries(files)) await write(path, text);
  return root;
}

const VIOLATIONS: { rule: string; files: Record<string, string> }[] = [
  {
    rule: 'package-arrows-core: packages/core/src/up.ts → packages/formats/src/index.ts',
    files: { 'packages/core/src/up.ts': "export { here } from '@tuneyard/formats';\n" },
  },
  {
    rule: 'package-arrows-core: packages/core/src/up.ts → packages/formats/src/index.ts',
    files: {
      'packages/core/src/up.ts':
        "import type { here } from '@tuneyard/formats';\nexport type Here = typeof here;\n",
    },
  },
  {
    rule: 'by-package-name: packages/formats/src/a.ts → packages/core/src/index.ts',
    files: { 'packages/formats/src/a.ts': "export { here } from '../../core/src/index.js';\n" },
  },
  {
    rule: 'resolvable: packages/formats/src/a.ts → @tuneyard/core/src/index.js',
    files: { 'packages/formats/src/a.ts': "export { here } from '@tuneyard/core/src/index.js';\n" },
  },
  {
    rule: 'siblings-engine: packages/engine/src/train/a.ts → packages/engine/src/generate/b.ts',
    files: {
      'packages/engine/src/train/a.ts': "export { b } from '../generate/b.js';\n",
      'packages/engine/src/generate/b.ts': 'export const b = 1;\n',
    },
  },
  {
    rule: 'siblings-formats: packages/formats/src/gguf/a.ts → packages/formats/src/safetensors/b.ts',
    files: {
      'packages/formats/src/gguf/a.ts': "export { b } from '../safetensors/b.js';\n",
      'packages/formats/src/safetensors/b.ts': 'export const b = 1;\n',
    },
  },
  {
    rule: 'koffi-in-raw: packages/core/src/a.ts → node_modules/koffi/index.js',
    files: { 'packages/core/src/a.ts': "import koffi from 'koffi';\nexport const a = koffi;\n" },
  },
  {
    rule: 'threads-in-worker-pools: packages/core/src/a.ts → worker_threads',
    files: { 'packages/core/src/a.ts': "export { Worker } from 'node:worker_threads';\n" },
  },
  {
    rule: 'no-cycles: packages/core/src/a.ts → packages/core/src/b.ts',
    files: {
      'packages/core/src/a.ts': "import { b } from './b.js';\nexport const a = () => b;\n",
      'packages/core/src/b.ts': "import { a } from './a.js';\nexport const b = () => a;\n",
    },
  },
  {
    rule: 'no-tests-in-product: packages/core/src/a.ts → packages/core/src/b.test.ts',
    files: {
      'packages/core/src/a.ts': "export { b } from './b.test.js';\n",
      'packages/core/src/b.test.ts': 'export const b = 1;\n',
    },
  },
];

describe('checkBoundaries', () => {
  it.each(VIOLATIONS)('finds a planted $rule', async ({ rule, files }) => {
    const { violations } = await checkBoundaries(await plant(files));
    expect(violations).toContain(rule);
  });

  it('allows what the rules allow', async () => {
    const report = await checkBoundaries(
      await plant({
        'packages/formats/src/a.ts': "export { here } from '@tuneyard/core';\n",
        'packages/engine/src/train/a.ts': "export { b } from '../model/b.js';\n",
        'packages/engine/src/model/b.ts': 'export const b = 1;\n',
        'packages/ggml/src/raw/a.ts': "import koffi from 'koffi';\nexport const a = koffi;\n",
        'packages/data/src/worker-pool/a.ts': "export { Worker } from 'node:worker_threads';\n",
      }),
    );
    expect(report).toMatchObject({ violations: [], unseen: [] });
    expect(report.moduleCount).toBeGreaterThanOrEqual(8);
  });
});

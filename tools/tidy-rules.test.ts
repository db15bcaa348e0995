import { describe, expect, it } from 'vitest';
import { readErrorTables } from './error-codes.js';
import { brokenLinks } from './markdown-links.js';
import { undocumentedExports } from './package-exports.js';
import { renderErrorsDoc } from './render-errors-doc.js';
import {
  codesComeFromTables,
  environmentIsConfined,
  type FileRule,
  nativeIsConfined,
  noUnfinishedMarks,
  noVagueNames,
  suppressionsHaveReasons,
} from './tidy-rules.js';

const product = 'packages/data/src/a.ts';
const later = ['TO', 'DO'].join('');
const ignore = ['biome-ig', 'nore lint/a/b'].join('');
const expectError = ['@ts-expect-er', 'ror'].join('');

const CASES: { rule: FileRule; bad: [string, string][]; good: [string, string][] }[] = [
  {
    rule: noVagueNames,
    bad: [
      ['packages/a/src/utils.ts', ''],
      ['packages/a/src/string-helpers.ts', ''],
      ['packages/a/src/common/x.ts', ''],
      ['packages/a/src/helper.test.ts', ''],
    ],
    good: [
      ['packages/a/src/line-splitter.ts', ''],
      ['docs/common.md', ''],
      ['packages/a/src/commoner.ts', ''],
    ],
  },
  {
    rule: noUnfinishedMarks,
    bad: [
      [product, `// ${['FIX', 'ME'].join('')} soon`],
      [product, `// ${later}: later`],
    ],
    good: [
      [product, `// ${later}(#12) later`],
      [product, 'const TODOS = 1;'],
      ['docs/a.md', later],
    ],
  },
  {
    rule: suppressionsHaveReasons,
    bad: [
      [product, `// ${ignore}: <explanation>`],
      [product, `// ${expectError}`],
      [product, `// ${['@ts-ig', 'nore'].join('')} the types are wrong`],
    ],
    good: [
      [product, `// ${ignore}: the table is one literal on purpose`],
      [product, `// ${expectError} a string is passed on purpose`],
    ],
  },
  {
    rule: environmentIsConfined,
    bad: [
      [product, 'const home = process.env.HOME;'],
      [product, "console.warn('x');"],
      [product, 'process.stdout.write(text);'],
    ],
    good: [
      ['apps/cli/src/main.ts', 'run(process.env);'],
      [product, "// process.env and console.log are named in a comment\nconst s = 'console.log';"],
      ['packages/data/src/a.test.ts', "console.log('x');"],
      [product, 'const { platform } = process;'],
    ],
  },
  {
    rule: nativeIsConfined,
    bad: [
      [product, "import koffi from 'koffi';"],
      [product, "const koffi = require('koffi');"],
      [product, "const { Worker } = await import('node:worker_threads');"],
    ],
    good: [
      ['packages/ggml/src/raw/load.ts', "const koffi = require('koffi');"],
      ['packages/data/src/worker-pool.ts', "import { Worker } from 'node:worker_threads';"],
      [product, "const name = 'koffi';"],
    ],
  },
  {
    rule: codesComeFromTables,
    bad: [[product, "throw new TuneyardError('DATA_NEW', 'text');"]],
    good: [[product, "throw new TuneyardError(DATA_ERRORS.DATA_NEW, 'text');"]],
  },
];

describe.each(CASES)('the rule $rule.name', ({ rule, bad, good }) => {
  it.each(bad)('refuses %s with %j', (path, text) => {
    expect(rule({ path, text })).toEqual([expect.stringMatching(/:1 /)]);
  });

  it.each(good)('accepts %s with %j', (path, text) => {
    expect(rule({ path, text })).toEqual([]);
  });
});

describe('undocumentedExports', () => {
  const files: Record<string, string> = {
    'p/index.ts':
      "export { a, b as c, type T } from './a.js';\nexport * from './d.js';\nexport { x } from 'other';",
    'p/a.ts':
      '/** A. */\nexport const a = 1;\nexport const b = 2;\n/** T. */\ninterface T {}\nexport type { T };',
    'p/d.ts': 'export function d() {}\n/** E. */\nexport class E {}\nconst hidden = 1;',
  };

  it('follows re-exports and names what has no comment', () => {
    expect(undocumentedExports('p/index.ts', (path) => files[path])).toEqual([
      'p/a.ts: c',
      'p/d.ts: d',
    ]);
  });
});

describe('brokenLinks', () => {
  const pages: Record<string, string> = {
    'docs/b.md': '# One thing: `x`!\n\n# Twice\n\n# Twice\n',
  };
  const check = (text: string): string[] =>
    brokenLinks(
      { path: 'docs/a.md', text },
      (path) => path in pages || path === 'docs',
      (path) => pages[path],
    );

  it('accepts pages, headings, folders and other sites', () => {
    const text =
      '[a](b.md) [b](./b.md#one-thing-x) [c](b.md#twice-1) [d](../docs/) [e](https://x.y)';
    expect(check(text)).toEqual([]);
    expect(check('```\n[a](none.md)\n```\n`[b](none.md)`')).toEqual([]);
  });

  it('names the line and target of the others', () => {
    expect(check('text\n[a](none.md)\n[b](b.md#none)\n[c]: gone.md')).toEqual([
      'docs/a.md:2 none.md',
      'docs/a.md:3 b.md#none',
      'docs/a.md:4 gone.md',
    ]);
  });
});

describe('readErrorTables', () => {
  const text = `/** Codes of one. */
export const ONE_ERRORS = {
  /**
   * Two lines
   * of meaning.
   */
  ONE_B: 'ONE_B',
  ONE_A: 'ONE_X',
} as const;
const other = { A: 'A' };`;

  it('reads codes with their meanings and values', () => {
    expect(readErrorTables('packages/one/src/errors.ts', text)).toEqual([
      {
        path: 'packages/one/src/errors.ts',
        tableName: 'ONE_ERRORS',
        about: 'Codes of one.',
        codes: [
          { code: 'ONE_B', meaning: 'Two lines of meaning.', value: 'ONE_B' },
          { code: 'ONE_A', meaning: '', value: 'ONE_X' },
        ],
      },
    ]);
  });

  it('renders them sorted, one heading for the tables of one file', () => {
    const tables = readErrorTables('packages/one/src/errors.ts', text);
    const page = renderErrorsDoc([...tables, ...tables]);
    expect(page.match(/^## .*/gm)).toEqual(['## one']);
    expect(page).toContain('- `ONE_A` — \n- `ONE_B` — Two lines of meaning.\n');
  });
});

import { defineConfig } from 'vitest/config';

const conditions = ['@tuneyard/source', 'node', 'import', 'module', 'default'];
const shared = { ssr: { resolve: { conditions } }, resolve: { conditions } };

/** Unit tests run in seconds; `slow` holds training runs, end-to-end and child-process tests. */
export default defineConfig({
  ...shared,
  test: {
    projects: [
      {
        ...shared,
        test: {
          name: 'unit',
          include: ['{packages,apps,tools}/**/*.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**', '**/*.slow.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        ...shared,
        test: {
          name: 'slow',
          include: ['{packages,apps,tools}/**/*.slow.test.ts'],
          exclude: ['**/node_modules/**', '**/dist/**'],
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
});

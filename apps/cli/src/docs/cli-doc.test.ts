import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { CLI_DOC_URL, renderCliDoc } from './render-cli-doc.js';

it('docs/cli.md is what the commands say (npm run docs:cli --workspace tuneyard)', () => {
  expect(readFileSync(CLI_DOC_URL, 'utf8')).toBe(renderCliDoc());
});

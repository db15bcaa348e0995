/** Writes docs/cli.md; run by `npm run docs:cli --workspace tuneyard`. */
import { writeFileSync } from 'node:fs';
import { CLI_DOC_URL, renderCliDoc } from './render-cli-doc.js';

writeFileSync(CLI_DOC_URL, renderCliDoc());

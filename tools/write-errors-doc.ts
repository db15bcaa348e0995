/** `npm run docs:errors`: writes docs/errors.md. */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { collectErrorTables } from './error-codes.js';
import { renderErrorsDoc } from './render-errors-doc.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const tables = await collectErrorTables(root);
await writeFile(`${root}docs/errors.md`, renderErrorsDoc(tables));
console.log(`docs/errors.md: ${tables.reduce((sum, { codes }) => sum + codes.length, 0)} codes`);

/** Version of the program, as in its package.json. */
import { readFileSync } from 'node:fs';

/** Semantic version of `tuneyard`. */
export const VERSION: string = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

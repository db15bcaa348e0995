/**
 * What a model card's head says of licence and languages, as `general.*` metadata.
 *
 * Only the plain forms of YAML that cards use are read: `key: value`, `key: [a, b]` and `- item` lines; anything else is
 * passed over. Source: gguf-py `metadata.py` (`apply_metadata_heuristic`).
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type MetadataField, text } from './values.js';

/** Keys of the card and of the file. */
const SCALARS = {
  license: 'general.license',
  license_name: 'general.license.name',
  license_link: 'general.license.link',
} as const;
const LISTS = { tags: 'general.tags', language: 'general.languages' } as const;

/** A head longer than this is no head. */
const MAX_HEAD_CHARACTERS = 64 * 1024;

/** Reads `README.md` of a directory; empty without one. */
export async function cardFields(directory: string): Promise<readonly MetadataField[]> {
  try {
    return planCardFields(await readFile(join(directory, 'README.md'), 'utf8'));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw cause;
  }
}

/** The fields of a card's text. */
export function planCardFields(card: string): readonly MetadataField[] {
  const head = /^---\r?\n([\s\S]*?)\r?\n---/.exec(card.slice(0, MAX_HEAD_CHARACTERS))?.[1];
  if (head === undefined) return [];
  const values = readHead(head);
  const fields: MetadataField[] = [];
  for (const [key, gguf] of Object.entries(SCALARS)) {
    const [value] = values.get(key) ?? [];
    if (value !== undefined) fields.push([gguf, text(value)]);
  }
  for (const [key, gguf] of Object.entries(LISTS)) {
    const value = values.get(key) ?? [];
    if (value.length > 0) fields.push([gguf, { type: 'array', itemType: 'string', value }]);
  }
  return fields;
}

function readHead(head: string): ReadonlyMap<string, string[]> {
  const values = new Map<string, string[]>();
  let open: string[] | undefined;
  for (const line of head.split(/\r?\n/)) {
    const item = /^\s*-\s+(\S.*)$/.exec(line)?.[1];
    if (item !== undefined) {
      open?.push(plain(item));
      continue;
    }
    const [, key, value = ''] = /^([a-z_]+):\s*(.*)$/.exec(line) ?? [];
    open = key === undefined ? undefined : itemsOf(value);
    if (key !== undefined && open !== undefined) values.set(key, open);
  }
  return values;
}

function itemsOf(value: string): string[] {
  const inner = /^\[(.*)\]$/.exec(value.trim())?.[1];
  const items = inner === undefined ? [value] : inner.split(',');
  return items.map(plain).filter((item) => item !== '');
}

/** Without quotes and comments. */
function plain(value: string): string {
  return value
    .replace(/\s+#.*$/, '')
    .trim()
    .replace(/^(['"])(.*)\1$/, '$2');
}

/**
 * `media.json` of a prepared data set: which media it needs, by the hash of their content, and which rows use them.
 *
 * The same rows give the same bytes, whatever the order in which they were checked.
 */
import { createReadStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import type { RowOrigin } from '../handlers/conversation.js';
import { isJsonRecord } from '../handlers/record-fields.js';
import type { MediaLists, MediaMeasure, MediaUse } from './media-types.js';

/** One use of a medium. */
export interface ManifestUse extends RowOrigin {
  readonly column: keyof MediaLists;
  readonly index: number;
  readonly frame?: number;
}

/** One medium. */
export interface ManifestEntry {
  /** SHA-256 of the content, lower-case hexadecimal. */
  readonly hash: string;
  readonly bytes: number;
  readonly measure: MediaMeasure;
  /** Every path that records have for it, sorted. */
  readonly paths: readonly string[];
  /** By data set, row, column and place. */
  readonly uses: readonly ManifestUse[];
}

/** Collects uses; one per data set or per worker, merged in any order. */
export interface MediaCollector {
  add(origin: RowOrigin, media: readonly MediaUse[]): void;
  merge(entries: Iterable<ManifestEntry>): void;
  /** Sorted by hash, then by kind: a file can serve as video and as sound. */
  entries(): ManifestEntry[];
}

interface Collected {
  readonly hash: string;
  readonly bytes: number;
  readonly measure: MediaMeasure;
  readonly paths: Set<string>;
  readonly uses: ManifestUse[];
}

/** Opens an empty collector. */
export function createMediaCollector(): MediaCollector {
  const byKey = new Map<string, Collected>();
  const slot = ({ hash, bytes, measure }: Pick<MediaUse, 'hash' | 'bytes' | 'measure'>) => {
    const key = `${hash} ${measure.kind}`;
    const known = byKey.get(key) ?? { hash, bytes, measure, paths: new Set(), uses: [] };
    byKey.set(key, known);
    return known;
  };
  return {
    add({ source, row }, media) {
      for (const use of media) {
        const { paths, uses } = slot(use);
        if (use.path !== undefined) paths.add(use.path);
        const { column, index, frame } = use;
        uses.push({ source, row, column, index, ...(frame === undefined ? {} : { frame }) });
      }
    },
    merge(entries) {
      for (const entry of entries) {
        const { paths, uses } = slot(entry);
        for (const path of entry.paths) paths.add(path);
        for (const use of entry.uses) uses.push(use);
      }
    },
    entries: () =>
      [...byKey.entries()]
        .sort(([a], [b]) => compareText(a, b))
        .map(([, { paths, uses, ...facts }]) => ({
          ...facts,
          paths: [...paths].sort(compareText),
          uses: [...uses].sort(compareUses),
        })),
  };
}

/** By code units, which does not depend on the machine's language. */
function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function compareUses(a: ManifestUse, b: ManifestUse): number {
  return (
    compareText(a.source, b.source) ||
    a.row - b.row ||
    compareText(a.column, b.column) ||
    a.index - b.index ||
    (a.frame ?? 0) - (b.frame ?? 0)
  );
}

const HEAD = '{"version":1,"media":[';

/**
 * Writes `media.json`, one entry per line, and puts it in place at once when it is whole.
 *
 * Throws: the signal's reason when it is aborted; the system's error when the file cannot be written.
 */
export async function writeMediaManifest(
  path: string,
  entries: Iterable<ManifestEntry>,
  signal?: AbortSignal,
): Promise<void> {
  const draft = `${path}.part`;
  const file = await open(draft, 'w');
  try {
    await file.write(HEAD);
    let separator = '\n';
    for (const entry of entries) {
      signal?.throwIfAborted();
      await file.write(separator + JSON.stringify(entry));
      separator = ',\n';
    }
    await file.write('\n]}\n');
    await file.sync();
    await file.close();
    await rename(draft, path);
  } catch (error) {
    await file.close().catch(() => undefined);
    await rm(draft, { force: true });
    throw error;
  }
}

/**
 * Reads `media.json` entry by entry.
 *
 * Throws: `DATA_BAD_MEDIA_MANIFEST` for a file that {@link writeMediaManifest} did not write.
 */
export async function* readMediaManifest(path: string): AsyncGenerator<ManifestEntry> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Infinity });
  let line = 0;
  let isWhole = false;
  for await (const text of lines) {
    line += 1;
    if (line === 1) {
      if (text !== HEAD) throw damaged(path, line, 'it does not begin as version 1 does');
    } else if (text === ']}') isWhole = true;
    else yield parseEntry(text, { path, line });
  }
  if (!isWhole) throw damaged(path, line, 'it ends too early');
}

function parseEntry(text: string, place: { path: string; line: number }): ManifestEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(text.endsWith(',') ? text.slice(0, -1) : text);
  } catch {
    entry = undefined;
  }
  const isEntry =
    isJsonRecord(entry) &&
    /^[0-9a-f]{64}$/.test(String(entry['hash'])) &&
    isJsonRecord(entry['measure']) &&
    Array.isArray(entry['paths']) &&
    Array.isArray(entry['uses']);
  if (isEntry) return entry as unknown as ManifestEntry;
  throw damaged(place.path, place.line, 'it holds no medium');
}

function damaged(path: string, line: number, what: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_MEDIA_MANIFEST, `${path}:${line}: ${what}`);
}

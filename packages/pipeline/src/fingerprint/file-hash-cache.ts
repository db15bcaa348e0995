/**
 * Content hashes of files, remembered by path, size, modification time and inode.
 *
 * A file that changed within the last two seconds is hashed but not remembered: a second write could
 * leave the same time stamp.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import { z } from 'zod';

const cacheSchema = z.record(
  z.string(),
  z.strictObject({
    size: z.string(),
    mtimeNs: z.string(),
    inode: z.string(),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
);

type CacheEntries = z.output<typeof cacheSchema>;

/** Age below which a time stamp does not prove that content is unchanged. */
const UNSAFE_AGE_MS = 2000;
/** Most files remembered; the oldest go first. */
const ENTRIES_MAX = 20_000;

/** SHA-256 and size of a file. */
export interface FileHash {
  readonly size: number;
  readonly sha256: string;
}

/** Hashes files and remembers the result in one JSON file. */
export class FileHashCache {
  readonly #file: string;
  readonly #now: () => number;
  #entries: CacheEntries | null = null;
  #isChanged = false;

  /** `file`: where to remember, as `.tuneyard/cache/file-hashes.json`. */
  constructor(file: string, now: () => number = Date.now) {
    this.#file = file;
    this.#now = now;
  }

  /** The hash of a file's content. Rejects with the system's error when it cannot be read. */
  async hash(file: string, signal?: AbortSignal): Promise<FileHash> {
    const entries = await this.#load();
    const facts = await stat(file, { bigint: true });
    const key = path.resolve(file);
    const identity = {
      size: String(facts.size),
      mtimeNs: String(facts.mtimeNs),
      inode: String(facts.ino),
    };
    const known = entries[key];
    const isSame =
      known?.size === identity.size &&
      known.mtimeNs === identity.mtimeNs &&
      known.inode === identity.inode;
    if (known !== undefined && isSame) return { size: Number(facts.size), sha256: known.sha256 };
    const sha256 = await hashFile(file, signal);
    if (this.#now() - Number(facts.mtimeMs) > UNSAFE_AGE_MS) {
      delete entries[key];
      entries[key] = { ...identity, sha256 };
      this.#isChanged = true;
    }
    return { size: Number(facts.size), sha256 };
  }

  /** Writes what is new; another process may do the same, and one of both stays. */
  async save(): Promise<void> {
    if (!this.#isChanged || this.#entries === null) return;
    const kept = Object.fromEntries(Object.entries(this.#entries).slice(-ENTRIES_MAX));
    await mkdir(path.dirname(this.#file), { recursive: true });
    const temporary = `${this.#file}.tmp-${process.pid}`;
    await writeFile(temporary, JSON.stringify(kept));
    await rename(temporary, this.#file);
    this.#isChanged = false;
  }

  async #load(): Promise<CacheEntries> {
    this.#entries ??= await readEntries(this.#file);
    return this.#entries;
  }
}

/** SHA-256 of a file, read in pieces. */
export async function hashFile(file: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1 << 20 })) {
    throwIfAborted(signal);
    hash.update(piece as Uint8Array);
  }
  return hash.digest('hex');
}

/** A cache that is missing or damaged only costs time, so it counts as empty. */
async function readEntries(file: string): Promise<CacheEntries> {
  try {
    const result = cacheSchema.safeParse(JSON.parse(await readFile(file, 'utf8')));
    return result.success ? result.data : {};
  } catch {
    return {};
  }
}

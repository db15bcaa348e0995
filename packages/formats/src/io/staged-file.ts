/**
 * Output that appears under its final name only when it is whole: written beside it, flushed to disk,
 * then renamed. A crash, a full disk or a cancelled run leaves the previous file as it was.
 */
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { assert, throwIfAborted } from '@tuneyard/core';
import { fileError } from './file-errors.js';

/** Small pieces gather here, so that a header of thousands of fields costs one system call. */
const STAGING_BYTES = 256 * 1024;

let stagedCount = 0;

/** Accepts bytes in order. */
export interface ByteSink {
  /** Bytes accepted so far. */
  readonly bytesWritten: number;
  /** Appends bytes; the caller may reuse `bytes` once the promise has settled. */
  write(bytes: Uint8Array): Promise<void>;
}

/** A file being written under a temporary name. End it with `commit` or `discard`. */
export class StagedFile implements ByteSink {
  readonly path: string;
  readonly #temporaryPath: string;
  readonly #handle: FileHandle;
  readonly #signal: AbortSignal | undefined;
  #pending = new Uint8Array(STAGING_BYTES);
  #pendingBytes = 0;
  #bytesWritten = 0;
  #state: 'open' | 'sealed' | 'ended' = 'open';

  private constructor(options: {
    path: string;
    temporaryPath: string;
    handle: FileHandle;
    signal: AbortSignal | undefined;
  }) {
    this.path = options.path;
    this.#temporaryPath = options.temporaryPath;
    this.#handle = options.handle;
    this.#signal = options.signal;
  }

  /** Creates the temporary file in the directory of `path`. Throws: `FILE_…`, `CANCELLED`. */
  static async create(path: string, signal?: AbortSignal): Promise<StagedFile> {
    throwIfAborted(signal);
    stagedCount += 1;
    const name = `.${basename(path)}.${process.pid}-${stagedCount}.partial`;
    const temporaryPath = join(dirname(path), name);
    try {
      const handle = await open(temporaryPath, 'w');
      return new StagedFile({ path, temporaryPath, handle, signal });
    } catch (error) {
      throw fileError(error, 'create', path);
    }
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  async write(bytes: Uint8Array): Promise<void> {
    assert(this.#state === 'open', `${this.path} was written after it had been sealed`);
    throwIfAborted(this.#signal);
    this.#bytesWritten += bytes.length;
    const isLarge = bytes.length > STAGING_BYTES / 2;
    // A large piece goes to the file directly, and so only after the small ones before it.
    if (isLarge || this.#pendingBytes + bytes.length > STAGING_BYTES) await this.#flush();
    if (isLarge) {
      await this.#writeAll(bytes);
    } else {
      this.#pending.set(bytes, this.#pendingBytes);
      this.#pendingBytes += bytes.length;
    }
  }

  /** Flushes everything to disk and closes; the file still has its temporary name. */
  async seal(): Promise<void> {
    assert(this.#state === 'open', `${this.path} was sealed twice`);
    await this.#flush();
    throwIfAborted(this.#signal);
    try {
      await this.#handle.sync();
      await this.#handle.close();
    } catch (error) {
      throw fileError(error, 'write', this.path);
    }
    this.#state = 'sealed';
    // A sharded write keeps hundreds of sealed files; none of them needs its buffer any more.
    this.#pending = new Uint8Array(0);
  }

  /** Gives the file its final name, replacing what was there. Seals it first when needed. */
  async commit(): Promise<void> {
    if (this.#state === 'open') await this.seal();
    try {
      await rename(this.#temporaryPath, this.path);
      this.#state = 'ended';
      await syncDirectory(dirname(this.path));
    } catch (error) {
      throw fileError(error, 'write', this.path);
    }
  }

  /** Removes the temporary file. Does nothing after `commit`, and may be called twice. */
  async discard(): Promise<void> {
    if (this.#state === 'ended') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'ended';
    // Closing twice is harmless, and a failed close must not keep the partial file alive.
    if (wasOpen) await Promise.allSettled([this.#handle.close()]);
    await rm(this.#temporaryPath, { force: true });
  }

  async #flush(): Promise<void> {
    const bytes = this.#pending.subarray(0, this.#pendingBytes);
    this.#pendingBytes = 0;
    await this.#writeAll(bytes);
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done);
        done += bytesWritten;
      }
    } catch (error) {
      throw fileError(error, 'write', this.path);
    }
  }
}

/**
 * Writes one file through `body`, whole or not at all.
 *
 * Throws: whatever `body` throws, `FILE_…`, or `CANCELLED` when the signal fires; nothing of the new
 * file is left then.
 */
export async function writeFileAtomically(
  path: string,
  body: (sink: ByteSink) => Promise<void>,
  signal?: AbortSignal,
): Promise<{ bytes: number }> {
  const file = await StagedFile.create(path, signal);
  try {
    await body(file);
    await file.commit();
    return { bytes: file.bytesWritten };
  } finally {
    await file.discard();
  }
}

/** Makes the rename itself durable. Windows has no such call, and its renames are journalled. */
async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

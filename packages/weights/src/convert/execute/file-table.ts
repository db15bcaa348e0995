/** Files of a run by number, opened when first used and closed again when too many are open. Calls are synchronous. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { defined, TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';

/** Well below the 1024 that systems allow a process, with several workers in it. */
const OPEN_MAX = 64;

/** Reads and writes at positions. End it with {@link close}. */
export class FileTable {
  readonly #paths: readonly string[];
  readonly #flags: 'r' | 'r+';
  /** In the order of their last use. */
  readonly #open = new Map<number, number>();

  constructor(paths: readonly string[], flags: 'r' | 'r+') {
    this.#paths = paths;
    this.#flags = flags;
  }

  /**
   * Fills `bytes` from `position` on.
   *
   * Throws: `WEIGHTS_CONVERT_READ` when the system refuses or the file ends before.
   */
  read(file: number, bytes: Uint8Array, position: number): void {
    let done = 0;
    try {
      const handle = this.#handle(file);
      while (done < bytes.length) {
        const count = readSync(handle, bytes, done, bytes.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
    } catch (error) {
      throw ioError('read', this.#pathOf(file), error);
    }
    if (done < bytes.length) throw shortRead(this.#pathOf(file), position, done, bytes.length);
  }

  /** Writes all of `bytes` at `position`. Throws: `WEIGHTS_CONVERT_WRITE`, `WEIGHTS_CONVERT_DISK_FULL`. */
  write(file: number, bytes: Uint8Array, position: number): void {
    try {
      const handle = this.#handle(file);
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(handle, bytes, done, bytes.length - done, position + done);
      }
    } catch (error) {
      throw ioError('write', this.#pathOf(file), error);
    }
  }

  /** Closes every file. */
  close(): void {
    for (const handle of this.#open.values()) closeSync(handle);
    this.#open.clear();
  }

  #pathOf(file: number): string {
    return defined(this.#paths[file], `file ${file}`);
  }

  #handle(file: number): number {
    const known = this.#open.get(file);
    if (known !== undefined) {
      this.#open.delete(file);
      this.#open.set(file, known);
      return known;
    }
    if (this.#open.size >= OPEN_MAX) {
      const [oldest] = this.#open;
      if (oldest !== undefined) {
        this.#open.delete(oldest[0]);
        closeSync(oldest[1]);
      }
    }
    const handle = openSync(this.#pathOf(file), this.#flags);
    this.#open.set(file, handle);
    return handle;
  }
}

function shortRead(path: string, position: number, found: number, wanted: number): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_READ,
    `${path} ended early: wanted ${wanted} bytes at offset ${position}, found ${found}`,
    {
      details: { path, offset: position, wanted, found },
      hint: 'The file was cut or is still being written; copy it again.',
    },
  );
}

/** Translates a failed call of the system; an error that is already ours passes unchanged. */
export function ioError(action: 'read' | 'write', path: string, error: unknown): TuneyardError {
  if (error instanceof TuneyardError) return error;
  const systemCode = (error as NodeJS.ErrnoException).code ?? '';
  const details = { path, systemCode };
  if (systemCode === 'ENOSPC' || systemCode === 'EDQUOT' || systemCode === 'EFBIG') {
    return new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_CONVERT_DISK_FULL,
      `Cannot write ${path}: the disk, its quota or the largest size of a file is reached (${systemCode})`,
      {
        category: 'resource_exhausted',
        details,
        hint: 'Free some space and run the same conversion again: it goes on with the files that are missing.',
        cause: error,
      },
    );
  }
  const code =
    action === 'read' ? WEIGHTS_ERRORS.WEIGHTS_CONVERT_READ : WEIGHTS_ERRORS.WEIGHTS_CONVERT_WRITE;
  const message = error instanceof Error ? error.message : String(error);
  return new TuneyardError(code, `Cannot ${action} ${path}: ${message}`, {
    category: systemCode === 'ENOENT' ? 'not_found' : 'unavailable',
    details,
    cause: error,
  });
}

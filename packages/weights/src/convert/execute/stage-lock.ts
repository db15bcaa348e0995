/** One run at a time per work directory: two would write each other's files. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { ioError } from './file-table.js';

/**
 * Runs `body` while the lock file names this process. A lock left behind by a process that has died is taken over.
 *
 * Throws: `WEIGHTS_CONVERT_BUSY` when a live process of this machine, or another run of this one, holds it.
 */
export async function withStageLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await takeLock(path);
  } catch (error) {
    throw ioError('write', path, error);
  }
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}

async function takeLock(path: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || attempt > 2) throw error;
    }
    const holder = Number(await readFile(path, 'utf8').catch(() => ''));
    if (isAlive(holder)) {
      throw new TuneyardError(
        WEIGHTS_ERRORS.WEIGHTS_CONVERT_BUSY,
        `Process ${holder} is writing the same conversion (${path})`,
        {
          category: 'conflict',
          details: { pid: holder, file: path },
          hint: `Wait for it; if process ${holder} is something else, remove ${path}.`,
        },
      );
    }
    await rm(path, { force: true });
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user cannot be signalled, but it lives.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

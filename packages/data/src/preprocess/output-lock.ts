/** One job at a time per prefix: two would take each other's parts. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/**
 * Runs `body` while the lock file names this process. A lock left behind by a process that has died is taken over.
 *
 * Throws: `DATA_OUTPUT_BUSY` when a live process of this machine holds it; whatever `body` throws.
 */
export async function withOutputLock<T>(path: string, body: () => Promise<T>): Promise<T> {
  await takeLock(path);
  try {
    return await body();
  } finally {
    await rm(path, { force: true });
  }
}

async function takeLock(path: string): Promise<void> {
  const content = String(process.pid);
  const isFree = await tryWrite(path, content);
  if (isFree) return;
  const holder = Number(await readFile(path, 'utf8').catch(() => ''));
  if (isAlive(holder)) {
    throw new TuneyardError(
      DATA_ERRORS.DATA_OUTPUT_BUSY,
      `Process ${holder} is preparing the same files (${path})`,
      { category: 'conflict', details: { pid: holder, file: path } },
    );
  }
  await rm(path, { force: true });
  if (!(await tryWrite(path, content))) await takeLock(path);
}

async function tryWrite(path: string, content: string): Promise<boolean> {
  try {
    await writeFile(path, content, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
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

/**
 * The resumable working directory of a stage, and the lock that gives it to one run at a time.
 *
 * A lock is a file that names its holders; its time stamp is renewed every few seconds, so that neither a
 * dead process nor a reused process id holds it for long.
 */
import { link, mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { SHORT_FINGERPRINT } from '../fingerprint/stage-fingerprint.js';
import { isProcessAlive } from './live-process.js';
import type { Workspace } from './workspace.js';

/** Renewal of a held lock, and the age at which one without renewal counts as left behind. */
const RENEW_MS = 5000;
const STALE_MS = 60_000;
const LOCK_FILE = 'lock';

interface LockContent {
  readonly host: string;
  /** The run, and the process of the stage once started. */
  readonly pids: readonly number[];
  readonly nonce: string;
}

/** The path of a stage's working directory: `runs/work/<stage>-<fingerprint12>`. */
export function workDirOf(workspace: Workspace, kind: string, fingerprint: string): string {
  return path.join(workspace.work, `${kind}-${fingerprint.slice(0, SHORT_FINGERPRINT)}`);
}

/** True when an interrupted run left something to go on with; logs alone are not. */
export async function hasLeftovers(workDir: string): Promise<boolean> {
  const names = await readdir(workDir).catch(() => []);
  return names.some((name) => !name.startsWith(LOCK_FILE) && !name.endsWith('.jsonl'));
}

/** A working directory that this process holds. */
export class WorkDir {
  readonly dir: string;
  readonly #lock: string;
  readonly #nonce: string;
  readonly #renewal: NodeJS.Timeout;

  private constructor(dir: string, nonce: string) {
    this.dir = dir;
    this.#lock = path.join(dir, LOCK_FILE);
    this.#nonce = nonce;
    this.#renewal = setInterval(() => {
      const now = new Date();
      utimes(this.#lock, now, now).catch(() => clearInterval(this.#renewal));
    }, RENEW_MS);
    this.#renewal.unref();
  }

  /** Takes the directory, creating it; null when a live process holds it. */
  static async tryOpen(dir: string): Promise<WorkDir | null> {
    await mkdir(dir, { recursive: true });
    const lock = path.join(dir, LOCK_FILE);
    const nonce = `${process.pid}-${Date.now()}-${Math.random().toString(36).slice(2)}`;
    for (let attempt = 0; attempt < 3; attempt++) {
      if (await createLock(lock, content(nonce, []))) return new WorkDir(dir, nonce);
      if (!(await breakStaleLock(lock, nonce))) return null;
    }
    return null;
  }

  /** Names the process of the stage as a holder: it may outlive the run for a moment. */
  async addHolder(pid: number): Promise<void> {
    const temporary = `${this.#lock}-${process.pid}`;
    const handle = await open(temporary, 'w');
    await handle.writeFile(content(this.#nonce, [pid]));
    await handle.close();
    await rename(temporary, this.#lock);
  }

  /** Gives the directory back; what is in it stays for a later run. */
  async close(): Promise<void> {
    clearInterval(this.#renewal);
    const held = await readLock(this.#lock);
    if (held?.nonce === this.#nonce) await rm(this.#lock, { force: true });
  }

  /** Gives the directory back and removes it with its content. */
  async remove(): Promise<void> {
    clearInterval(this.#renewal);
    await rm(this.dir, { recursive: true, force: true });
  }
}

function content(nonce: string, others: readonly number[]): string {
  const lock: LockContent = { host: hostname(), pids: [process.pid, ...others], nonce };
  return JSON.stringify(lock);
}

/** Creates the lock with its content in one step: a reader never sees an empty one. */
async function createLock(lock: string, text: string): Promise<boolean> {
  const temporary = `${lock}-${process.pid}-${Math.random().toString(36).slice(2)}`;
  const handle = await open(temporary, 'wx');
  await handle.writeFile(text);
  await handle.close();
  try {
    await link(temporary, lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    return false;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Removes the lock if nobody lives behind it; true when it is worth trying again. */
async function breakStaleLock(lock: string, nonce: string): Promise<boolean> {
  const seen = await readLock(lock);
  const facts = await stat(lock).catch(() => null);
  if (facts === null) return true;
  const isQuiet = Date.now() - facts.mtimeMs > STALE_MS;
  const isHere = seen?.host === hostname();
  const isDead = isHere && seen !== null && !seen.pids.some(isProcessAlive);
  if (!isQuiet && !isDead) return false;
  const aside = `${lock}-stale-${nonce}`;
  await rename(lock, aside).catch(() => undefined);
  const taken = await readLock(aside);
  if (taken !== null && taken.nonce !== seen?.nonce) {
    await link(aside, lock).catch(() => undefined);
    await rm(aside, { force: true });
    return false;
  }
  await rm(aside, { force: true });
  return true;
}

async function readLock(lock: string): Promise<LockContent | null> {
  try {
    const parsed = JSON.parse(await readFile(lock, 'utf8')) as Partial<LockContent>;
    const { host, pids, nonce } = parsed;
    if (typeof host !== 'string' || !Array.isArray(pids) || typeof nonce !== 'string') return null;
    return { host, pids, nonce };
  } catch {
    return null;
  }
}

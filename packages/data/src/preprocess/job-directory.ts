/** The working directory of a preprocessing job: it belongs to one job, told by everything its parts depend on. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '@tuneyard/formats';
import type { EncodeInput } from './encode-parts.js';
import type { EncodeSettings } from './encode-settings.js';
import { stampsOf, tokenizerFilesIn } from './file-stamps.js';

/** Raise it when the content of parts changes for the same settings. */
const PARTS_VERSION = 1;
const JOB_FILE = 'job.json';

/** What the parts of a job depend on. */
export interface JobIdentity {
  readonly settings: EncodeSettings;
  readonly inputs: readonly EncodeInput[];
  readonly unitBytes: number;
}

/** A job in its directory. */
interface StoredJob {
  readonly key: string;
  /** Milliseconds since 1970: some templates tell the date, and all parts have to tell the same. */
  readonly startedAt: number;
}

/**
 * Opens the directory for a job: parts of the same job are kept, those of any other are removed. A file counts as
 * the same by path, size and time of change. Returns when the job was started first.
 */
export async function openJobDirectory(workDir: string, job: JobIdentity): Promise<number> {
  const key = await jobKey(job);
  const path = join(workDir, JOB_FILE);
  const found = await readJob(path);
  if (found?.key === key) return found.startedAt;
  await rm(workDir, { recursive: true, force: true });
  await mkdir(workDir, { recursive: true });
  const stored: StoredJob = { key, startedAt: Date.now() };
  await writeFileAtomically(path, (sink) => sink.write(Buffer.from(JSON.stringify(stored))));
  return stored.startedAt;
}

async function readJob(path: string): Promise<StoredJob | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as StoredJob;
  } catch {
    // None there, or not whole: the job begins anew.
    return null;
  }
}

/** File of a part in the working directory. */
export function partPath(workDir: string, dataset: number, index: number): string {
  const number = String(index).padStart(6, '0');
  return join(workDir, `part-${dataset}-${number}.safetensors`);
}

async function jobKey({ settings, inputs, unitBytes }: JobIdentity): Promise<string> {
  const paths = inputs.flatMap(({ files }) => files.map(({ path }) => path));
  const stamps = await stampsOf([...paths, ...(await tokenizerFilesIn(settings.tokenizer))]);
  const identity = { version: PARTS_VERSION, settings, unitBytes, inputs, stamps };
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex');
}

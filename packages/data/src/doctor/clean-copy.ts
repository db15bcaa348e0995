/** Writes a copy of a data set without the rows that should not be trained on. The input is only read. */
import { type FileHandle, open, rm } from 'node:fs/promises';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { isRejection } from '../handlers/conversation.js';
import type { DatasetSpec } from '../handlers/dataset-spec.js';
import type { RowFault } from './data-doctor.js';
import { streamRecords } from './record-stream.js';

/** What {@link writeCleanCopy} did. */
export interface CleanCopyReport {
  readonly path: string;
  readonly kept: number;
  /** Rows left out by the code of their finding. */
  readonly dropped: { readonly [code: string]: number };
}

/** Bytes gathered before they are written. */
const CHUNK_CHARS = 1 << 20;

/**
 * Writes the records that have no fault as JSON Lines, in their order, with all of their fields.
 *
 * Throws: `DATA_BAD_OPTION` when the output exists; the reader's codes. A file that was begun is removed.
 */
export async function writeCleanCopy(
  spec: DatasetSpec,
  faults: readonly RowFault[],
  { path, signal }: { readonly path: string; readonly signal?: AbortSignal },
): Promise<CleanCopyReport> {
  const file = await create(path);
  try {
    const report = await copy(file, {
      spec,
      faults,
      path,
      ...(signal === undefined ? {} : { signal }),
    });
    await file.close();
    return report;
  } catch (error) {
    await file.close();
    await rm(path, { force: true });
    throw error;
  }
}

interface Copy {
  readonly spec: DatasetSpec;
  readonly faults: readonly RowFault[];
  readonly path: string;
  readonly signal?: AbortSignal;
}

async function copy(
  file: FileHandle,
  { spec, faults, path, signal }: Copy,
): Promise<CleanCopyReport> {
  const codes = new Map(faults.map(({ index, code }) => [index, code]));
  const dropped: { [code: string]: number } = {};
  let kept = 0;
  let text = '';
  for await (const { index, record } of streamRecords(spec, signal)) {
    throwIfAborted(signal);
    const code = isRejection(record) ? record.bucket : codes.get(index);
    if (code !== undefined) {
      dropped[code] = (dropped[code] ?? 0) + 1;
      continue;
    }
    text += `${JSON.stringify(record, plainNumber)}\n`;
    kept++;
    if (text.length < CHUNK_CHARS) continue;
    await file.appendFile(text);
    text = '';
  }
  await file.appendFile(text);
  return { path, kept, dropped };
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, `${path} exists already`, {
      category: 'conflict',
      hint: 'Name a new file; nothing is overwritten.',
      cause,
    });
  }
}

/** 64-bit integers of Parquet files become numbers, or text where a number cannot hold them. */
function plainNumber(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
}

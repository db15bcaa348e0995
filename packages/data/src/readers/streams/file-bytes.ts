/** Streams the bytes of a data file, unpacked, in chunks that the consumer may keep. */
import { type FileHandle, open } from 'node:fs/promises';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import type { FileCompression } from '../data-file.js';
import { cannotOpen, fileError } from '../file-errors.js';
import { EXPANSION_FLOOR_BYTES, MAX_EXPANSION, READ_CHUNK_BYTES } from '../limits.js';
import { gunzipChunks } from './gunzip-chunks.js';
import { unzstdChunks } from './unzstd-chunks.js';

/** Opens a data file. Throws: `DATA_FILE_NOT_FOUND` (missing, a folder, a loop of links). */
export async function openDataFile(
  path: string,
): Promise<{ readonly handle: FileHandle; readonly bytes: number }> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw cannotOpen(path, error);
  });
  try {
    const stat = await handle.stat();
    if (stat.isFile()) return { handle, bytes: stat.size };
    const what = stat.isDirectory() ? 'is a directory' : 'is not a regular file';
    throw fileError('DATA_FILE_NOT_FOUND', { file: path }, `the data file ${what}`, {
      category: 'not_found',
      hint: 'Name a data file, or a folder that holds some.',
    });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Streams the bytes of a file as they are when unpacked.
 *
 * Throws: `DATA_FILE_NOT_FOUND`; `DATA_BAD_COMPRESSION`; `DATA_EXPANDS_TOO_MUCH`; `CANCELLED`.
 */
export async function* readFileChunks(
  path: string,
  compression: FileCompression,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  const { handle, bytes } = await openDataFile(path);
  try {
    const packed = rawChunks(handle, path);
    if (compression === 'none') yield* cancellable(packed, signal);
    else {
      const unpacked =
        compression === 'gzip' ? gunzipChunks(packed, path) : unzstdChunks(packed, path);
      yield* cancellable(withinExpansion(unpacked, path, bytes), signal);
    }
  } finally {
    await handle.close();
  }
}

/** Streams the bytes of a text file as {@link readFileChunks} does, without a byte order mark. */
export async function* readTextChunks(
  path: string,
  compression: FileCompression,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  let isFirst = true;
  for await (const chunk of readFileChunks(path, compression, signal)) {
    const hasMark = isFirst && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf;
    isFirst = false;
    yield hasMark ? chunk.subarray(3) : chunk;
  }
}

async function* rawChunks(
  handle: FileHandle,
  path: string,
): AsyncGenerator<Buffer, void, undefined> {
  while (true) {
    const buffer = Buffer.allocUnsafeSlow(READ_CHUNK_BYTES);
    const { bytesRead } = await handle.read(buffer, 0, READ_CHUNK_BYTES, null).catch((error) => {
      throw error instanceof TuneyardError ? error : cannotOpen(path, error);
    });
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

async function* cancellable(
  chunks: AsyncIterable<Buffer>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Buffer, void, undefined> {
  throwIfAborted(signal);
  for await (const chunk of chunks) {
    yield chunk;
    throwIfAborted(signal);
  }
}

async function* withinExpansion(
  chunks: AsyncIterable<Buffer>,
  path: string,
  packedBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  const limit = Math.max(EXPANSION_FLOOR_BYTES, packedBytes * MAX_EXPANSION);
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > limit) {
      throw fileError(
        'DATA_EXPANDS_TOO_MUCH',
        { file: path },
        `its ${packedBytes} bytes become more than ${limit} when they are unpacked`,
        { category: 'resource_exhausted', details: { packedBytes, limit } },
      );
    }
    yield chunk;
  }
}

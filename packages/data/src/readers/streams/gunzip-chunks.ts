/** Unpacks a gzip stream of one or more members, checking lengths and checksums. */
import { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { TuneyardError } from '@tuneyard/core';
import { fileError, systemCode } from '../file-errors.js';
import { READ_CHUNK_BYTES } from '../limits.js';

/**
 * Unpacks gzip; the work is done by the thread pool, and no more than a chunk is unpacked ahead.
 *
 * Throws: `DATA_BAD_COMPRESSION` when the stream is cut off, damaged, or followed by something else.
 */
export async function* gunzipChunks(
  packed: AsyncIterable<Buffer>,
  path: string,
): AsyncGenerator<Buffer, void, undefined> {
  const source = Readable.from(packed, { objectMode: false, highWaterMark: READ_CHUNK_BYTES });
  const gunzip = createGunzip({ chunkSize: READ_CHUNK_BYTES });
  source.on('error', (error) => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) yield chunk as Buffer;
  } catch (error) {
    if (error instanceof TuneyardError) throw error;
    throw badGzip(path, error);
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

function badGzip(path: string, error: unknown): TuneyardError {
  const code = systemCode(error);
  const what = code === 'Z_BUF_ERROR' ? 'the gzip data is cut off' : 'the gzip data is damaged';
  return fileError('DATA_BAD_COMPRESSION', { file: path }, what, {
    details: { zlibCode: code ?? 'unknown' },
    hint: 'Fetch or write the file again; `gzip -t` tells whether it is whole.',
    cause: error,
  });
}

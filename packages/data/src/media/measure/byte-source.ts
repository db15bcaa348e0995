/** One way to read a medium, be it a file or bytes of a record. */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';

/** Bytes with a length that is known before they are read. */
export interface ByteSource {
  readonly bytes: number;
  /** A file's path; absent when the bytes are in memory. */
  readonly path?: string;
  /** Up to `length` bytes at `offset`; fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Opens a regular file; throws the system's error, or `EISDIR`/`EINVAL` for what is no file. */
export async function openFileSource(path: string): Promise<ByteSource> {
  // Without O_NONBLOCK, opening a named pipe waits for a writer for ever.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) {
      const code = facts.isDirectory() ? 'EISDIR' : 'EINVAL';
      throw Object.assign(new Error(`${path} is not a file`), { code });
    }
    return fileSource(handle, path, facts.size);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function fileSource(handle: FileHandle, path: string, bytes: number): ByteSource {
  return {
    bytes,
    path,
    async read(offset, length) {
      const wanted = Math.max(0, Math.min(length, bytes - offset));
      const buffer = new Uint8Array(wanted);
      let done = 0;
      while (done < wanted) {
        const { bytesRead } = await handle.read(buffer, done, wanted - done, offset + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return buffer.subarray(0, done);
    },
    close: () => handle.close(),
  };
}

/** Bytes already in memory. */
export function memorySource(content: Uint8Array): ByteSource {
  return {
    bytes: content.byteLength,
    read: (offset, length) => Promise.resolve(content.subarray(offset, offset + length)),
    close: () => Promise.resolve(),
  };
}

/**
 * SHA-256 of a medium's content, lower-case hexadecimal, read in pieces of 1 MiB.
 *
 * Throws: the signal's reason when it is aborted.
 */
export async function hashMedia(source: ByteSource, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < source.bytes; ) {
    signal?.throwIfAborted();
    const piece = await source.read(at, HASH_PIECE_BYTES);
    if (piece.length === 0) break;
    hash.update(piece);
    at += piece.length;
  }
  return hash.digest('hex');
}

const HASH_PIECE_BYTES = 1024 * 1024;

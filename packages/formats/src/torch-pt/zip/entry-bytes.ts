/** Reads and checks the bytes of entries. */
import { inflateRawSync } from 'node:zlib';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { crc32 } from '../kernels/crc32.js';
import { type FileWindow, readWindow } from './file-window.js';
import type { ZipEntry } from './read-directory.js';

/** Bytes per read of a check. */
const CHECK_BYTES = 4 * 2 ** 20;

/**
 * Reads an entry whole, decompressed, with its checksum checked.
 *
 * Throws: `TORCH_ARCHIVE_INFLATED_SIZE`, `TORCH_ARCHIVE_CRC_MISMATCH`.
 */
export async function readEntry(window: FileWindow, entry: ZipEntry): Promise<Uint8Array> {
  const stored = await readWindow(window, entry.begin, entry.storedBytes);
  const bytes = entry.isDeflated ? inflate(window, entry, stored) : stored;
  checkCrc(window, entry, crc32(bytes));
  return bytes;
}

/** Checks the checksum of an entry without holding it. Throws: as {@link readEntry}, `CANCELLED`. */
export async function verifyEntry(
  window: FileWindow,
  entry: ZipEntry,
  signal?: AbortSignal,
): Promise<void> {
  if (entry.isDeflated) {
    await readEntry(window, entry);
    return;
  }
  const piece = new Uint8Array(Math.min(CHECK_BYTES, entry.storedBytes));
  let crc = 0;
  for (let done = 0; done < entry.storedBytes; done += piece.length) {
    throwIfAborted(signal);
    const part = piece.subarray(0, Math.min(piece.length, entry.storedBytes - done));
    await window.file.readExact(part, window.begin + entry.begin + done);
    crc = crc32(part, crc);
  }
  checkCrc(window, entry, crc);
}

function inflate(window: FileWindow, entry: ZipEntry, stored: Buffer): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = inflateRawSync(stored, { maxOutputLength: Math.max(1, entry.byteLength) });
  } catch (error) {
    throw badSize(window, entry, 'cannot be decompressed to the size that it declares', error);
  }
  if (bytes.length === entry.byteLength) return bytes;
  throw badSize(window, entry, `grows to ${bytes.length} bytes, it declares ${entry.byteLength}`);
}

/** torch can be told not to compute checksums and then writes zero for each. */
function checkCrc(window: FileWindow, entry: ZipEntry, found: number): void {
  if (found === entry.crc32 || entry.crc32 === 0) return;
  throw new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_CRC_MISMATCH,
    `${window.where}: entry ${quoteName(entry.name)} has the checksum ${hex(found)}, the archive says ${hex(entry.crc32)}`,
    { details: { entry: entry.name }, hint: 'The file is damaged; get it again.' },
  );
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, '0');
}

function badSize(
  window: FileWindow,
  entry: ZipEntry,
  problem: string,
  cause?: unknown,
): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_INFLATED_SIZE,
    `${window.where}: entry ${quoteName(entry.name)} ${problem}`,
    { details: { entry: entry.name }, cause },
  );
}

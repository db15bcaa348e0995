/** Reads the list of entries of a ZIP file and checks it against the headers in front of the entries. */
import { isUtf8 } from 'node:buffer';
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { MAX_INFLATED_BYTES, MAX_INFLATION } from '../limits.js';
import { findDirectory } from './end-of-directory.js';
import { type FileWindow, RecordReader, readWindow } from './file-window.js';
import { EXTRA_ZIP64, FLAG, MAX_U16, MAX_U32, METHOD, RECORD_BYTES, SIGNATURE } from './layout.js';

/** One entry. */
export interface ZipEntry {
  readonly name: string;
  /** Offset of the entry's header, and of its data, in the window. */
  readonly headerAt: number;
  readonly begin: number;
  /** Bytes in the file, and after decompression. */
  readonly storedBytes: number;
  readonly byteLength: number;
  readonly isDeflated: boolean;
  readonly crc32: number;
}

interface ListedEntry extends Omit<ZipEntry, 'begin'> {
  readonly flags: number;
  readonly method: number;
}

/**
 * The entries by name, in the order of their bytes.
 *
 * Throws: `TORCH_ARCHIVE_…`. Cost: the list, and one small read per entry.
 */
export async function readDirectory(window: FileWindow): Promise<ReadonlyMap<string, ZipEntry>> {
  const place = await findDirectory(window);
  const bytes = await readWindow(window, place.begin, place.byteLength);
  const listed = parseList(bytes, place.count, window);
  listed.sort((a, b) => a.headerAt - b.headerAt);
  const entries = new Map<string, ZipEntry>();
  const records = new RecordReader(window);
  let end = 0;
  for (const entry of listed) {
    if (entry.headerAt < end) throw overlap(window, entry, end);
    if (entry.headerAt > end) throw hole(window, { from: end, to: entry.headerAt });
    const found = await readLocal(records, entry, place.begin);
    end = found.end;
    if (entries.has(entry.name)) throw badName(window, entry.name, 'appears twice');
    entries.set(entry.name, found.entry);
  }
  if (end !== place.begin) throw hole(window, { from: end, to: place.begin });
  return entries;
}

function parseList(bytes: Buffer, count: number, window: FileWindow): ListedEntry[] {
  const entries: ListedEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (bytes.length - at < RECORD_BYTES.central) throw cutList(window, i);
    if (bytes.readUInt32LE(at) !== SIGNATURE.central) throw cutList(window, i);
    const nameBytes = bytes.readUInt16LE(at + 28);
    const extraBytes = bytes.readUInt16LE(at + 30);
    const commentBytes = bytes.readUInt16LE(at + 32);
    const next = at + RECORD_BYTES.central + nameBytes + extraBytes + commentBytes;
    if (next > bytes.length) throw cutList(window, i);
    entries.push(parseListed(bytes.subarray(at, next), window));
    at = next;
  }
  if (at !== bytes.length)
    throw badList(window, `${bytes.length - at} bytes follow the last entry`);
  return entries;
}

function parseListed(record: Buffer, window: FileWindow): ListedEntry {
  const nameEnd = RECORD_BYTES.central + record.readUInt16LE(28);
  const name = nameOf(record.subarray(RECORD_BYTES.central, nameEnd), window);
  const extra = record.subarray(nameEnd, nameEnd + record.readUInt16LE(30));
  const flags = record.readUInt16LE(8);
  const method = record.readUInt16LE(10);
  if (record.readUInt16LE(34) !== 0) throw badEntry(window, name, 'lies on another disk');
  checkKind(window, { name, flags, method });
  const wide = wideFields(extra, [
    record.readUInt32LE(24),
    record.readUInt32LE(20),
    record.readUInt32LE(42),
  ]);
  const [byteLength, storedBytes, headerAt] = wide ?? [];
  if (byteLength === undefined || storedBytes === undefined || headerAt === undefined) {
    throw badEntry(window, name, 'has no 64-bit sizes where it says so');
  }
  const isDeflated = method === METHOD.deflated;
  checkSizes(window, { name, isDeflated, byteLength, storedBytes });
  const crc = record.readUInt32LE(16);
  return { name, headerAt, storedBytes, byteLength, isDeflated, crc32: crc, flags, method };
}

/**
 * Replaces the fields at maximum by those of the 64-bit extra field, where they stand in the same order.
 * Null when one is missing or the extra fields do not fit their lengths.
 */
function wideFields(extra: Buffer, fields: readonly number[]): number[] | null {
  let wide: Buffer | null = null;
  for (let at = 0; at < extra.length; ) {
    if (extra.length - at < 4) return null;
    const end = at + 4 + extra.readUInt16LE(at + 2);
    if (end > extra.length) return null;
    if (extra.readUInt16LE(at) === EXTRA_ZIP64) wide ??= extra.subarray(at + 4, end);
    at = end;
  }
  const values: number[] = [];
  let at = 0;
  for (const field of fields) {
    if (field !== MAX_U32) {
      values.push(field);
      continue;
    }
    if (wide === null || wide.length - at < 8) return null;
    values.push(Number(wide.readBigUInt64LE(at)));
    at += 8;
  }
  return values;
}

function checkKind(
  window: FileWindow,
  { name, flags, method }: { name: string; flags: number; method: number },
): void {
  const secret = FLAG.encrypted | FLAG.strongEncryption | FLAG.masked;
  if ((flags & secret) !== 0) throw badEntry(window, name, 'is encrypted');
  if ((flags & FLAG.patched) !== 0) throw badEntry(window, name, 'is a patch to another file');
  if (method !== METHOD.stored && method !== METHOD.deflated) {
    throw badEntry(window, name, `is compressed by method ${method}, which is not supported`);
  }
}

function checkSizes(
  window: FileWindow,
  entry: { name: string; isDeflated: boolean; byteLength: number; storedBytes: number },
): void {
  const { name, isDeflated, byteLength, storedBytes } = entry;
  if (storedBytes > window.size) {
    throw badEntry(window, name, `has ${storedBytes} bytes, more than the file`);
  }
  if (!isDeflated && byteLength !== storedBytes) {
    throw badEntry(window, name, `is stored, but has ${storedBytes} bytes for ${byteLength}`);
  }
  const allowed = Math.min(MAX_INFLATED_BYTES, storedBytes * MAX_INFLATION);
  if (isDeflated && byteLength > allowed) {
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_INFLATED_SIZE,
      `${window.where}: entry ${quoteName(name)} of ${storedBytes} compressed bytes declares ${byteLength}; ` +
        `the limit is ${allowed}`,
      { details: { entry: name, byteLength, allowed } },
    );
  }
}

/** Reads the header in front of an entry; gives the entry and the offset of the byte after it. */
async function readLocal(
  records: RecordReader,
  listed: ListedEntry,
  limit: number,
): Promise<{ entry: ZipEntry; end: number }> {
  const { window } = records;
  const { name, headerAt, storedBytes } = listed;
  if (headerAt + RECORD_BYTES.local > limit) throw badEntry(window, name, 'lies past the end');
  const header = await records.read(headerAt, RECORD_BYTES.local);
  if (header.readUInt32LE(0) !== SIGNATURE.local) throw badEntry(window, name, 'has no header');
  const nameBytes = header.readUInt16LE(26);
  const extraBytes = header.readUInt16LE(28);
  const begin = headerAt + RECORD_BYTES.local + nameBytes + extraBytes;
  const dataEnd = begin + storedBytes;
  if (dataEnd > limit) throw badEntry(window, name, 'lies past the end');
  const rest = await records.read(headerAt + RECORD_BYTES.local, nameBytes + extraBytes);
  checkLocal(window, { listed, header, rest, nameBytes });
  const end = dataEnd + (await descriptorBytes(records, { listed, dataEnd, limit }));
  const { isDeflated, byteLength, crc32 } = listed;
  return { entry: { name, headerAt, begin, storedBytes, byteLength, isDeflated, crc32 }, end };
}

function checkLocal(
  window: FileWindow,
  local: { listed: ListedEntry; header: Buffer; rest: Buffer; nameBytes: number },
): void {
  const { listed, header, rest, nameBytes } = local;
  const isSame =
    header.readUInt16LE(6) === listed.flags &&
    header.readUInt16LE(8) === listed.method &&
    rest.toString('utf8', 0, nameBytes) === listed.name;
  if (!isSame) throw badEntry(window, listed.name, 'differs from what the list of entries says');
  const sizes = wideFields(rest.subarray(nameBytes), [
    header.readUInt32LE(22),
    header.readUInt32LE(18),
  ]);
  if (sizes === null) throw badEntry(window, listed.name, 'has malformed extra fields');
  const [byteLength, storedBytes] = sizes;
  const isLater = (listed.flags & FLAG.descriptor) !== 0;
  const isAbsent = isLater && byteLength === 0 && storedBytes === 0;
  if (!isAbsent && (byteLength !== listed.byteLength || storedBytes !== listed.storedBytes)) {
    throw badEntry(window, listed.name, 'has another size in its header than in the list');
  }
  const crc = header.readUInt32LE(14);
  if (crc !== listed.crc32 && !(isLater && crc === 0)) {
    throw badEntry(window, listed.name, 'has another checksum in its header than in the list');
  }
}

/** Bytes of the record after the data that repeats checksum and sizes; 0 without one. */
async function descriptorBytes(
  records: RecordReader,
  place: { listed: ListedEntry; dataEnd: number; limit: number },
): Promise<number> {
  const { listed, dataEnd, limit } = place;
  if ((listed.flags & FLAG.descriptor) === 0) return 0;
  const byteLength = Math.min(RECORD_BYTES.descriptor64, limit - dataEnd);
  const bytes = await records.read(dataEnd, byteLength);
  // Its signature may be missing, and its sizes may have 32 or 64 bits; what fits the list decides.
  for (const signature of [4, 0]) {
    for (const width of [4, 8] as const) {
      const end = signature + 4 + 2 * width;
      if (end > byteLength) continue;
      if (signature === 4 && bytes.readUInt32LE(0) !== SIGNATURE.descriptor) continue;
      if (isDescriptor(bytes.subarray(signature, end), width, listed)) return end;
    }
  }
  throw badEntry(records.window, listed.name, 'is not followed by the sizes that the list gives');
}

function isDescriptor(bytes: Buffer, width: 4 | 8, listed: ListedEntry): boolean {
  const sizeAt = (at: number): number =>
    width === 4 ? bytes.readUInt32LE(at) : Number(bytes.readBigUInt64LE(at));
  return (
    bytes.readUInt32LE(0) === listed.crc32 &&
    sizeAt(4) === listed.storedBytes &&
    sizeAt(4 + width) === listed.byteLength
  );
}

/** Names are relative paths with forward slashes, valid UTF-8, without ways out. */
function nameOf(bytes: Buffer, window: FileWindow): string {
  const name = bytes.toString('utf8');
  if (!isUtf8(bytes)) throw badName(window, name, 'is not valid UTF-8');
  if (name.length === 0 || bytes.length === MAX_U16) throw badName(window, name, 'is empty');
  if (name.startsWith('/') || /^[A-Za-z]:/.test(name)) throw badName(window, name, 'is absolute');
  if (/[\\\p{Cc}]/u.test(name)) throw badName(window, name, 'has a control character or \\');
  const parts = name.replace(/\/$/, '').split('/');
  if (parts.some((part) => part === '..' || part === '.' || part === '')) {
    throw badName(window, name, 'leads out of its directory');
  }
  return name;
}

function badName(window: FileWindow, name: string, problem: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_NAME,
    `${window.where}: the entry name ${quoteName(name)} ${problem}`,
    { details: { entry: name } },
  );
}

function badEntry(window: FileWindow, name: string, problem: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_ENTRY,
    `${window.where}: entry ${quoteName(name)} ${problem}`,
    { details: { entry: name } },
  );
}

function badList(window: FileWindow, problem: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_DIRECTORY,
    `${window.where}: the list of entries is malformed: ${problem}`,
  );
}

function cutList(window: FileWindow, index: number): TuneyardError {
  return badList(window, `entry ${index} is cut or is none`);
}

function overlap(window: FileWindow, entry: ListedEntry, end: number): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_OFFSETS_OVERLAP,
    `${window.where}: entry ${quoteName(entry.name)} begins at byte ${entry.headerAt}, inside the entry that ends ` +
      `at ${end}`,
    { details: { entry: entry.name, begin: entry.headerAt, end } },
  );
}

function hole(window: FileWindow, { from, to }: { from: number; to: number }): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_OFFSETS_HOLE,
    `${window.where}: bytes ${from} to ${to} belong to no entry`,
    { details: { from, to } },
  );
}

/**
 * Finds the list of entries of a ZIP file from the records at its end.
 *
 * Two programs that read one ZIP differently are how hostile archives hide things, so whatever could be read in
 * two ways is refused: two possible ends, bytes before the first entry, parts on other disks.
 */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { MAX_DIRECTORY_BYTES } from '../limits.js';
import { type FileWindow, readWindow } from './file-window.js';
import { MAX_U16, MAX_U32, RECORD_BYTES, SIGNATURE } from './layout.js';

/** Where the list of entries lies, and how many there are. */
export interface DirectoryPlace {
  readonly begin: number;
  readonly byteLength: number;
  readonly count: number;
}

interface EndRecord extends DirectoryPlace {
  /** Offset of the record itself. */
  readonly at: number;
  readonly disk: number;
  readonly startDisk: number;
  readonly countHere: number;
}

/** Throws: `TORCH_ARCHIVE_NO_DIRECTORY`, `TORCH_ARCHIVE_BAD_DIRECTORY`. Cost: at most 64 KiB read. */
export async function findDirectory(window: FileWindow): Promise<DirectoryPlace> {
  const tailBytes = Math.min(window.size, RECORD_BYTES.end + MAX_U16);
  const tailStart = window.size - tailBytes;
  const tail = await readWindow(window, tailStart, tailBytes);
  const end = parseEnd(tail, tailStart, window);
  const end64 = await readEnd64(window, end);
  const place = end64 ?? end;
  if (place.disk !== 0 || place.startDisk !== 0 || place.countHere !== place.count) {
    throw bad(window, 'the ZIP is one of several parts');
  }
  if (place.begin + place.byteLength !== place.at) {
    throw bad(
      window,
      `the list of entries should end at byte ${place.at}, it ends at ${place.begin + place.byteLength}`,
    );
  }
  if (place.byteLength > MAX_DIRECTORY_BYTES) {
    throw bad(
      window,
      `the list of entries has ${place.byteLength} bytes; the limit is ${MAX_DIRECTORY_BYTES}`,
    );
  }
  if (place.count * RECORD_BYTES.central > place.byteLength) {
    throw bad(window, `${place.count} entries do not fit a list of ${place.byteLength} bytes`);
  }
  return { begin: place.begin, byteLength: place.byteLength, count: place.count };
}

/** The end record is the one whose comment reaches exactly to the end of the file. */
function parseEnd(tail: Buffer, tailStart: number, window: FileWindow): EndRecord {
  const found: number[] = [];
  for (let at = tail.length - RECORD_BYTES.end; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== SIGNATURE.end) continue;
    if (at + RECORD_BYTES.end + tail.readUInt16LE(at + 20) === tail.length) found.push(at);
  }
  const [at] = found;
  if (at === undefined) {
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_NO_DIRECTORY,
      `${window.where} starts like a torch archive, but has no list of entries at its end`,
      {
        details: { size: window.size },
        hint: 'The file was cut or its download did not finish; get it again.',
      },
    );
  }
  if (found.length > 1) throw bad(window, 'the comment at its end could be taken for another end');
  return {
    at: tailStart + at,
    disk: tail.readUInt16LE(at + 4),
    startDisk: tail.readUInt16LE(at + 6),
    countHere: tail.readUInt16LE(at + 8),
    count: tail.readUInt16LE(at + 10),
    byteLength: tail.readUInt32LE(at + 12),
    begin: tail.readUInt32LE(at + 16),
  };
}

/** The 64-bit end record, when there is one; its numbers must agree with those of the other that are not at maximum. */
async function readEnd64(window: FileWindow, end: EndRecord): Promise<EndRecord | null> {
  const locatorAt = end.at - RECORD_BYTES.locator64;
  const at = locatorAt - RECORD_BYTES.end64;
  if (at < 0) return refuseMissing64(window, end);
  const records = await readWindow(window, at, RECORD_BYTES.end64 + RECORD_BYTES.locator64);
  const locator = records.subarray(RECORD_BYTES.end64);
  if (locator.readUInt32LE(0) !== SIGNATURE.locator64) return refuseMissing64(window, end);
  if (locator.readUInt32LE(4) !== 0 || locator.readUInt32LE(16) > 1) {
    throw bad(window, 'the ZIP is one of several parts');
  }
  const isInPlace = locator.readBigUInt64LE(8) === BigInt(at);
  const isRightSize = records.readBigUInt64LE(4) === BigInt(RECORD_BYTES.end64 - 12);
  if (!isInPlace || !isRightSize || records.readUInt32LE(0) !== SIGNATURE.end64) {
    throw bad(window, 'its 64-bit end record is not where it should be');
  }
  const end64: EndRecord = {
    at,
    disk: records.readUInt32LE(16),
    startDisk: records.readUInt32LE(20),
    countHere: safe(window, records.readBigUInt64LE(24)),
    count: safe(window, records.readBigUInt64LE(32)),
    byteLength: safe(window, records.readBigUInt64LE(40)),
    begin: safe(window, records.readBigUInt64LE(48)),
  };
  const agrees =
    (end.count === MAX_U16 || end.count === end64.count) &&
    (end.countHere === MAX_U16 || end.countHere === end64.countHere) &&
    (end.byteLength === MAX_U32 || end.byteLength === end64.byteLength) &&
    (end.begin === MAX_U32 || end.begin === end64.begin) &&
    (end.disk === MAX_U16 || end.disk === end64.disk) &&
    (end.startDisk === MAX_U16 || end.startDisk === end64.startDisk);
  if (!agrees) throw bad(window, 'its two end records contradict each other');
  return end64;
}

function refuseMissing64(window: FileWindow, end: EndRecord): null {
  if (end.count === MAX_U16 || end.byteLength === MAX_U32 || end.begin === MAX_U32) {
    throw bad(window, 'its end record refers to a 64-bit one that is missing');
  }
  return null;
}

function safe(window: FileWindow, value: bigint): number {
  if (value > BigInt(window.size)) throw bad(window, `its end record names byte ${value}`);
  return Number(value);
}

function bad(window: FileWindow, message: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_DIRECTORY,
    `${window.where} (${window.size} bytes): ${message}`,
    { details: { size: window.size } },
  );
}

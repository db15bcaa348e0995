/**
 * Formats the records of a ZIP file as torch's writer does: everything about sizes before the data, checksums after.
 *
 * Headers hold no checksum and no size, so that they can be written first; a record after the data and the list at
 * the end have both. Source: caffe2/serialize/inline_container.cc and miniz 2 as bundled with torch 2.13.
 */
import {
  DATA_ALIGNMENT,
  EXTRA_PADDING,
  EXTRA_ZIP64,
  FLAG,
  MAX_U16,
  MAX_U32,
  PADDING_BYTE,
  RECORD_BYTES,
  SIGNATURE,
} from '../zip/layout.js';

/** Version fields of the 64-bit end record: made by 3.0 on Unix, needs 4.5. */
const END64_VERSIONS = { madeBy: 0x031e, needed: 0x2d } as const;

/** An entry with its place. */
export interface PlacedEntry {
  readonly name: string;
  readonly headerAt: number;
  readonly header: Uint8Array;
  /** Offset of the data, a multiple of 64. */
  readonly begin: number;
  readonly byteLength: number;
  /** Offset of the byte after the entry and its descriptor. */
  readonly end: number;
}

/** Places an entry at `headerAt`. */
export function placeEntry(name: string, byteLength: number, headerAt: number): PlacedEntry {
  const nameBytes = Buffer.from(name, 'utf8');
  const wide = wideExtra({ byteLength, headerAt });
  const unpadded = headerAt + RECORD_BYTES.local + nameBytes.length + wide.length + 4;
  const begin = Math.ceil(unpadded / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  const header = Buffer.alloc(begin - headerAt);
  header.writeUInt32LE(SIGNATURE.local, 0);
  header.writeUInt16LE(flagsOf(byteLength), 6);
  header.writeUInt16LE(nameBytes.length, 26);
  header.writeUInt16LE(header.length - RECORD_BYTES.local - nameBytes.length, 28);
  header.set(nameBytes, RECORD_BYTES.local);
  // torch does not know yet how much it will store, so that the second of the two sizes is zero here.
  if (byteLength >= MAX_U32) wide.fill(0, 12, 20);
  header.set(wide, RECORD_BYTES.local + nameBytes.length);
  const paddingAt = unpadded - headerAt;
  header.writeUInt16LE(EXTRA_PADDING, paddingAt - 4);
  header.writeUInt16LE(begin - unpadded, paddingAt - 2);
  header.fill(PADDING_BYTE, paddingAt);
  const end = begin + byteLength + descriptorBytes(byteLength, wide.length > 0);
  return { name, headerAt, header, begin, byteLength, end };
}

/** The record after the data; empty for an empty entry. */
export function formatDescriptor(entry: PlacedEntry, crc: number): Uint8Array {
  const { byteLength, begin, end } = entry;
  const bytes = Buffer.alloc(end - begin - byteLength);
  if (bytes.length === 0) return bytes;
  bytes.writeUInt32LE(SIGNATURE.descriptor, 0);
  bytes.writeUInt32LE(crc, 4);
  if (bytes.length === RECORD_BYTES.descriptor) {
    bytes.writeUInt32LE(byteLength, 8);
    bytes.writeUInt32LE(byteLength, 12);
  } else {
    bytes.writeBigUInt64LE(BigInt(byteLength), 8);
    bytes.writeBigUInt64LE(BigInt(byteLength), 16);
  }
  return bytes;
}

/** The list of entries and the end records, which begin at the end of the last entry. */
export function formatDirectory(
  entries: readonly PlacedEntry[],
  crcOf: (entry: PlacedEntry) => number,
): Uint8Array {
  const begin = entries.at(-1)?.end ?? 0;
  const records = entries.map((entry) => formatListed(entry, crcOf(entry)));
  const list = Buffer.concat(records);
  return Buffer.concat([
    list,
    formatEnd({ begin, byteLength: list.length, count: entries.length }),
  ]);
}

/** Bytes that {@link formatDirectory} gives. */
export function directoryBytes(entries: readonly PlacedEntry[]): number {
  const listed = entries.reduce((sum, entry) => sum + formatListed(entry, 0).length, 0);
  return listed + RECORD_BYTES.end64 + RECORD_BYTES.locator64 + RECORD_BYTES.end;
}

function formatListed(entry: PlacedEntry, crc: number): Buffer {
  const { name, headerAt, byteLength } = entry;
  const nameBytes = Buffer.from(name, 'utf8');
  const wide = wideExtra({ byteLength, headerAt });
  const record = Buffer.alloc(RECORD_BYTES.central + nameBytes.length + wide.length);
  record.writeUInt32LE(SIGNATURE.central, 0);
  record.writeUInt16LE(flagsOf(byteLength), 8);
  record.writeUInt32LE(crc, 16);
  record.writeUInt32LE(Math.min(byteLength, MAX_U32), 20);
  record.writeUInt32LE(Math.min(byteLength, MAX_U32), 24);
  record.writeUInt16LE(nameBytes.length, 28);
  record.writeUInt16LE(wide.length, 30);
  record.writeUInt32LE(Math.min(headerAt, MAX_U32), 42);
  record.set(nameBytes, RECORD_BYTES.central);
  record.set(wide, RECORD_BYTES.central + nameBytes.length);
  return record;
}

/** torch always writes the 64-bit end record, whether or not it is needed. */
function formatEnd(place: { begin: number; byteLength: number; count: number }): Buffer {
  const { begin, byteLength, count } = place;
  const bytes = Buffer.alloc(RECORD_BYTES.end64 + RECORD_BYTES.locator64 + RECORD_BYTES.end);
  bytes.writeUInt32LE(SIGNATURE.end64, 0);
  bytes.writeBigUInt64LE(BigInt(RECORD_BYTES.end64 - 12), 4);
  bytes.writeUInt16LE(END64_VERSIONS.madeBy, 12);
  bytes.writeUInt16LE(END64_VERSIONS.needed, 14);
  bytes.writeBigUInt64LE(BigInt(count), 24);
  bytes.writeBigUInt64LE(BigInt(count), 32);
  bytes.writeBigUInt64LE(BigInt(byteLength), 40);
  bytes.writeBigUInt64LE(BigInt(begin), 48);
  const locator = bytes.subarray(RECORD_BYTES.end64);
  locator.writeUInt32LE(SIGNATURE.locator64, 0);
  locator.writeBigUInt64LE(BigInt(begin + byteLength), 8);
  locator.writeUInt32LE(1, 16);
  const end = locator.subarray(RECORD_BYTES.locator64);
  end.writeUInt32LE(SIGNATURE.end, 0);
  end.writeUInt16LE(Math.min(count, MAX_U16), 8);
  end.writeUInt16LE(Math.min(count, MAX_U16), 10);
  end.writeUInt32LE(Math.min(byteLength, MAX_U32), 12);
  end.writeUInt32LE(Math.min(begin, MAX_U32), 16);
  return bytes;
}

/** The 64-bit extra field with those numbers that need it; empty when none does. */
function wideExtra({ byteLength, headerAt }: { byteLength: number; headerAt: number }): Buffer {
  const fields: number[] = [];
  if (byteLength >= MAX_U32) fields.push(byteLength, byteLength);
  if (headerAt >= MAX_U32) fields.push(headerAt);
  if (fields.length === 0) return Buffer.alloc(0);
  const bytes = Buffer.alloc(4 + 8 * fields.length);
  bytes.writeUInt16LE(EXTRA_ZIP64, 0);
  bytes.writeUInt16LE(8 * fields.length, 2);
  for (const [i, field] of fields.entries()) bytes.writeBigUInt64LE(BigInt(field), 4 + 8 * i);
  return bytes;
}

function descriptorBytes(byteLength: number, isWide: boolean): number {
  if (byteLength === 0) return 0;
  return isWide ? RECORD_BYTES.descriptor64 : RECORD_BYTES.descriptor;
}

function flagsOf(byteLength: number): number {
  return byteLength === 0 ? FLAG.utf8 : FLAG.utf8 | FLAG.descriptor;
}

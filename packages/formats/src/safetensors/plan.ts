/** Decides what bytes a safetensors file or a set of shards will have, before anything is written. */
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { checkEntryData, type EntryData, type SizedEntry } from '../io/entry-data.js';
import { quoteName } from '../io/quote-name.js';
import {
  DATA_ALIGNMENT,
  isSafetensorsDtype,
  LENGTH_BYTES,
  METADATA_KEY,
  SAFETENSORS_DTYPE_BITS,
  SINGLE_FILE_NAME,
  type TensorSpec,
  tensorByteLength,
} from './layout.js';
import { MAX_HEADER_BYTES, MAX_SHARDS } from './limits.js';

/** A tensor to be written. */
export interface SafetensorsEntry extends TensorSpec {
  /** The bytes, or a function that produces them when their turn comes. */
  readonly data: EntryData;
}

/** An entry with its checked size. */
export interface PlannedEntry extends SafetensorsEntry, SizedEntry {}

/** One file to be written. */
export interface SafetensorsFilePlan {
  /** Length field and JSON, padded so that the data start at a multiple of eight. */
  readonly header: Uint8Array;
  /** Entries in the order of their bytes. */
  readonly entries: readonly PlannedEntry[];
}

/** One shard: its file name and the entries that go into it. */
export interface ShardPlan {
  readonly fileName: string;
  readonly entries: readonly SafetensorsEntry[];
}

/**
 * Plans one file.
 *
 * Wider element types come first, otherwise the given order is kept: with the data start at a multiple
 * of eight, that puts every tensor on a multiple of its element size, so that readers can map it.
 *
 * Throws: `SAFETENSORS_BAD_NAME`, `SAFETENSORS_UNKNOWN_DTYPE`, `SAFETENSORS_SHAPE_OVERFLOW`,
 * `SAFETENSORS_NOT_WHOLE_BYTES`, `SAFETENSORS_HEADER_TOO_LARGE`, `FILE_ENTRY_SIZE_MISMATCH`.
 */
export function planSafetensorsFile(
  entries: readonly SafetensorsEntry[],
  metadata: Readonly<Record<string, string>>,
  where: string,
): SafetensorsFilePlan {
  checkNames(entries, where);
  const planned = entries.map((entry) => ({
    ...entry,
    byteLength: checkedByteLength(entry, where),
  }));
  planned.sort((a, b) => SAFETENSORS_DTYPE_BITS[b.dtype] - SAFETENSORS_DTYPE_BITS[a.dtype]);
  for (const entry of planned) checkEntryData(entry);
  return { header: formatHeader(planned, metadata, where), entries: planned };
}

/**
 * Divides entries among shards: in order, a new shard when the next tensor would pass `maxShardBytes`
 * (a single tensor may). One shard is named `model.safetensors`.
 *
 * Throws: `SAFETENSORS_BAD_SHARD_SIZE`.
 */
export function planShards(
  entries: readonly SafetensorsEntry[],
  maxShardBytes: number,
): readonly ShardPlan[] {
  if (!(maxShardBytes > 0)) throw badShardSize(`a shard of ${maxShardBytes} bytes holds nothing`);
  const shards: SafetensorsEntry[][] = [[]];
  let used = 0;
  for (const entry of entries) {
    const byteLength = checkedByteLength(entry, 'Output');
    if (used > 0 && used + byteLength > maxShardBytes) {
      shards.push([]);
      used = 0;
    }
    shards.at(-1)?.push(entry);
    used += byteLength;
  }
  if (shards.length > MAX_SHARDS) throw badShardSize(`it would give ${shards.length} shards`);
  return shards.map((shard, index) => ({
    fileName: shardName(index, shards.length),
    entries: shard,
  }));
}

/** Refuses names that a reader could not tell apart. */
export function checkNames(entries: readonly SafetensorsEntry[], where: string): void {
  const seen = new Set<string>();
  for (const { name } of entries) {
    const problem = problemOfName(name, seen);
    if (problem !== null) {
      throw new TuneyardError(
        SAFETENSORS_ERRORS.SAFETENSORS_BAD_NAME,
        `${where}: the tensor name ${quoteName(name)} ${problem}`,
        { category: 'internal', details: { tensor: name } },
      );
    }
    seen.add(name);
  }
}

function problemOfName(name: string, seen: ReadonlySet<string>): string | null {
  if (name === METADATA_KEY) return 'is reserved by the format';
  if (seen.has(name)) return 'is used twice';
  return /\p{Surrogate}/u.test(name) ? 'is not valid Unicode' : null;
}

function checkedByteLength(entry: SafetensorsEntry, where: string): number {
  if (!isSafetensorsDtype(entry.dtype)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_UNKNOWN_DTYPE,
      `${where}: tensor ${quoteName(entry.name)} has the unknown dtype ${quoteName(String(entry.dtype))}`,
      { category: 'internal', details: { tensor: entry.name } },
    );
  }
  return tensorByteLength(entry, where);
}

function formatHeader(
  entries: readonly PlannedEntry[],
  metadata: Readonly<Record<string, string>>,
  where: string,
): Uint8Array {
  // The text is joined by hand because an object would move names such as "0" to the front.
  const fields: string[] = [];
  if (Object.keys(metadata).length > 0) {
    fields.push(`${JSON.stringify(METADATA_KEY)}:${JSON.stringify(metadata)}`);
  }
  let begin = 0;
  for (const { name, dtype, shape, byteLength } of entries) {
    const end = begin + byteLength;
    fields.push(
      `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [begin, end] })}`,
    );
    begin = end;
  }
  const json = Buffer.from(`{${fields.join(',')}}`);
  const jsonBytes = Math.ceil(json.length / DATA_ALIGNMENT) * DATA_ALIGNMENT;
  if (jsonBytes > MAX_HEADER_BYTES || !Number.isSafeInteger(begin)) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_HEADER_TOO_LARGE,
      `${where}: ${entries.length} tensors need a header of ${jsonBytes} bytes; the limit is ${MAX_HEADER_BYTES}`,
      { details: { jsonBytes } },
    );
  }
  const header = new Uint8Array(LENGTH_BYTES + jsonBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(jsonBytes), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

function shardName(index: number, count: number): string {
  if (count === 1) return SINGLE_FILE_NAME;
  const digits = (n: number): string => String(n).padStart(5, '0');
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function badShardSize(reason: string): TuneyardError {
  return new TuneyardError(
    SAFETENSORS_ERRORS.SAFETENSORS_BAD_SHARD_SIZE,
    `The shard size cannot be used: ${reason}`,
  );
}

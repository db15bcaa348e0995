/** Writes GGUF files of version 3 without ever holding more than one piece of one tensor. */
import { GGML_TYPES, isGgmlTypeName, TuneyardError } from '@tuneyard/core';
import { GGUF_ERRORS } from '../errors.js';
import {
  checkEntryData,
  type EntryData,
  type SizedEntry,
  writeEntryData,
} from '../io/entry-data.js';
import { quoteName } from '../io/quote-name.js';
import { writeFileAtomically } from '../io/staged-file.js';
import { alignmentOf } from './header.js';
import { HeaderBuilder } from './header-builder.js';
import {
  ALIGNMENT_KEY,
  alignUp,
  checkAlignment,
  MAGIC,
  type TensorSpec,
  tensorByteLength,
  WRITTEN_VERSION,
} from './layout.js';
import {
  MAX_ALIGNMENT,
  MAX_DIMENSIONS,
  MAX_KEY_BYTES,
  MAX_KEYS,
  MAX_TENSOR_NAME_BYTES,
  MAX_TENSORS,
} from './limits.js';
import type { GgufValue } from './value.js';

/** A tensor to be written. */
export interface GgufEntry extends TensorSpec {
  /** The bytes, or a function that produces them when their turn comes. */
  readonly data: EntryData;
}

/** What a GGUF file is to hold. */
export interface WriteGgufOptions {
  /** Written in this order. */
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Written in this order. */
  readonly tensors: readonly GgufEntry[];
  /** Default: `general.alignment` of the metadata, else 32. Another one is added to the metadata. */
  readonly alignment?: number;
  readonly signal?: AbortSignal;
}

/** An entry with its checked size. */
interface PlannedEntry extends GgufEntry, SizedEntry {}

/** A file to be written: its header with padding, then the entries, each padded. */
interface GgufPlan {
  readonly header: Uint8Array;
  readonly entries: readonly PlannedEntry[];
  readonly alignment: number;
}

/**
 * Writes one file, whole or not at all.
 *
 * The same input gives the same bytes; rewriting what a reader gave for a version 3 file reproduces it,
 * when its tensors are listed in the order of their data.
 *
 * Throws: `GGUF_…` for input that no reader would take, `FILE_…`, `CANCELLED`.
 */
export async function writeGguf(
  path: string,
  options: WriteGgufOptions,
): Promise<{ bytes: number }> {
  const { header, entries, alignment } = planGguf(options, path);
  const padding = new Uint8Array(alignment);
  return await writeFileAtomically(
    path,
    async (sink) => {
      await sink.write(header);
      for (const entry of entries) {
        await writeEntryData(sink, entry);
        const over = sink.bytesWritten % alignment;
        if (over > 0) await sink.write(padding.subarray(over));
      }
    },
    options.signal,
  );
}

function planGguf(options: WriteGgufOptions, path: string): GgufPlan {
  const { metadata, alignment } = planMetadata(options, path);
  const entries = planEntries(options.tensors, path);
  const builder = new HeaderBuilder();
  builder.u32(MAGIC);
  builder.u32(WRITTEN_VERSION);
  builder.u64(entries.length);
  builder.u64(metadata.size);
  for (const [key, value] of metadata) {
    const at = `${path}: metadata key ${quoteName(key)}`;
    builder.text(key, at);
    builder.value(value, at);
  }
  let offset = 0;
  for (const { name, shape, type, byteLength } of entries) {
    builder.text(name, path);
    builder.u32(shape.length);
    for (const dimension of shape) builder.u64(dimension);
    builder.u32(GGML_TYPES[type].code);
    builder.u64(offset);
    offset = alignUp(offset + byteLength, alignment);
  }
  builder.pad(alignment);
  return { header: builder.bytes(), entries, alignment };
}

function planMetadata(
  { metadata, alignment }: WriteGgufOptions,
  path: string,
): { metadata: ReadonlyMap<string, GgufValue>; alignment: number } {
  for (const key of metadata.keys()) {
    const byteLength = Buffer.byteLength(key);
    if (byteLength >= 1 && byteLength <= MAX_KEY_BYTES) continue;
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_BAD_KEY,
      `${path}: the metadata key ${quoteName(key)} has ${byteLength} bytes; 1 to ${MAX_KEY_BYTES} are allowed`,
      { category: 'internal' },
    );
  }
  checkCount('metadata keys', metadata.size, MAX_KEYS, path);
  const named = alignmentOf(metadata, path);
  if (alignment === undefined || alignment === named) return { metadata, alignment: named };
  if (metadata.has(ALIGNMENT_KEY)) {
    throw new TuneyardError(
      GGUF_ERRORS.GGUF_BAD_ALIGNMENT,
      `${path}: alignment ${alignment} was asked for, but ${ALIGNMENT_KEY} says ${named}`,
      { category: 'internal', details: { alignment, named } },
    );
  }
  checkAlignment(alignment, MAX_ALIGNMENT, path);
  const value: GgufValue = { type: 'u32', value: alignment };
  return { metadata: new Map([...metadata, [ALIGNMENT_KEY, value]]), alignment };
}

function planEntries(tensors: readonly GgufEntry[], path: string): readonly PlannedEntry[] {
  checkCount('tensors', tensors.length, MAX_TENSORS, path);
  const seen = new Set<string>();
  return tensors.map((tensor) => {
    checkSpec(tensor, path);
    if (seen.has(tensor.name)) {
      throw badEntry(GGUF_ERRORS.GGUF_DUPLICATE_TENSOR, tensor, path, 'is given twice');
    }
    seen.add(tensor.name);
    const planned = { ...tensor, byteLength: tensorByteLength(tensor, path) };
    checkEntryData(planned);
    return planned;
  });
}

function checkSpec(tensor: GgufEntry, path: string): void {
  const nameBytes = Buffer.byteLength(tensor.name);
  if (nameBytes > MAX_TENSOR_NAME_BYTES) {
    const reason = `has a name of ${nameBytes} bytes; ggml takes ${MAX_TENSOR_NAME_BYTES}`;
    throw badEntry(GGUF_ERRORS.GGUF_BAD_TENSOR_NAME, tensor, path, reason);
  }
  if (!isGgmlTypeName(tensor.type)) {
    throw badEntry(GGUF_ERRORS.GGUF_UNKNOWN_TENSOR_TYPE, tensor, path, 'has an unknown type');
  }
  const isShape = tensor.shape.every((dimension) => Number.isInteger(dimension) && dimension >= 0);
  if (!isShape || tensor.shape.length > MAX_DIMENSIONS) {
    const reason = `has the shape [${tensor.shape.join(', ')}]; up to ${MAX_DIMENSIONS} counts are allowed`;
    throw badEntry(GGUF_ERRORS.GGUF_BAD_DIMENSIONS, tensor, path, reason);
  }
}

function checkCount(what: string, count: number, max: number, path: string): void {
  if (count <= max) return;
  throw new TuneyardError(
    GGUF_ERRORS.GGUF_COUNT_TOO_LARGE,
    `${path}: ${count} ${what} are above the limit of ${max}`,
    { details: { count, max } },
  );
}

function badEntry(code: string, tensor: GgufEntry, path: string, reason: string): TuneyardError {
  return new TuneyardError(code, `${path}: tensor ${quoteName(tensor.name)} ${reason}`, {
    category: 'internal',
    details: { tensor: tensor.name },
  });
}

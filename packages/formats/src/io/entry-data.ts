/**
 * Bytes of one entry to be written: at hand, or produced when their turn comes, so that a file larger
 * than memory can be written.
 */
import { TuneyardError } from '@tuneyard/core';
import { FILE_ERRORS } from '../errors.js';
import type { ByteSink } from './staged-file.js';

/** Bytes at hand, or a function called once, when the entry's turn comes. */
export type EntryData = Uint8Array | (() => AsyncIterable<Uint8Array> | Promise<Uint8Array>);

/** An entry with the size that its shape and type ask for. */
export interface SizedEntry {
  readonly name: string;
  readonly byteLength: number;
  readonly data: EntryData;
}

/**
 * Appends the bytes of one entry.
 *
 * Throws: `FILE_ENTRY_SIZE_MISMATCH` when the data are longer or shorter than `entry.byteLength`;
 * a producer that runs over is stopped at the first piece too many.
 */
export async function writeEntryData(sink: ByteSink, entry: SizedEntry): Promise<void> {
  const start = sink.bytesWritten;
  for await (const piece of piecesOf(entry.data)) {
    const produced = sink.bytesWritten - start + piece.length;
    if (produced > entry.byteLength) throw sizeMismatch(entry, `at least ${produced}`);
    await sink.write(piece);
  }
  const produced = sink.bytesWritten - start;
  if (produced !== entry.byteLength) throw sizeMismatch(entry, `${produced}`);
}

/** Checks bytes at hand before anything is written; lazily produced data are checked as they come. */
export function checkEntryData(entry: SizedEntry): void {
  if (entry.data instanceof Uint8Array && entry.data.length !== entry.byteLength) {
    throw sizeMismatch(entry, `${entry.data.length}`);
  }
}

async function* piecesOf(data: EntryData): AsyncGenerator<Uint8Array> {
  if (data instanceof Uint8Array) {
    yield data;
    return;
  }
  const produced = data();
  if (Symbol.asyncIterator in produced) yield* produced;
  else yield await produced;
}

function sizeMismatch(entry: SizedEntry, found: string): TuneyardError {
  return new TuneyardError(
    FILE_ERRORS.FILE_ENTRY_SIZE_MISMATCH,
    `Tensor ${entry.name} must have ${entry.byteLength} bytes, but its data have ${found}`,
    { category: 'internal', details: { tensor: entry.name, byteLength: entry.byteLength } },
  );
}

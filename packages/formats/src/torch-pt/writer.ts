/** Writes torch archives from start to end. */
import { parse } from 'node:path';
import { type EntryData, writeEntryData } from '../io/entry-data.js';
import { type ByteSink, writeFileAtomically } from '../io/staged-file.js';
import { crc32 } from './kernels/crc32.js';
import {
  crcOf,
  type PlannedEntry,
  type PlanTorchArchiveOptions,
  planTorchArchive,
  type TorchArchivePlan,
} from './plan-archive.js';
import type { TorchStorage, TorchValue } from './value.js';
import { formatDescriptor } from './write/zip-records.js';

/** Options of {@link writeTorchArchive}. */
export interface WriteTorchArchiveOptions extends Omit<PlanTorchArchiveOptions, 'root'> {
  readonly signal?: AbortSignal;
}

/** Gives the bytes of a storage; `name` is the key path of the first tensor that covers all of it. */
export type StorageData = (storage: TorchStorage, name: string) => EntryData;

/**
 * Writes one archive, whole or not at all.
 *
 * The same value and bytes give the same file. Throws: as `planTorchArchive`, `FILE_…`, `CANCELLED`.
 */
export async function writeTorchArchive(
  path: string,
  root: TorchValue,
  data: StorageData,
  options: WriteTorchArchiveOptions = {},
): Promise<{ bytes: number }> {
  const { signal, archiveName = parse(path).name, ...rest } = options;
  const plan = planTorchArchive({ root, archiveName, ...rest });
  return await writeFileAtomically(path, (sink) => writePlan(sink, plan, data), signal);
}

async function writePlan(sink: ByteSink, plan: TorchArchivePlan, data: StorageData): Promise<void> {
  const storageOf = new Map([...plan.names].map(([storage, name]) => [name, storage]));
  const crcs = new Map<string, number>();
  for (const entry of plan.entries) {
    await sink.write(entry.place.header);
    const content = entry.content(crcs);
    if (content !== null) await sink.write(content);
    else await writeStorage(sink, entry, { storageOf, data, crcs });
    const descriptor = formatDescriptor(entry.place, crcOf(entry, crcs));
    if (descriptor.length > 0) await sink.write(descriptor);
  }
  await sink.write(plan.directory(crcs));
}

async function writeStorage(
  sink: ByteSink,
  { range, place }: PlannedEntry,
  source: {
    readonly storageOf: ReadonlyMap<string, TorchStorage>;
    readonly data: StorageData;
    readonly crcs: Map<string, number>;
  },
): Promise<void> {
  const storage = range === null ? undefined : source.storageOf.get(range);
  if (storage === undefined || range === null) return;
  const summing = new SummingSink(sink);
  const entry = { name: range, byteLength: place.byteLength, data: source.data(storage, range) };
  await writeEntryData(summing, entry);
  source.crcs.set(range, summing.crc);
}

/** Passes bytes on and keeps their checksum. */
class SummingSink implements ByteSink {
  readonly #sink: ByteSink;
  crc = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  get bytesWritten(): number {
    return this.#sink.bytesWritten;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.crc = crc32(bytes, this.crc);
    await this.#sink.write(bytes);
  }
}

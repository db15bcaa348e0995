/** Decides every byte of a torch archive but those of its tensors, before anything is written. */
import { assert, defined, TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../errors.js';
import type { ByteRange, FileSkeleton, FixedBytes } from '../io/file-skeleton.js';
import { quoteName } from '../io/quote-name.js';
import { TORCH_DTYPES } from './dtypes.js';
import { crc32 } from './kernels/crc32.js';
import { formatPickle, type WrittenProtocol } from './pickle/pickle-writer.js';
import { flattenTensors, KEY_SEPARATOR } from './read/flatten-tensors.js';
import { isRowMajor } from './read/tensor-bytes.js';
import type { TorchStorage, TorchValue } from './value.js';
import { serializationId } from './write/serialization-id.js';
import {
  directoryBytes,
  formatDescriptor,
  formatDirectory,
  type PlacedEntry,
  placeEntry,
} from './write/zip-records.js';
import { DATA_ALIGNMENT } from './zip/layout.js';

/** Options of {@link planTorchArchive}. */
export interface PlanTorchArchiveOptions {
  readonly root: TorchValue;
  /** Directory within the archive; torch takes the stem of the file's name. Default `archive`. */
  readonly archiveName?: string;
  /** Default 2, which is what torch writes and the only one that it loads as weights alone. */
  readonly protocol?: WrittenProtocol;
  /** Mark by which caches know the file. Default: made from the entries. */
  readonly serializationId?: string;
}

/** Plan of an archive. */
export interface TorchArchivePlan extends FileSkeleton {
  /**
   * Name in {@link FileSkeleton.tensors} of the range of each storage: the key path of the first tensor that covers all
   * of it; for a storage that no tensor covers, a name that starts with U+001F.
   */
  readonly names: ReadonlyMap<TorchStorage, string>;
  /** Entries in order, for whoever writes from start to end. */
  readonly entries: readonly PlannedEntry[];
  /** The list of entries at the end of the file. */
  directory(crcs: ReadonlyMap<string, number>): Uint8Array;
}

/** One entry: bytes that the plan knows, or a range of {@link FileSkeleton.tensors}. */
export interface PlannedEntry {
  readonly place: PlacedEntry;
  /** Bytes from the plan, some of which depend on the checksums; null for those of a storage. */
  content(crcs: ReadonlyMap<string, number>): Uint8Array | null;
  /** Name of the range of a storage; null for other entries. */
  readonly range: string | null;
}

/**
 * Plans an archive as `torch.save` lays it out.
 *
 * Throws: `TORCH_ARCHIVE_BAD_VALUE`, `TORCH_PICKLE_DUPLICATE_KEY`, `TORCH_PICKLE_LIMIT`.
 * Cost: the pickle in memory.
 */
export function planTorchArchive(options: PlanTorchArchiveOptions): TorchArchivePlan {
  const { root, archiveName = 'archive', protocol = 2 } = options;
  checkArchiveName(archiveName);
  const names = namesOfStorages(root);
  const pickle = formatPickle(root, protocol);
  const entries: PlannedEntry[] = [];
  let at = 0;
  const add = (name: string, byteLength: number, rest: Omit<PlannedEntry, 'place'>): void => {
    const place = placeEntry(`${archiveName}/${name}`, byteLength, at);
    entries.push({ place, ...rest });
    at = place.end;
  };
  const addBytes = (name: string, bytes: Uint8Array): void =>
    add(name, bytes.length, { content: () => bytes, range: null });
  addBytes('data.pkl', pickle.bytes);
  addBytes('.format_version', Buffer.from('1'));
  addBytes('.storage_alignment', Buffer.from(String(DATA_ALIGNMENT)));
  addBytes('byteorder', Buffer.from('little'));
  const tensors = new Map<string, ByteRange>();
  for (const [key, storage] of pickle.storages.entries()) {
    const range = names.get(storage) ?? `${KEY_SEPARATOR}storage${KEY_SEPARATOR}${key}`;
    names.set(storage, range);
    add(`data/${key}`, storage.byteLength, { content: () => null, range });
    const { begin, byteLength } = defined(entries.at(-1), 'the entry just added').place;
    tensors.set(range, { begin, byteLength });
  }
  addBytes('version', Buffer.from('3\n'));
  addIdentity(entries, add, options.serializationId);
  return skeletonOf(entries, { tensors, names, at });
}

/** The last entry, whose content depends on all others. */
function addIdentity(
  entries: readonly PlannedEntry[],
  add: (name: string, byteLength: number, rest: Omit<PlannedEntry, 'place'>) => void,
  given: string | undefined,
): void {
  const before = [...entries];
  const content = (crcs: ReadonlyMap<string, number>): Uint8Array => {
    const hashed = before.map((entry) => ({
      name: entry.place.name.slice(entry.place.name.indexOf('/') + 1),
      byteLength: entry.place.byteLength,
      crc: crcOf(entry, crcs),
    }));
    return Buffer.from(given ?? serializationId(hashed), 'latin1');
  };
  add('.data/serialization_id', given?.length ?? 40, { content, range: null });
}

function skeletonOf(
  entries: readonly PlannedEntry[],
  plan: {
    tensors: ReadonlyMap<string, ByteRange>;
    names: ReadonlyMap<TorchStorage, string>;
    at: number;
  },
): TorchArchivePlan {
  const { tensors, names, at } = plan;
  const places = entries.map((entry) => entry.place);
  const directory = (crcs: ReadonlyMap<string, number>): Uint8Array => {
    const crcOfPlace = new Map(entries.map((entry) => [entry.place, crcOf(entry, crcs)]));
    return formatDirectory(places, (place) => defined(crcOfPlace.get(place), place.name));
  };
  const fixed = (crcs: ReadonlyMap<string, number> = new Map()): FixedBytes[] => {
    const parts: FixedBytes[] = [];
    for (const entry of entries) {
      const { headerAt, header, begin, byteLength } = entry.place;
      const content = entry.content(crcs);
      parts.push({ at: headerAt, bytes: header });
      if (content !== null) parts.push({ at: begin, bytes: content });
      const descriptor = formatDescriptor(entry.place, crcOf(entry, crcs));
      if (descriptor.length > 0) parts.push({ at: begin + byteLength, bytes: descriptor });
    }
    parts.push({ at, bytes: directory(crcs) });
    return joined(parts);
  };
  const size = at + directoryBytes(places);
  return { size, tensors, needsCrc: true, fixed, names, entries, directory };
}

/** Parts that touch become one, so that whoever writes them makes few calls. */
function joined(parts: readonly FixedBytes[]): FixedBytes[] {
  const groups: { at: number; end: number; pieces: Uint8Array[] }[] = [];
  for (const { at, bytes } of parts) {
    const last = groups.at(-1);
    if (last?.end === at) {
      last.pieces.push(bytes);
      last.end += bytes.length;
    } else {
      groups.push({ at, end: at + bytes.length, pieces: [bytes] });
    }
  }
  return groups.map(({ at, pieces }) => ({ at, bytes: Buffer.concat(pieces) }));
}

/** CRC-32 of an entry's bytes. */
export function crcOf(entry: PlannedEntry, crcs: ReadonlyMap<string, number>): number {
  const content = entry.content(crcs);
  if (content !== null) return crc32(content);
  assert(entry.range !== null, 'an entry has neither bytes nor a range');
  if (entry.place.byteLength === 0) return 0;
  return defined(crcs.get(entry.range), `the checksum of ${quoteName(entry.range)}`);
}

/** The first tensor that is the whole of its storage gives the storage its name. */
function namesOfStorages(root: TorchValue): Map<TorchStorage, string> {
  const names = new Map<TorchStorage, string>();
  for (const [name, { value }] of flattenTensors(root, 'The value to be written')) {
    const { storage, shape, storageOffset } = value;
    if (names.has(storage) || storageOffset !== 0 || !isRowMajor(value)) continue;
    const elements = shape.reduce((product, length) => product * length, 1);
    const isWhole = elements * (TORCH_DTYPES.get(value.dtype)?.bytes ?? 1) === storage.byteLength;
    if (isWhole) names.set(storage, name);
  }
  return names;
}

function checkArchiveName(name: string): void {
  const isPlain = name.length > 0 && name !== '.' && name !== '..' && !/[/\\\p{Cc}]/u.test(name);
  if (isPlain && !/\p{Surrogate}/u.test(name)) return;
  throw new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_VALUE,
    `An archive cannot be named ${quoteName(name)}`,
    { category: 'internal', details: { archiveName: name } },
  );
}

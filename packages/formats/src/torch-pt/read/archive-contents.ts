/** What both kinds of torch files give: the value, and where its storages lie. */
import type { TorchValue } from '../value.js';
import type { ZipEntry } from '../zip/read-directory.js';

/** Where the bytes of a storage lie. */
export interface StoragePlace {
  /** Absolute offset in the file of the first byte, as stored. */
  readonly begin: number;
  /** Bytes of the storage. */
  readonly byteLength: number;
  /** The entry, when the bytes are compressed. */
  readonly deflated: ZipEntry | null;
}

/** A torch file read but for its tensors. */
export interface ArchiveContents {
  readonly root: TorchValue;
  /** Pickle protocol. */
  readonly protocol: number;
  /** First part of the names in a ZIP; empty for the older kind. */
  readonly archiveName: string;
  /** What the writer put in for caches to know the file by; null without one. */
  readonly serializationId: string | null;
  /** By storage key. */
  readonly places: ReadonlyMap<string, StoragePlace>;
  /** Entries of a ZIP; empty for the older kind. */
  readonly entries: ReadonlyMap<string, ZipEntry>;
}

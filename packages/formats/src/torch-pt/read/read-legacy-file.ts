/**
 * Reads the files that torch.save wrote before version 1.6, and still writes on request: five pickles one after
 * the other (magic number, version, system, value, storage keys), then each storage with its length in front.
 *
 * Source: `_legacy_save` in torch/serialization.py of torch 2.13. Checked against: test/fixtures/torch.
 */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { MAX_PICKLE_BYTES } from '../limits.js';
import { type ParsedPickle, parsePickle } from '../pickle/pickle-reader.js';
import { StorageTable } from '../pickle/storage-table.js';
import type { TorchValue } from '../value.js';
import { type FileWindow, readWindow } from '../zip/file-window.js';
import type { ArchiveContents, StoragePlace } from './archive-contents.js';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const VERSION = 1001;
const FIRST_BYTES = 64 * 1024;
const GROWTH = 4;

interface Pickles {
  readonly root: ParsedPickle;
  readonly keys: TorchValue;
  readonly storages: StorageTable;
  /** Offset in the window of the byte after the pickles. */
  readonly end: number;
}

/** First bytes of such a file: protocol 2, then the magic number. */
export const LEGACY_START = Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex');

/** Throws: `TORCH_ARCHIVE_…`, `TORCH_PICKLE_…`. Cost: twice the pickles, and one small read per storage. */
export async function readLegacyFile(window: FileWindow): Promise<ArchiveContents> {
  const { root, keys, storages, end } = await readPickles(window);
  const places = new Map<string, StoragePlace>();
  let at = end;
  for (const key of keysOf(keys, window)) {
    const storage = storages.byKey.get(key);
    if (storage === undefined || places.has(key)) {
      throw mismatch(window, `storage ${quoteName(key)} is listed, but no tensor is in it`);
    }
    const length = (await readWindow(window, at, 8)).readBigInt64LE(0);
    if (length !== BigInt(storage.numel)) {
      throw mismatch(
        window,
        `storage ${quoteName(key)} has ${length} elements, its tensors need ${storage.numel}`,
      );
    }
    const begin = at + 8;
    at = begin + storage.byteLength;
    if (at > window.size) {
      throw mismatch(window, `storage ${quoteName(key)} ends at byte ${at} of ${window.size}`);
    }
    places.set(key, {
      begin: window.begin + begin,
      byteLength: storage.byteLength,
      deflated: null,
    });
  }
  for (const key of storages.byKey.keys()) {
    if (!places.has(key)) throw mismatch(window, `storage ${quoteName(key)} is not in the file`);
  }
  if (at !== window.size) throw mismatch(window, `${window.size - at} bytes follow the storages`);
  const { value, protocol } = root;
  return {
    root: value,
    protocol,
    archiveName: '',
    serializationId: null,
    places,
    entries: new Map(),
  };
}

/** The length of the pickles is known only at their end, so the part that is read grows until they fit. */
async function readPickles(window: FileWindow): Promise<Pickles> {
  for (let wanted = FIRST_BYTES; ; wanted *= GROWTH) {
    const byteLength = Math.min(wanted, window.size, MAX_PICKLE_BYTES);
    const bytes = await readWindow(window, 0, byteLength);
    try {
      return parsePickles(bytes, window);
    } catch (error) {
      const isCut =
        error instanceof TuneyardError && error.code === TORCH_ERRORS.TORCH_PICKLE_TRUNCATED;
      if (!isCut || byteLength === window.size || byteLength === MAX_PICKLE_BYTES) throw error;
    }
  }
}

function parsePickles(bytes: Uint8Array, window: FileWindow): Pickles {
  const { where } = window;
  const magic = parsePickle(bytes, { where });
  const version = parsePickle(bytes, { where, start: magic.end });
  const system = parsePickle(bytes, { where, start: version.end });
  if (magic.value !== MAGIC || version.value !== VERSION) {
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_BAD_MAGIC,
      `${where} does not have the magic number and version of a torch file`,
    );
  }
  checkByteOrder(system.value, window);
  const storages = new StorageTable(where);
  const root = parsePickle(bytes, { where, start: system.end, storages });
  const keys = parsePickle(bytes, { where, start: root.end });
  return { root, keys: keys.value, storages, end: keys.end };
}

function checkByteOrder(system: TorchValue, window: FileWindow): void {
  if (system !== null && typeof system === 'object' && system.kind === 'dict') {
    const entry = system.entries.find(([key]) => key === 'little_endian');
    if (entry?.[1] === true) return;
  }
  throw new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_WRONG_BYTE_ORDER,
    `${window.where} does not say that it is little-endian; other files are not read`,
  );
}

function keysOf(value: TorchValue, window: FileWindow): readonly string[] {
  if (value !== null && typeof value === 'object' && value.kind === 'list') {
    const { items } = value;
    if (items.every((item) => typeof item === 'string')) return items;
  }
  throw mismatch(window, 'the list of storages is not a list of keys');
}

function mismatch(window: FileWindow, message: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_STORAGE_MISMATCH,
    `${window.where}: ${message}`,
  );
}

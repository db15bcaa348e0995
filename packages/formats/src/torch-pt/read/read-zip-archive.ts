/**
 * Reads a torch archive: a ZIP with `data.pkl`, and a file `data/<key>` for each storage, all in one directory.
 *
 * Source: torch/serialization.py and caffe2/serialize/inline_container.cc of torch 2.13; archives since 1.4 are alike.
 */
import { TuneyardError } from '@tuneyard/core';
import { TORCH_ERRORS } from '../../errors.js';
import { quoteName } from '../../io/quote-name.js';
import { MAX_PICKLE_BYTES } from '../limits.js';
import { parsePickle } from '../pickle/pickle-reader.js';
import { StorageTable } from '../pickle/storage-table.js';
import { readEntry } from '../zip/entry-bytes.js';
import type { FileWindow } from '../zip/file-window.js';
import { readDirectory, type ZipEntry } from '../zip/read-directory.js';
import type { ArchiveContents, StoragePlace } from './archive-contents.js';

const MAX_SMALL_ENTRY_BYTES = 256;

/** Format versions that torch has written; 3 for plain values, more with operators of TorchScript. */
const MAX_FORMAT_VERSION = 10;

/** Throws: `TORCH_ARCHIVE_…`, `TORCH_PICKLE_…`. Cost: the pickle, the list, and one small read per entry. */
export async function readZipArchive(window: FileWindow): Promise<ArchiveContents> {
  const entries = await readDirectory(window);
  const archiveName = archiveNameOf(entries, window);
  const entry = (name: string): ZipEntry | undefined => entries.get(`${archiveName}/${name}`);
  if (entry('constants.pkl') !== undefined) {
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_UNSUPPORTED,
      `${window.where} is a TorchScript program; its code is not read`,
      { hint: 'Save the state_dict of the module with torch.save and use that file.' },
    );
  }
  checkVersion(await smallText(window, entry('version')), window);
  checkByteOrder(await smallText(window, entry('byteorder')), window);
  const pickleEntry = entry('data.pkl');
  if (pickleEntry === undefined || pickleEntry.byteLength > MAX_PICKLE_BYTES) {
    throw badLayout(window, `data.pkl has more than ${MAX_PICKLE_BYTES} bytes`);
  }
  const storages = new StorageTable(window.where);
  const bytes = await readEntry(window, pickleEntry);
  const { value, protocol, end } = parsePickle(bytes, { where: window.where, storages });
  if (end !== bytes.length) {
    throw badLayout(window, `${bytes.length - end} bytes follow the pickle in data.pkl`);
  }
  const places = new Map<string, StoragePlace>();
  for (const [key, { byteLength }] of storages.byKey) {
    places.set(key, placeOf(window, { key, byteLength, entry: entry(`data/${key}`) }));
  }
  const serializationId = await smallText(window, entry('.data/serialization_id'));
  return { root: value, protocol, archiveName, serializationId, places, entries };
}

/** The directory that holds everything: the one with `data.pkl`. */
function archiveNameOf(entries: ReadonlyMap<string, ZipEntry>, window: FileWindow): string {
  const names = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  const [name] = names;
  if (name === undefined) {
    throw badLayout(window, 'no entry <name>/data.pkl is in the ZIP');
  }
  if (names.length > 1) throw badLayout(window, 'several archives are in the ZIP');
  return name.slice(0, name.indexOf('/'));
}

function checkVersion(text: string | null, window: FileWindow): void {
  if (text === null) throw badLayout(window, 'the entry "version" is missing');
  const version = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (version < 1 || version > MAX_FORMAT_VERSION) {
    throw badLayout(
      window,
      `the format version is ${quoteName(text)}; known are 1 to ${MAX_FORMAT_VERSION}`,
    );
  }
}

/** Archives before torch 2.1 do not tell their byte order; all known ones are little-endian. */
function checkByteOrder(text: string | null, window: FileWindow): void {
  if (text === null || text === 'little') return;
  if (text !== 'big') throw badLayout(window, `the byte order is ${quoteName(text)}`);
  throw new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_WRONG_BYTE_ORDER,
    `${window.where} was written on a big-endian machine; only little-endian archives are read`,
    { hint: 'Load it there with torch.load and save it with safetensors.' },
  );
}

async function smallText(window: FileWindow, entry: ZipEntry | undefined): Promise<string | null> {
  if (entry === undefined) return null;
  if (entry.byteLength > MAX_SMALL_ENTRY_BYTES) {
    throw badLayout(
      window,
      `entry ${quoteName(entry.name)} has ${entry.byteLength} bytes; the limit is ${MAX_SMALL_ENTRY_BYTES}`,
    );
  }
  const bytes = await readEntry(window, entry);
  return Buffer.from(bytes).toString('latin1').trim();
}

function placeOf(
  window: FileWindow,
  storage: { key: string; byteLength: number; entry: ZipEntry | undefined },
): StoragePlace {
  const { key, byteLength, entry } = storage;
  if (entry === undefined || entry.byteLength !== byteLength) {
    const found = entry === undefined ? 'none is there' : `it has ${entry.byteLength}`;
    throw new TuneyardError(
      TORCH_ERRORS.TORCH_ARCHIVE_STORAGE_MISMATCH,
      `${window.where}: storage ${quoteName(key)} needs an entry of ${byteLength} bytes, ${found}`,
      { details: { storage: key, byteLength } },
    );
  }
  const deflated = entry.isDeflated ? entry : null;
  return { begin: window.begin + entry.begin, byteLength, deflated };
}

function badLayout(window: FileWindow, message: string): TuneyardError {
  return new TuneyardError(
    TORCH_ERRORS.TORCH_ARCHIVE_BAD_LAYOUT,
    `${window.where} is not a torch archive: ${message}`,
  );
}

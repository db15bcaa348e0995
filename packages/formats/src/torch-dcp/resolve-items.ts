/**
 * Finds the bytes of every entry: files exist, ranges lie inside of them, no two share a byte.
 *
 * Some writers put safetensors into files named `.distcp` and leave offsets in the metadata that mean nothing; there
 * the header of the file says where a tensor lies.
 */
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS, FILE_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { RandomAccessFile } from '../io/random-access-file.js';
import type { DcpChunk, DcpItem, DcpObject, DcpTensor } from './checkpoint.js';
import { type Box, type DcpMetadata, type StorageInfo, storageKey } from './metadata.js';
import { readShard, type ShardPart } from './safetensors-shards.js';

/** Entries of a checkpoint with their places. */
export interface ResolvedEntries {
  readonly tensors: readonly DcpTensor[];
  readonly objects: readonly DcpObject[];
}

/** A file of items: safetensors, or a sequence of archives. */
interface ItemFile {
  readonly path: string;
  readonly size: number;
  /** Parts of tensors by name, when the file is safetensors. */
  readonly parts: ReadonlyMap<string, ShardPart> | null;
  /** Ranges taken so far. */
  readonly ranges: {
    readonly name: string;
    readonly offset: number;
    readonly byteLength: number;
  }[];
}

/**
 * Resolves all entries.
 *
 * Throws: `DCP_ITEM_MISSING`, `DCP_BAD_PATH`, `DCP_FILE_MISSING`, `DCP_ITEM_OUT_OF_FILE`, `DCP_OFFSETS_OVERLAP`,
 * `DCP_CHUNK_MISMATCH`, `DCP_UNSUPPORTED`. Cost: opens every file once and reads its first bytes.
 */
export async function resolveItems(
  directory: string,
  metadata: DcpMetadata,
): Promise<ResolvedEntries> {
  const files = new ItemFiles(directory);
  const tensors: DcpTensor[] = [];
  for (const { name, dtype, shape, chunks } of metadata.tensors) {
    const resolved: DcpChunk[] = [];
    for (const box of chunks) {
      if (box.sizes.some((size) => size === 0)) continue;
      const info = infoOf(metadata, { name, offsets: box.offsets }, directory);
      const item = await files.chunkItem(info, { name, dtype, box });
      resolved.push({ ...box, item });
    }
    tensors.push({ name, dtype, shape, chunks: resolved });
  }
  const objects: DcpObject[] = [];
  for (const name of metadata.objectNames) {
    const info = infoOf(metadata, { name, offsets: null }, directory);
    objects.push({ name, item: await files.archiveItem(info, name) });
  }
  files.checkOverlaps();
  return { tensors, objects };
}

function infoOf(
  metadata: DcpMetadata,
  entry: { readonly name: string; readonly offsets: readonly number[] | null },
  directory: string,
): StorageInfo {
  const { name, offsets } = entry;
  const info = metadata.storage.get(storageKey(name, offsets));
  const what = offsets === null ? quoteName(name) : `${quoteName(name)} at [${offsets.join(', ')}]`;
  if (info === undefined) {
    throw new TuneyardError(
      DCP_ERRORS.DCP_ITEM_MISSING,
      `${directory}: the metadata do not say where ${what} is stored`,
      { details: { entry: name } },
    );
  }
  if (info.transforms.length > 0) {
    throw new TuneyardError(
      DCP_ERRORS.DCP_UNSUPPORTED,
      `${directory}: ${what} is stored through ${info.transforms.map(quoteName).join(', ')}, which is not undone here`,
      {
        details: { entry: name },
        hint: 'Save the checkpoint without extensions that compress its bytes.',
      },
    );
  }
  return info;
}

class ItemFiles {
  readonly #directory: string;
  readonly #files = new Map<string, ItemFile>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  async chunkItem(
    info: StorageInfo,
    chunk: { readonly name: string; readonly dtype: string; readonly box: Box },
  ): Promise<DcpItem> {
    const file = await this.#open(info.relativePath, chunk.name);
    if (file.parts === null) return this.#take(file, info, chunk.name);
    const part = file.parts.get(chunk.name);
    const { offsets, sizes } = chunk.box;
    const isSame =
      part !== undefined &&
      part.dtype === chunk.dtype &&
      isEqual(part.offsets ?? offsets, offsets) &&
      isEqual(part.sizes, sizes);
    if (!isSame) {
      throw new TuneyardError(
        DCP_ERRORS.DCP_CHUNK_MISMATCH,
        `${file.path} holds ${part === undefined ? 'nothing' : 'another part'} of tensor ` +
          `${quoteName(chunk.name)} where the metadata place ${chunk.dtype} [${sizes.join(', ')}] at [${offsets.join(', ')}]`,
        { details: { tensor: chunk.name } },
      );
    }
    return { file: file.path, offset: part.begin, byteLength: part.byteLength, form: 'raw' };
  }

  async archiveItem(info: StorageInfo, name: string): Promise<DcpItem> {
    const file = await this.#open(info.relativePath, name);
    return this.#take(file, info, name);
  }

  checkOverlaps(): void {
    for (const { path, ranges } of this.#files.values()) {
      ranges.sort((a, b) => a.offset - b.offset);
      for (const [index, range] of ranges.entries()) {
        const next = ranges[index + 1];
        if (next === undefined || range.offset + range.byteLength <= next.offset) continue;
        throw new TuneyardError(
          DCP_ERRORS.DCP_OFFSETS_OVERLAP,
          `${path}: the entries ${quoteName(range.name)} and ${quoteName(next.name)} share bytes at ${next.offset}`,
          { details: { path, offset: next.offset } },
        );
      }
    }
  }

  #take(file: ItemFile, info: StorageInfo, name: string): DcpItem {
    const { offset, byteLength } = info;
    if (byteLength === 0 || offset + byteLength > file.size) {
      throw new TuneyardError(
        DCP_ERRORS.DCP_ITEM_OUT_OF_FILE,
        `${file.path} has ${file.size} bytes; the entry ${quoteName(name)} is said to have ${byteLength} at ${offset}`,
        {
          details: { path: file.path, entry: name, offset, byteLength, size: file.size },
          hint: 'The file was cut or comes from another save; copy the checkpoint again.',
        },
      );
    }
    file.ranges.push({ name, offset, byteLength });
    return { file: file.path, offset, byteLength, form: 'archive' };
  }

  async #open(relativePath: string, entry: string): Promise<ItemFile> {
    const known = this.#files.get(relativePath);
    if (known !== undefined) return known;
    const path = join(this.#directory, plainName(relativePath, this.#directory));
    const file = await describeFile(path, entry);
    this.#files.set(relativePath, file);
    return file;
  }
}

/** Writers put all files into one directory; a name that leads elsewhere is no accident. */
function plainName(name: string, directory: string): string {
  if (name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name)) return name;
  throw new TuneyardError(
    DCP_ERRORS.DCP_BAD_PATH,
    `${directory}: the metadata name the file ${quoteName(name)}, which is not a plain file name`,
    { details: { name } },
  );
}

async function describeFile(path: string, entry: string): Promise<ItemFile> {
  const file = await openItemFile(path, entry);
  try {
    const head = await file.readFresh(Math.min(9, file.size), 0);
    const parts = isSafetensorsHead(head, file.size) ? await readShard(path) : null;
    return { path, size: file.size, parts, ranges: [] };
  } finally {
    await file.close();
  }
}

async function openItemFile(path: string, entry: string): Promise<RandomAccessFile> {
  try {
    return await RandomAccessFile.open(path);
  } catch (error) {
    if (!(error instanceof TuneyardError) || error.code !== FILE_ERRORS.FILE_NOT_FOUND) throw error;
    throw new TuneyardError(
      DCP_ERRORS.DCP_FILE_MISSING,
      `${path} is missing; the metadata place ${quoteName(entry)} in it`,
      {
        details: { path, entry },
        hint: 'Each rank writes files of its own; copy those of all nodes into one directory.',
        cause: error,
      },
    );
  }
}

/** A length that fits the file, then an opening brace; an archive starts with PK. */
function isSafetensorsHead(head: Uint8Array, size: number): boolean {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  return length <= BigInt(size - 8);
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

/**
 * Finds where the numbers of chunks begin. Each chunk is an archive of its own inside of its file; its list of entries and
 * its small pickle are read, the numbers are not.
 */
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { RandomAccessFile } from '../io/random-access-file.js';
import { TORCH_DTYPES } from '../torch-pt/dtypes.js';
import { readZipArchive } from '../torch-pt/read/read-zip-archive.js';
import { elementCount, isRowMajor } from '../torch-pt/read/tensor-bytes.js';
import type { TorchTensorValue, TorchValue } from '../torch-pt/value.js';
import type { FileWindow } from '../torch-pt/zip/file-window.js';
import type { DcpChunk, DcpItem, DcpTensor, LocatedChunk, LocatedTensor } from './checkpoint.js';
import { entryNotFound } from './entry-not-found.js';
import type { DistributedCheckpoint } from './open.js';

/**
 * Locates tensors by name.
 *
 * Throws: `DCP_ENTRY_NOT_FOUND`, `DCP_CHUNK_MISMATCH`, `DCP_UNSUPPORTED`, `TORCH_…`, `FILE_…`, `CANCELLED`. Cost: a few
 * small reads per chunk; every file is opened once, and one is open at a time.
 */
export async function locateTensors(
  checkpoint: DistributedCheckpoint,
  names: Iterable<string>,
  options: { readonly signal?: AbortSignal } = {},
): Promise<ReadonlyMap<string, LocatedTensor>> {
  const wanted = [...new Set(names)].map((name) => tensorOf(checkpoint, name));
  const located = new Map<DcpChunk, LocatedChunk>();
  for (const [path, chunks] of byFile(wanted)) {
    throwIfAborted(options.signal);
    await using file = await RandomAccessFile.open(path);
    for (const { tensor, chunk } of chunks) {
      throwIfAborted(options.signal);
      located.set(chunk, await locateChunk(file, tensor, chunk));
    }
  }
  return new Map(
    wanted.map(({ name, dtype, shape, chunks }) => [
      name,
      { name, dtype, shape, chunks: chunks.flatMap((chunk) => located.get(chunk) ?? []) },
    ]),
  );
}

function tensorOf(checkpoint: DistributedCheckpoint, name: string): DcpTensor {
  const tensor = checkpoint.tensors.get(name);
  if (tensor === undefined) throw entryNotFound(checkpoint, name);
  return tensor;
}

interface PlacedChunk {
  readonly tensor: DcpTensor;
  readonly chunk: DcpChunk;
}

/** Chunks by file, in the order of their bytes. */
function byFile(tensors: readonly DcpTensor[]): ReadonlyMap<string, readonly PlacedChunk[]> {
  const files = new Map<string, PlacedChunk[]>();
  for (const tensor of tensors) {
    for (const chunk of tensor.chunks) {
      const list = files.get(chunk.item.file) ?? [];
      list.push({ tensor, chunk });
      files.set(chunk.item.file, list);
    }
  }
  for (const list of files.values()) {
    list.sort((a, b) => a.chunk.item.offset - b.chunk.item.offset);
  }
  return files;
}

async function locateChunk(
  file: RandomAccessFile,
  tensor: DcpTensor,
  chunk: DcpChunk,
): Promise<LocatedChunk> {
  const { offsets, sizes, item } = chunk;
  const elementBytes = TORCH_DTYPES.get(tensor.dtype)?.bytes;
  if (elementBytes === undefined) {
    throw chunkError(
      tensor,
      chunk,
      `torch.${tensor.dtype} is not a known element type`,
      'unsupported',
    );
  }
  // Numbers that a view repeats could claim any size from a few bytes.
  if (elementCount(sizes) * elementBytes > item.byteLength) {
    throw chunkError(
      tensor,
      chunk,
      `${item.byteLength} bytes cannot hold [${sizes.join(', ')}] of torch.${tensor.dtype}`,
    );
  }
  const place = { offsets, sizes, file: item.file };
  if (item.form === 'raw') {
    const strides = rowMajorStrides(sizes);
    return { ...place, begin: item.offset, strides, isContiguous: true };
  }
  const window = windowOf(file, item, `${tensor.name} at [${offsets.join(', ')}]`);
  const { root, places } = await readZipArchive(window);
  const stored = storedTensor(root);
  if (stored === null) throw chunkError(tensor, chunk, 'its archive holds no tensor');
  if (stored.dtype !== tensor.dtype || !isEqual(stored.shape, sizes)) {
    throw chunkError(
      tensor,
      chunk,
      `its archive holds torch.${stored.dtype} [${stored.shape.join(', ')}], the metadata say torch.${tensor.dtype} [${sizes.join(', ')}]`,
    );
  }
  const storage = places.get(stored.storage.key);
  if (storage === undefined || storage.deflated !== null) {
    throw chunkError(tensor, chunk, 'its archive is compressed', 'unsupported');
  }
  return {
    ...place,
    begin: storage.begin + stored.storageOffset * elementBytes,
    strides: stored.strides,
    isContiguous: isRowMajor(stored),
  };
}

/** The part of the file that an item is. */
export function windowOf(file: RandomAccessFile, item: DcpItem, what: string): FileWindow {
  const where = `${item.file}, ${quoteName(what)}`;
  return { file, begin: item.offset, size: item.byteLength, where };
}

function storedTensor(value: TorchValue): TorchTensorValue | null {
  if (typeof value !== 'object' || value === null) return null;
  if (value.kind === 'parameter') return value.data;
  return value.kind === 'tensor' ? value : null;
}

function rowMajorStrides(sizes: readonly number[]): readonly number[] {
  const strides: number[] = [];
  let step = 1;
  for (const size of sizes.toReversed()) {
    strides.unshift(step);
    step *= size;
  }
  return strides;
}

function isEqual(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, index) => value === b[index]);
}

function chunkError(
  tensor: DcpTensor,
  chunk: DcpChunk,
  reason: string,
  kind: 'mismatch' | 'unsupported' = 'mismatch',
): TuneyardError {
  return new TuneyardError(
    kind === 'mismatch' ? DCP_ERRORS.DCP_CHUNK_MISMATCH : DCP_ERRORS.DCP_UNSUPPORTED,
    `${chunk.item.file}: the chunk of ${quoteName(tensor.name)} at [${chunk.offsets.join(', ')}] (byte ${chunk.item.offset}): ${reason}`,
    { details: { tensor: tensor.name, path: chunk.item.file, offset: chunk.item.offset } },
  );
}

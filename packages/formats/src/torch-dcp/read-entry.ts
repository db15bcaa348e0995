/** Reads entries of a distributed checkpoint whole: tensors put together, objects as plain data. */
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS, FILE_ERRORS } from '../errors.js';
import { RandomAccessFile } from '../io/random-access-file.js';
import { TORCH_DTYPES } from '../torch-pt/dtypes.js';
import { readZipArchive } from '../torch-pt/read/read-zip-archive.js';
import { elementCount, readStrided } from '../torch-pt/read/tensor-bytes.js';
import type { TorchValue } from '../torch-pt/value.js';
import type { LocatedChunk, LocatedTensor } from './checkpoint.js';
import { entryNotFound } from './entry-not-found.js';
import { placeBox } from './kernels/place-box.js';
import { locateTensors, windowOf } from './locate.js';
import type { DistributedCheckpoint } from './open.js';

/**
 * Reads a tensor into one buffer, row-major, whatever chunks and strides it is stored in.
 *
 * Throws: as {@link locateTensors}; `FILE_BUFFER_TOO_LARGE`. Cost: the tensor and its largest chunk in memory.
 */
export async function readDistributedTensor(
  checkpoint: DistributedCheckpoint,
  name: string,
): Promise<Uint8Array> {
  const tensor = (await locateTensors(checkpoint, [name])).get(name);
  if (tensor === undefined) throw entryNotFound(checkpoint, name);
  const elementBytes = TORCH_DTYPES.get(tensor.dtype)?.bytes ?? 1;
  const target = allocate(elementCount(tensor.shape) * elementBytes, tensor);
  for (const chunk of tensor.chunks) {
    const bytes = await readChunk(chunk, { name, elementBytes });
    placeBox(target, bytes, { shape: tensor.shape, ...chunk, elementBytes });
  }
  return target;
}

/**
 * Reads an entry that is no tensor: what `torch.save` was given, as plain data.
 *
 * Throws: `DCP_ENTRY_NOT_FOUND`, `DCP_UNSUPPORTED`, `TORCH_…`, `FILE_…`.
 */
export async function readDistributedObject(
  checkpoint: DistributedCheckpoint,
  name: string,
): Promise<TorchValue> {
  const object = checkpoint.objects.get(name);
  if (object === undefined) throw entryNotFound(checkpoint, name);
  const { item } = object;
  await using file = await RandomAccessFile.open(item.file);
  const start = await file.readFresh(Math.min(2, item.byteLength), item.offset);
  if (start[0] !== 0x50 || start[1] !== 0x4b) {
    throw new TuneyardError(
      DCP_ERRORS.DCP_UNSUPPORTED,
      `${item.file}: the entry ${name} at byte ${item.offset} is no archive of torch.save`,
      { details: { entry: name, path: item.file, offset: item.offset } },
    );
  }
  return (await readZipArchive(windowOf(file, item, name))).root;
}

async function readChunk(
  chunk: LocatedChunk,
  tensor: { readonly name: string; readonly elementBytes: number },
): Promise<Uint8Array> {
  await using file = await RandomAccessFile.open(chunk.file);
  return await readStrided({
    ...tensor,
    view: { shape: chunk.sizes, strides: chunk.strides, first: 0 },
    storageBytes: file.size,
    read: (begin, byteLength) => file.readFresh(byteLength, chunk.begin + begin),
  });
}

function allocate(byteLength: number, tensor: LocatedTensor): Uint8Array {
  try {
    return new Uint8Array(byteLength);
  } catch (error) {
    throw new TuneyardError(
      FILE_ERRORS.FILE_BUFFER_TOO_LARGE,
      `Cannot hold the ${byteLength} bytes of ${tensor.name} in one buffer`,
      {
        category: 'resource_exhausted',
        details: { tensor: tensor.name, byteLength },
        cause: error,
      },
    );
  }
}

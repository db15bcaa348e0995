/** Puts the metadata of ranks that saved without speaking to each other together. */
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import {
  type Box,
  type DcpMetadata,
  type StorageInfo,
  storageKey,
  type TensorMetadata,
} from './metadata.js';

/**
 * Merges in the order given. A chunk or object that several ranks hold a copy of is taken from the first.
 *
 * Throws: `DCP_PARTS_DISAGREE` when ranks give a tensor different types or shapes.
 */
export function mergeRanks(ranks: readonly DcpMetadata[], where: string): DcpMetadata {
  const [only] = ranks;
  if (ranks.length === 1 && only !== undefined) return only;
  const tensors = new Map<string, MergedTensor>();
  const storage = new Map<string, StorageInfo>();
  for (const rank of ranks) {
    for (const tensor of rank.tensors) {
      const merged = tensors.get(tensor.name) ?? { first: tensor, chunks: new Map() };
      checkAgreement(merged.first, tensor, where);
      addChunks(merged.chunks, tensor, rank);
      tensors.set(tensor.name, merged);
    }
    for (const [key, info] of rank.storage) if (!storage.has(key)) storage.set(key, info);
  }
  return {
    tensors: [...tensors.values()].map(({ first, chunks }) => ({
      ...first,
      chunks: [...chunks.values()],
    })),
    objectNames: [...new Set(ranks.flatMap((rank) => rank.objectNames))],
    storage,
  };
}

interface MergedTensor {
  readonly first: TensorMetadata;
  /** By offsets and sizes. */
  readonly chunks: Map<string, Box>;
}

/** What one rank knows of the chunks of others is not what it stored. Mutates: `chunks`. */
function addChunks(chunks: Map<string, Box>, tensor: TensorMetadata, rank: DcpMetadata): void {
  for (const box of tensor.chunks) {
    const identity = `${box.offsets.join(',')}:${box.sizes.join(',')}`;
    const isStored = rank.storage.has(storageKey(tensor.name, box.offsets));
    if (isStored && !chunks.has(identity)) chunks.set(identity, box);
  }
}

function checkAgreement(a: TensorMetadata, b: TensorMetadata, where: string): void {
  const isSame =
    a.dtype === b.dtype &&
    a.shape.length === b.shape.length &&
    a.shape.every((size, axis) => size === b.shape[axis]);
  if (isSame) return;
  throw new TuneyardError(
    DCP_ERRORS.DCP_PARTS_DISAGREE,
    `${where}: ranks describe tensor ${quoteName(a.name)} differently: ` +
      `${a.dtype} [${a.shape.join(', ')}] and ${b.dtype} [${b.shape.join(', ')}]`,
    { details: { tensor: a.name } },
  );
}

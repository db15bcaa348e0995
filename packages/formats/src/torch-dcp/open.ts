/**
 * Opens a distributed checkpoint: of PyTorch (`torch.distributed.checkpoint`, FSDP) or of Megatron (`torch_dist`).
 *
 * Nothing of it is executed: the metadata are read as plain data, and so are the objects. Checked against:
 * test/fixtures/torch-dcp, which torch 2.13 and megatron-core 0.16 wrote.
 */
import { throwIfAborted } from '@tuneyard/core';
import type { DcpObject, DcpTensor } from './checkpoint.js';
import { checkCoverage } from './coverage.js';
import { type DcpBackend, type FoundCheckpoint, findCheckpoint } from './find-checkpoint.js';
import { mergeRanks } from './merge-ranks.js';
import { type DcpMetadata, readMetadata } from './metadata.js';
import { type ResolvedEntries, resolveItems } from './resolve-items.js';
import { readShards } from './safetensors-shards.js';

/** A distributed checkpoint: plain facts, no open files. */
export interface DistributedCheckpoint {
  readonly directory: string;
  readonly tensors: ReadonlyMap<string, DcpTensor>;
  /** Entries that are no tensors, by name. */
  readonly objects: ReadonlyMap<string, DcpObject>;
  /** What Megatron's `metadata.json` says; null for checkpoints of PyTorch alone. */
  readonly backend: DcpBackend | null;
  /** Path of Megatron's `common.pt` (arguments, iteration), a torch archive; null when there is none. */
  readonly commonFile: string | null;
}

/**
 * Opens the directory of one checkpoint and checks that every tensor is whole: chunks lie inside of their tensors and
 * cover them once, their bytes lie inside of files that exist, and no two entries share bytes.
 *
 * Throws: `DCP_…`, `TORCH_PICKLE_…`, `SAFETENSORS_…`, `FILE_…`, `CANCELLED`. Cost: the metadata, and the first bytes of
 * every file; where inside of its archive a chunk's numbers begin is found by `locateTensors`.
 */
export async function openDistributedCheckpoint(
  directory: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<DistributedCheckpoint> {
  const found = await findCheckpoint(directory);
  const { tensors, objects } = await readEntries(found, options.signal);
  for (const tensor of tensors) checkCoverage(tensor, directory);
  return {
    directory,
    tensors: new Map(tensors.map((tensor) => [tensor.name, tensor])),
    objects: new Map(objects.map((object) => [object.name, object])),
    backend: found.backend,
    commonFile: found.commonFile,
  };
}

async function readEntries(
  found: FoundCheckpoint,
  signal: AbortSignal | undefined,
): Promise<ResolvedEntries> {
  if (found.shardFiles.length > 0) {
    return { tensors: await readShards(found.shardFiles), objects: [] };
  }
  const ranks: DcpMetadata[] = [];
  for (const path of found.metadataFiles) {
    throwIfAborted(signal);
    ranks.push(await readMetadata(path));
  }
  return await resolveItems(found.directory, mergeRanks(ranks, found.directory));
}

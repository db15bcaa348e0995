/** Writes safetensors checkpoints without ever holding more than one piece of one tensor. */
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { SAFETENSORS_ERRORS } from '../errors.js';
import { writeEntryData } from '../io/entry-data.js';
import { fileError } from '../io/file-errors.js';
import { type ByteSink, StagedFile, writeFileAtomically } from '../io/staged-file.js';
import { INDEX_FILE_NAME } from './layout.js';
import {
  checkNames,
  planSafetensorsFile,
  planShards,
  type SafetensorsEntry,
  type SafetensorsFilePlan,
  type ShardPlan,
} from './plan.js';

/** Options of {@link writeSafetensors}. */
export interface WriteSafetensorsOptions {
  /** Free-form strings of the header; left out when empty. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Options of {@link writeShardedSafetensors}. */
export interface WriteShardedSafetensorsOptions extends WriteSafetensorsOptions {
  /** Tensor bytes per shard, header not counted; a larger tensor gets a shard of its own. */
  readonly maxShardBytes: number;
}

/**
 * Writes one file, whole or not at all.
 *
 * The same entries give the same bytes. Throws: as `planSafetensorsFile`, `FILE_…`, `CANCELLED`.
 */
export async function writeSafetensors(
  path: string,
  entries: readonly SafetensorsEntry[],
  options: WriteSafetensorsOptions = {},
): Promise<{ bytes: number }> {
  const plan = planSafetensorsFile(entries, options.metadata ?? {}, path);
  return await writeFileAtomically(path, (sink) => writePlan(sink, plan), options.signal);
}

/**
 * Writes `model.safetensors`, or shards `model-00001-of-0000N.safetensors` with their index.
 *
 * Every shard is complete on disk before the first gets its final name, and the index comes last.
 *
 * Throws: `SAFETENSORS_OUTPUT_CONFLICT` when the directory holds other weights, `SAFETENSORS_BAD_SHARD_SIZE`,
 * and as {@link writeSafetensors}.
 */
export async function writeShardedSafetensors(
  directory: string,
  entries: readonly SafetensorsEntry[],
  options: WriteShardedSafetensorsOptions,
): Promise<{ files: string[]; totalSize: number }> {
  checkNames(entries, directory);
  const shards = planShards(entries, options.maxShardBytes);
  const plans = shards.map(({ fileName, entries: shardEntries }) => ({
    path: join(directory, fileName),
    plan: planSafetensorsFile(shardEntries, options.metadata ?? {}, fileName),
  }));
  const totalSize = plans
    .flatMap(({ plan }) => plan.entries)
    .reduce((sum, entry) => sum + entry.byteLength, 0);
  const index = shards.length > 1 ? formatIndex(shards, totalSize) : null;
  const fileNames = shards.map((shard) => shard.fileName);
  if (index !== null) fileNames.push(INDEX_FILE_NAME);
  await prepareDirectory(directory, fileNames);

  const staged: StagedFile[] = [];
  try {
    for (const { path, plan } of plans) {
      const file = await StagedFile.create(path, options.signal);
      staged.push(file);
      await writePlan(file, plan);
      await file.seal();
    }
    if (index !== null) {
      const file = await StagedFile.create(join(directory, INDEX_FILE_NAME), options.signal);
      staged.push(file);
      await file.write(index);
    }
    for (const file of staged) await file.commit();
  } finally {
    for (const file of staged) await file.discard();
  }
  return { files: staged.map((file) => file.path), totalSize };
}

async function writePlan(sink: ByteSink, plan: SafetensorsFilePlan): Promise<void> {
  await sink.write(plan.header);
  for (const entry of plan.entries) await writeEntryData(sink, entry);
}

/** Same text as Hugging Face writes: keys sorted, two spaces, a final newline. */
function formatIndex(shards: readonly ShardPlan[], totalSize: number): Uint8Array {
  const places = shards.flatMap(({ fileName, entries }) =>
    entries.map(({ name }) => [name, fileName] as const),
  );
  places.sort(([a], [b]) => (a < b ? -1 : 1));
  const lines = places.map(
    ([name, file]) => `    ${JSON.stringify(name)}: ${JSON.stringify(file)}`,
  );
  const metadata = `  "metadata": {\n    "total_size": ${totalSize}\n  }`;
  const weightMap = `  "weight_map": {\n${lines.join(',\n')}\n  }`;
  return Buffer.from(`{\n${metadata},\n${weightMap}\n}\n`);
}

/** Refuses a directory whose old weights would stand beside the new ones and be read in their place. */
async function prepareDirectory(directory: string, fileNames: readonly string[]): Promise<void> {
  let present: string[];
  try {
    await mkdir(directory, { recursive: true });
    present = await readdir(directory);
  } catch (error) {
    throw fileError(error, 'create', directory);
  }
  const isWeights = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/;
  const stale = present.filter((name) => isWeights.test(name) && !fileNames.includes(name)).sort();
  if (stale.length > 0) {
    throw new TuneyardError(
      SAFETENSORS_ERRORS.SAFETENSORS_OUTPUT_CONFLICT,
      `${directory} already holds other weights: ${stale.slice(0, 4).join(', ')}`,
      {
        category: 'conflict',
        details: { directory, stale },
        hint: 'Remove them or choose an empty output directory.',
      },
    );
  }
}

/** Puts data sets together, and takes one apart by documents; values are copied as bytes, never decoded. */
import { resolve } from 'node:path';
import { assert } from '@tuneyard/core';
import { indexError } from './index-file.js';
import { indexedDatasetPaths } from './layout.js';
import { badSplit, type DocumentSplit } from './plan-split.js';
import { IndexedDatasetReader } from './reader.js';
import { IndexedDatasetWriter, type WrittenDtype, type WrittenIndexedDataset } from './writer.js';

/**
 * Writes the documents of several data sets one after another as one data set. Values are copied as bytes.
 *
 * Throws: `INDEXED_DATASET_DTYPE_MISMATCH`, `INDEXED_DATASET_OUTPUT_CONFLICT`, as reader and writer.
 */
export async function mergeIndexedDatasets(
  prefix: string,
  parts: readonly string[],
  options: { readonly signal?: AbortSignal } = {},
): Promise<WrittenIndexedDataset> {
  checkOutputs([prefix], parts);
  const [first] = parts;
  assert(first !== undefined, 'a merge has at least one part');
  const kind = await kindOf(first);
  await using writer = await IndexedDatasetWriter.create(prefix, { ...kind, ...options });
  for (const part of parts) {
    await using reader = await IndexedDatasetReader.open(part, { allowUnusedBytes: true });
    await writer.appendFrom(reader);
  }
  return await writer.commit();
}

/**
 * Writes the parts of a split, each as a data set of its own. Values are copied as bytes.
 *
 * Throws: `INDEXED_DATASET_OUTPUT_CONFLICT`, `INDEXED_DATASET_BAD_SPLIT` when the plan is for another number of
 * documents or outputs, as reader and writer.
 */
export async function splitIndexedDataset(
  prefix: string,
  outputs: readonly string[],
  split: DocumentSplit,
  options: { readonly signal?: AbortSignal } = {},
): Promise<WrittenIndexedDataset[]> {
  checkOutputs(outputs, [prefix]);
  await using reader = await IndexedDatasetReader.open(prefix, { allowUnusedBytes: true });
  if (split.documents !== reader.documentCount || split.parts.length !== outputs.length) {
    throw badSplit(
      `a plan for ${split.documents} documents and ${split.parts.length} parts does not fit ` +
        `${reader.documentCount} documents and ${outputs.length} outputs`,
    );
  }
  const kind = writtenKind(reader);
  const written: WrittenIndexedDataset[] = [];
  for (const [i, output] of outputs.entries()) {
    await using writer = await IndexedDatasetWriter.create(output, { ...kind, ...options });
    for (const run of split.parts[i] ?? []) await writer.appendFrom(reader, run);
    written.push(await writer.commit());
  }
  return written;
}

async function kindOf(prefix: string): Promise<{ dtype: WrittenDtype; hasModes: boolean }> {
  await using reader = await IndexedDatasetReader.open(prefix, { allowUnusedBytes: true });
  return writtenKind(reader);
}

function writtenKind(reader: IndexedDatasetReader): { dtype: WrittenDtype; hasModes: boolean } {
  const { dtype, modes, prefix } = reader;
  if (dtype === 'int32' || dtype === 'uint16') return { dtype, hasModes: modes !== null };
  throw indexError('INDEXED_DATASET_DTYPE_MISMATCH', prefix, {
    what: `the data set is ${dtype}; int32 and uint16 are written`,
  });
}

/** Outputs must differ from each other and from every input, whose files they would replace while these are read. */
function checkOutputs(outputs: readonly string[], inputs: readonly string[]): void {
  const seen = new Set(inputs.map((input) => resolve(indexedDatasetPaths(input).prefix)));
  for (const output of outputs) {
    const path = resolve(indexedDatasetPaths(output).prefix);
    if (seen.has(path)) {
      throw indexError('INDEXED_DATASET_OUTPUT_CONFLICT', output, {
        what: 'the output is also an input, or named twice',
        hint: 'Choose another prefix for the output.',
      });
    }
    seen.add(path);
  }
}

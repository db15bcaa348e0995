/** Data sets that megatron-core wrote, read here and written again. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { IndexedDatasetReader, IndexedDatasetWriter, mergeIndexedDatasets } from '../src/index.js';
import { useTemporaryDirectory } from './temporary-directory.js';

interface Manifest {
  readonly made_by: string;
  readonly sets: Record<string, { dtype: string; documents: number[][][]; modes: number[] | null }>;
}

const folder = fileURLToPath(new URL('./fixtures/indexed-dataset/', import.meta.url));
const { sets } = JSON.parse(await readFile(`${folder}manifest.json`, 'utf8')) as Manifest;

describe.each(Object.entries(sets))('%s, as megatron-core wrote it', (name, wanted) => {
  const directory = useTemporaryDirectory();

  it('gives every document, sequence and mode', async () => {
    await using reader = await IndexedDatasetReader.open(folder + name);
    expect(reader.dtype).toBe(wanted.dtype);
    expect(reader.modes && [...reader.modes]).toEqual(wanted.modes);
    const found: number[][][] = [];
    for (let d = 0; d < reader.documentCount; d++) {
      const { first, end } = reader.documentRange(d);
      const document: number[][] = [];
      for await (const sequence of reader.sequences({ first, end })) document.push([...sequence]);
      found.push(document);
    }
    expect(found).toEqual(wanted.documents);
  });

  it('has the bytes that the writer gives', async () => {
    if (wanted.dtype !== 'int32' && wanted.dtype !== 'uint16') return;
    const prefix = directory.path(name);
    await using writer = await IndexedDatasetWriter.create(prefix, {
      dtype: wanted.dtype,
      hasModes: wanted.modes !== null,
    });
    for (const document of wanted.documents) {
      for (const sequence of document) {
        await writer.append(Int32Array.from(sequence), wanted.modes?.[writer.sequenceCount]);
      }
      writer.endDocument();
    }
    await writer.commit();
    for (const extension of ['.bin', '.idx']) {
      expect(await readFile(prefix + extension)).toEqual(await readFile(folder + name + extension));
    }
  });
});

describe('merging, as megatron-core does it', () => {
  const directory = useTemporaryDirectory();

  it('gives the same bytes', async () => {
    const parts = ['documented', 'several_sequences', 'empty'].map((name) => folder + name);
    await mergeIndexedDatasets(directory.path('merged'), parts);
    for (const extension of ['.bin', '.idx']) {
      expect(await readFile(directory.path(`merged${extension}`))).toEqual(
        await readFile(`${folder}merged${extension}`),
      );
    }
  });
});

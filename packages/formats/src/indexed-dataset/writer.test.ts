import { existsSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { IndexedDtype, IndexedValues } from './layout.js';
import { IndexedDatasetReader } from './reader.js';
import { IndexedDatasetWriter, type WrittenDtype } from './writer.js';

const SEED = 20_261_125;

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tuneyard-indexed-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});
const pathOf = (name: string): string => join(directory, name);

/** Documents of sequences of tokens. */
type Documents = readonly (readonly (readonly number[])[])[];

/** The format written the plainest way, after the layout table; shares nothing with the product. */
function naiveFiles(documents: Documents, dtype: { code: number; bytes: number }) {
  const sequences = documents.flat();
  const bin = Buffer.alloc(sequences.flat().length * dtype.bytes);
  for (const [i, value] of sequences.flat().entries()) {
    if (dtype.bytes === 2) bin.writeUInt16LE(value, 2 * i);
    if (dtype.bytes === 4) bin.writeInt32LE(value, 4 * i);
  }
  const long = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(value));
    return bytes;
  };
  const int = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return bytes;
  };
  let at = 0;
  const offsets = sequences.map((sequence) => {
    const offset = at;
    at += sequence.length * dtype.bytes;
    return long(offset);
  });
  let boundary = 0;
  const boundaries = documents.map((document) => {
    boundary += document.length;
    return long(boundary);
  });
  const idx = Buffer.concat([
    Buffer.from('MMIDIDX\0\0', 'latin1'),
    long(1),
    Buffer.of(dtype.code),
    long(sequences.length),
    long(documents.length + 1),
    ...sequences.map((sequence) => int(sequence.length)),
    ...offsets,
    long(0),
    ...boundaries,
  ]);
  return { bin, idx };
}

async function write(prefix: string, documents: Documents, dtype: WrittenDtype = 'int32') {
  await using writer = await IndexedDatasetWriter.create(prefix, { dtype });
  for (const document of documents) {
    for (const sequence of document) await writer.append(Int32Array.from(sequence));
    writer.endDocument();
  }
  return await writer.commit();
}

const documentsOf = (value: fc.Arbitrary<number>): fc.Arbitrary<Documents> =>
  fc.array(fc.array(fc.array(value, { maxLength: 12 }), { maxLength: 4 }), { maxLength: 6 });

describe('writing an indexed data set', () => {
  it('gives the documented bytes for two documents', async () => {
    const prefix = pathOf('vector');
    const written = await write(prefix, [[[1, 2, 3]], [[4, 5]]]);
    const idx = (await readFile(`${prefix}.idx`)).toString('hex');
    expect(idx).toBe(
      '4d4d49444944580000' +
        '0100000000000000' +
        '04' +
        '0200000000000000' +
        '0300000000000000' +
        '0300000002000000' +
        '0000000000000000' +
        '0c00000000000000' +
        '0000000000000000' +
        '0100000000000000' +
        '0200000000000000',
    );
    const bin = (await readFile(`${prefix}.bin`)).toString('hex');
    expect(bin).toBe('0100000002000000030000000400000005000000');
    expect(written).toEqual({ prefix, sequences: 2, documents: 2, tokens: 5, bytes: 102 });
  });

  it('gives the bytes of a plain encoder and reads them back, for random documents', async () => {
    const cases = fc.oneof(
      documentsOf(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })).map((documents) => ({
        documents,
        dtype: 'int32' as const,
        kind: { code: 4, bytes: 4 },
      })),
      documentsOf(fc.nat(65_535)).map((documents) => ({
        documents,
        dtype: 'uint16' as const,
        kind: { code: 8, bytes: 2 },
      })),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ({ documents, dtype, kind }) => {
        const prefix = pathOf('random');
        await write(prefix, documents, dtype);
        const wanted = naiveFiles(documents, kind);
        expect(await readFile(`${prefix}.bin`)).toEqual(wanted.bin);
        expect(await readFile(`${prefix}.idx`)).toEqual(wanted.idx);
        await using reader = await IndexedDatasetReader.open(prefix);
        const found: number[][] = [];
        for await (const sequence of reader.sequences({ blockBytes: 40 })) {
          found.push([...sequence]);
        }
        expect(found).toEqual(documents.flat());
        expect(reader).toMatchObject({ dtype, documentCount: documents.length });
        for (const [d, document] of documents.entries()) {
          expect([...(await reader.document(d))]).toEqual(document.flat());
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it('takes many documents at once, and other data sets by their bytes', async () => {
    const one = pathOf('one');
    await using writer = await IndexedDatasetWriter.create(one);
    await writer.appendDocuments(Int32Array.of(1, 2, 3, 4), Int32Array.of(3, 0, 1));
    await writer.commit();
    await write(pathOf('two'), [[[5], [6, 7]], [], [[8]]]);
    await using joined = await IndexedDatasetWriter.create(pathOf('joined'));
    await using first = await IndexedDatasetReader.open(one);
    await using second = await IndexedDatasetReader.open(pathOf('two'));
    await joined.appendFrom(first);
    await joined.appendFrom(second);
    await joined.appendFrom(first, { first: 2, end: 3 });
    await joined.appendFrom(first, { first: 1, end: 1 });
    await joined.commit();
    const documents = [[[1, 2, 3]], [[]], [[4]], [[5], [6, 7]], [], [[8]], [[4]]];
    await write(pathOf('naive'), documents);
    for (const extension of ['bin', 'idx']) {
      expect(await readFile(pathOf(`joined.${extension}`))).toEqual(
        await readFile(pathOf(`naive.${extension}`)),
      );
    }
  });

  it('refuses a value that does not fit uint16, naming sequence and token', async () => {
    await using writer = await IndexedDatasetWriter.create(pathOf('narrow'), {
      dtype: 'uint16',
    });
    await writer.append(Int32Array.of(65_535));
    await expect(writer.append(Int32Array.of(1, 65_536))).rejects.toMatchObject({
      code: 'INDEXED_DATASET_VALUE_RANGE',
      message: expect.stringContaining('sequence 1, token 1: 65536 does not fit'),
    });
    await expect(writer.append(Int32Array.of(-100))).rejects.toMatchObject({
      code: 'INDEXED_DATASET_VALUE_RANGE',
    });
  });

  it('refuses to join data sets of different element types', async () => {
    await write(pathOf('wide'), [[[1]]]);
    await using reader = await IndexedDatasetReader.open(pathOf('wide'));
    await using writer = await IndexedDatasetWriter.create(pathOf('other'), {
      dtype: 'uint16',
    });
    await expect(writer.appendFrom(reader)).rejects.toMatchObject({
      code: 'INDEXED_DATASET_DTYPE_MISMATCH',
    });
  });

  it('leaves nothing behind when it is discarded, and nothing half when it fails', async () => {
    const prefix = pathOf('kept');
    await write(prefix, [[[1]]]);
    const before = (await readdir(pathOf('.'))).sort();
    const writer = await IndexedDatasetWriter.create(prefix);
    await writer.append(Int32Array.of(2));
    await expect(writer.commit()).rejects.toThrow('endDocument');
    await writer.discard();
    expect((await readdir(pathOf('.'))).sort()).toEqual(before);
    await using reader = await IndexedDatasetReader.open(prefix);
    expect([...(await reader.sequence(0))]).toEqual([1]);
  });

  it('stops when it is cancelled', async () => {
    const controller = new AbortController();
    const prefix = pathOf('cancelled');
    await using writer = await IndexedDatasetWriter.create(prefix, { signal: controller.signal });
    await writer.append(Int32Array.of(2));
    writer.endDocument();
    controller.abort();
    await expect(writer.commit()).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(existsSync(`${prefix}.idx`)).toBe(false);
  });

  it('keeps the modes of multimodal sequences', async () => {
    const prefix = pathOf('modes');
    await using writer = await IndexedDatasetWriter.create(prefix, { hasModes: true });
    await writer.append(Int32Array.of(1, 2), 0);
    await writer.append(Int32Array.of(3), 1);
    writer.endDocument();
    await writer.commit();
    await using reader = await IndexedDatasetReader.open(prefix);
    expect([...(reader.modes ?? [])]).toEqual([0, 1]);
    await using copy = await IndexedDatasetWriter.create(pathOf('copy'), {
      hasModes: true,
    });
    await copy.appendFrom(reader);
    await copy.commit();
    expect(await readFile(pathOf('copy.idx'))).toEqual(await readFile(`${prefix}.idx`));
    await using plain = await IndexedDatasetWriter.create(pathOf('plain'));
    await expect(plain.appendFrom(reader)).rejects.toThrow('int32 with modes');
  });
});

describe('reading an indexed data set', () => {
  it('reads every element type', async () => {
    const cases: [IndexedDtype, number, IndexedValues, number[]][] = [
      ['uint8', 1, Uint8Array.of(0, 255), [0, 255]],
      ['int8', 2, Int8Array.of(-128, 127), [-128, 127]],
      ['int16', 3, Int16Array.of(-100, 32_767), [-100, 32_767]],
      ['int32', 4, Int32Array.of(-100, 151_935), [-100, 151_935]],
      ['int64', 5, BigInt64Array.of(-100n, 151_935n), [-100, 151_935]],
      ['float64', 6, Float64Array.of(0.5, -3), [0.5, -3]],
      ['float32', 7, Float32Array.of(0.5, -3), [0.5, -3]],
      ['uint16', 8, Uint16Array.of(0, 65_535), [0, 65_535]],
    ];
    for (const [dtype, code, data, values] of cases) {
      const prefix = pathOf(dtype);
      const { idx } = naiveFiles([[[1, 1]]], { code, bytes: data.byteLength / 2 });
      await writeFile(`${prefix}.idx`, idx);
      await writeFile(`${prefix}.bin`, data);
      await using reader = await IndexedDatasetReader.open(prefix);
      expect(reader.dtype).toBe(dtype);
      expect(Array.from(await reader.values(0), Number)).toEqual(values);
      if (dtype.startsWith('float')) {
        await expect(reader.sequence(0)).rejects.toMatchObject({
          code: 'INDEXED_DATASET_NOT_TOKENS',
        });
      } else {
        const tokens = new Int32Array(3);
        expect(await reader.readInto(0, tokens, 1)).toBe(2);
        expect([...tokens]).toEqual([0, ...values]);
      }
    }
  });

  it('refuses an int64 that is no token id', async () => {
    const prefix = pathOf('long');
    await writeFile(`${prefix}.idx`, naiveFiles([[[1, 1]]], { code: 5, bytes: 8 }).idx);
    await writeFile(`${prefix}.bin`, BigInt64Array.of(1n, 2n ** 31n));
    await using reader = await IndexedDatasetReader.open(prefix);
    await expect(reader.sequence(0)).rejects.toThrow('byte 8: the value 2147483648');
  });

  it('finds sequences beyond the first two gigabytes', async () => {
    const prefix = pathOf('sparse');
    const long = 2 ** 29;
    const idx = Buffer.alloc(34 + 12 * 3 + 8 * 2);
    idx.write('MMIDIDX\0\0', 'latin1');
    idx.writeBigUInt64LE(1n, 9);
    idx.writeUInt8(4, 17);
    idx.writeBigUInt64LE(3n, 18);
    idx.writeBigUInt64LE(2n, 26);
    for (const [i, length] of [long, long + 7, 3].entries()) idx.writeInt32LE(length, 34 + 4 * i);
    const last = 4 * (2 * long + 7);
    for (const [i, offset] of [0, 4 * long, last].entries()) {
      idx.writeBigInt64LE(BigInt(offset), 46 + 8 * i);
    }
    idx.writeBigInt64LE(3n, 78);
    await writeFile(`${prefix}.idx`, idx);
    const bin = await open(`${prefix}.bin`, 'w');
    await truncate(`${prefix}.bin`, last);
    await bin.write(Int32Array.of(7, 8, 9), 0, 12, last);
    await bin.close();
    await using reader = await IndexedDatasetReader.open(prefix);
    expect(last).toBeGreaterThan(2 ** 32);
    expect(reader.tokenCount).toBe(2 * long + 10);
    expect([...(await reader.sequence(2))]).toEqual([7, 8, 9]);
    for await (const block of reader.blocks({ first: 2 })) {
      expect(block).toMatchObject({ first: 2, tokens: Int32Array.of(7, 8, 9) });
    }
  });

  it('accepts either file name for the prefix', async () => {
    const prefix = pathOf('named');
    await write(prefix, [[[1]]]);
    for (const name of [`${prefix}.bin`, `${prefix}.idx`]) {
      await using reader = await IndexedDatasetReader.open(name);
      expect(reader.prefix).toBe(prefix);
    }
  });

  it('reads an index that picks sequences only when that is allowed', async () => {
    const prefix = pathOf('picked');
    const { bin } = naiveFiles([[[1, 2, 3], [4, 5], [6]]], { code: 4, bytes: 4 });
    const { idx } = naiveFiles([[[1, 2, 3], [6]]], { code: 4, bytes: 4 });
    idx.writeBigInt64LE(20n, 34 + 8 + 8);
    await writeFile(`${prefix}.bin`, bin);
    await writeFile(`${prefix}.idx`, idx);
    await expect(IndexedDatasetReader.open(prefix)).rejects.toMatchObject({
      code: 'INDEXED_DATASET_OFFSETS_HOLE',
    });
    await using reader = await IndexedDatasetReader.open(prefix, { allowUnusedBytes: true });
    expect(reader.unusedBytes).toBe(8);
    expect([...(await reader.document(0))]).toEqual([1, 2, 3, 6]);
    await using writer = await IndexedDatasetWriter.create(pathOf('compact'));
    await writer.appendFrom(reader);
    await writer.commit();
    const compact = naiveFiles([[[1, 2, 3], [6]]], { code: 4, bytes: 4 });
    expect(await readFile(pathOf('compact.bin'))).toEqual(compact.bin);
    expect(await readFile(pathOf('compact.idx'))).toEqual(compact.idx);
  });
});

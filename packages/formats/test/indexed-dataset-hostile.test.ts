/** Indexes and values that do not fit each other: each is refused with its own code and the place of the fault. */
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexedDatasetReader } from '../src/index.js';
import { useTemporaryDirectory } from './temporary-directory.js';

const folder = fileURLToPath(new URL('./fixtures/indexed-dataset/', import.meta.url));
/** [[1, 2, 3]], [[4, 5]]: lengths at 34, offsets at 42, boundaries at 58. */
const idx = await readFile(`${folder}documented.idx`);
const bin = await readFile(`${folder}documented.bin`);

const with64 = (offset: number, value: bigint): Buffer => {
  const bytes = Buffer.from(idx);
  bytes.writeBigInt64LE(value, offset);
  return bytes;
};
const with32 = (offset: number, value: number): Buffer => {
  const bytes = Buffer.from(idx);
  bytes.writeInt32LE(value, offset);
  return bytes;
};
const with8 = (offset: number, value: number): Buffer => {
  const bytes = Buffer.from(idx);
  bytes[offset] = value;
  return bytes;
};
const bigEndianVersion = Buffer.from(idx);
bigEndianVersion.writeBigUInt64BE(1n, 9);

describe('a damaged indexed data set', () => {
  const directory = useTemporaryDirectory();
  const save = async (index: Uint8Array, values: Uint8Array): Promise<string> => {
    const prefix = directory.path('damaged');
    await writeFile(`${prefix}.idx`, index);
    await writeFile(`${prefix}.bin`, values);
    return prefix;
  };

  it.each([
    ['is shorter than its header', idx.subarray(0, 33), 'TOO_SMALL', 'has 33 bytes'],
    ['has another magic', with8(0, 0x54), 'BAD_MAGIC', 'byte 0'],
    ['has another version', with64(9, 2n), 'BAD_VERSION', 'byte 9: version 2'],
    ['has the other byte order', bigEndianVersion, 'BAD_VERSION', 'big-endian'],
    ['has no element type', with8(17, 0), 'UNKNOWN_DTYPE', 'byte 17: element type 0'],
    ['has an unknown element type', with8(17, 9), 'UNKNOWN_DTYPE', 'element type 9'],
    ['counts beyond all bounds', with64(18, 2n ** 40n), 'COUNT_TOO_LARGE', '1099511627776'],
    ['counts a negative number', with64(18, -1n), 'COUNT_TOO_LARGE', 'byte 18'],
    ['counts more than it has', with64(18, 3n), 'INDEX_TRUNCATED', 'take 94 bytes'],
    ['counts less than it has', with64(18, 1n), 'INDEX_TRAILING_BYTES', 'take 70 bytes'],
    ['has too many documents', with64(26, 2n ** 62n), 'INDEX_TRUNCATED', 'boundaries take'],
    ['has no document index', with64(26, 0n), 'BAD_DOCUMENTS', 'byte 26'],
    ['has a negative length', with32(38, -1), 'BAD_LENGTH', 'byte 38: sequence 1'],
    ['has a negative offset', with64(50, -12n), 'OFFSET_OUT_OF_RANGE', 'offset of sequence 1'],
    ['has an inexact offset', with64(50, 2n ** 53n), 'OFFSET_OUT_OF_RANGE', 'above 2^53'],
    ['begins inside the sequence before', with64(50, 8n), 'OFFSETS_OVERLAP', 'before byte 12'],
    ['leaves bytes between sequences', with64(50, 12n + 4n), 'DATA_TRUNCATED', 'ends at byte 24'],
    ['leaves bytes before the first', with64(42, 4n), 'OFFSETS_OVERLAP', 'before byte 16'],
    ['has a length beyond the values', with32(38, 3), 'DATA_TRUNCATED', 'ends at byte 24'],
    ['has a length short of the values', with32(38, 1), 'TRAILING_BYTES', 'end at byte 16'],
    ['has documents that do not start at 0', with64(58, 1n), 'BAD_DOCUMENTS', 'byte 58'],
    ['has documents out of order', with64(66, 3n), 'BAD_DOCUMENTS', 'boundary 1 is 3 after 0'],
    ['has documents that end early', with64(74, 1n), 'BAD_DOCUMENTS', 'ends with 1, not with 2'],
    ['has a negative boundary', with64(74, -1n), 'OFFSET_OUT_OF_RANGE', 'document boundary 2'],
  ])('that %s is refused', async (_, bytes, code, message) => {
    await expect(IndexedDatasetReader.open(await save(bytes, bin))).rejects.toMatchObject({
      code: `INDEXED_DATASET_${code}`,
      message: expect.stringContaining(message),
      category: 'invalid_input',
    });
  });

  it('with values of any other size is refused', async () => {
    for (let size = 0; size < 40; size++) {
      const values = Buffer.concat([bin, bin]).subarray(0, size);
      const opening = IndexedDatasetReader.open(await save(idx, values));
      if (size === bin.length) await (await opening).close();
      else await expect(opening, `${size} bytes`).rejects.toBeInstanceOf(TuneyardError);
    }
  });

  it('gives all its values or an error of ours, whichever bits are flipped', async () => {
    const names = ['several_sequences', 'multimodal', 'uint16', 'int64'];
    const files = await Promise.all(
      names.map(async (name) => ({
        index: await readFile(`${folder}${name}.idx`),
        values: await readFile(`${folder}${name}.bin`),
      })),
    );
    const flips = fc.array(fc.nat(8 * 200), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), flips, async ({ index, values }, bits) => {
        const bytes = Buffer.from(index);
        for (const bit of bits) bytes[(bit >> 3) % bytes.length]! ^= 1 << (bit & 7);
        const prefix = await save(bytes, values);
        try {
          await using reader = await IndexedDatasetReader.open(prefix, { allowUnusedBytes: true });
          let tokens = 0;
          for await (const block of reader.blocks()) tokens += block.tokens.length;
          expect(tokens).toBe(reader.tokenCount);
          expect(4 * tokens).toBeLessThanOrEqual(4 * values.length);
        } catch (error) {
          if (!(error instanceof TuneyardError && error.category === 'invalid_input')) throw error;
        }
      }),
      { seed: 20_261_125, numRuns: 500 },
    );
  });

  it('says which file is missing', async () => {
    await expect(IndexedDatasetReader.open(directory.path('none'))).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining('none.idx'),
    });
  });
});

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SafetensorsEntry } from './plan.js';
import { SafetensorsReader } from './reader.js';
import { writeSafetensors, writeShardedSafetensors } from './writer.js';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tuneyard-safetensors-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const bytes = (length: number, start = 0): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => start + i);

const entry = (name: string, length: number): SafetensorsEntry => ({
  name,
  dtype: 'U8',
  shape: [length],
  data: bytes(length),
});

describe('writeSafetensors', () => {
  it('starts the data at a multiple of eight, header padded with spaces', async () => {
    for (const name of ['a', 'ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'abcdefgh']) {
      const path = join(directory, 'x.safetensors');
      await writeSafetensors(path, [entry(name, 3)], { metadata: { format: 'pt' } });
      const file = await readFile(path);
      const headerBytes = Number(file.readBigUInt64LE(0));
      expect((8 + headerBytes) % 8).toBe(0);
      expect(file.subarray(8, 8 + headerBytes).toString()).toBe(
        `{"__metadata__":{"format":"pt"},"${name}":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}`.padEnd(
          headerBytes,
        ),
      );
      expect([...file.subarray(8 + headerBytes)]).toEqual([0, 1, 2]);
    }
  });

  it('puts wider types first, so that every tensor starts at a multiple of its element size', async () => {
    const path = join(directory, 'mixed.safetensors');
    await writeSafetensors(path, [
      entry('bytes', 3),
      { name: 'half', dtype: 'BF16', shape: [3], data: bytes(6) },
      { name: 'nibbles', dtype: 'F4', shape: [2, 3], data: bytes(3) },
      { name: 'long', dtype: 'I64', shape: [1], data: bytes(8) },
      { name: 'single', dtype: 'F32', shape: [1], data: bytes(4) },
    ]);
    await using reader = await SafetensorsReader.open(path);
    const starts = [...reader.tensors.values()].map(({ name, begin }) => [name, begin % 8]);
    expect(starts).toEqual([
      ['long', 0],
      ['single', 0],
      ['half', 4],
      ['bytes', 2],
      ['nibbles', 5],
    ]);
  });

  it('streams lazily produced data, one entry at a time and in order', async () => {
    const path = join(directory, 'lazy.safetensors');
    const calls: string[] = [];
    const large = 700_000;
    async function* pieces(): AsyncGenerator<Uint8Array> {
      calls.push('pieces');
      const reused = new Uint8Array(100_000);
      for (let i = 0; i < 7; i++) {
        reused.fill(i);
        yield reused;
      }
    }
    const promise = async (): Promise<Uint8Array> => {
      calls.push('promise');
      return bytes(4, 9);
    };
    const result = await writeSafetensors(path, [
      { name: 'pieces', dtype: 'U8', shape: [large], data: pieces },
      { name: 'promise', dtype: 'I8', shape: [4], data: promise },
    ]);
    expect(calls).toEqual(['pieces', 'promise']);
    expect((await readFile(path)).length).toBe(result.bytes);
    await using reader = await SafetensorsReader.open(path);
    const read = await reader.read('pieces');
    const wanted = Uint8Array.from({ length: large }, (_, i) => Math.floor(i / 100_000));
    expect(Buffer.compare(read, wanted)).toBe(0);
    expect([...(await reader.read('promise'))]).toEqual([9, 10, 11, 12]);
  });

  it('leaves the old file alone when an entry produces too few or too many bytes', async () => {
    const path = join(directory, 'kept.safetensors');
    await writeFile(path, 'old');
    for (const length of [0, 3, 5, 400_000]) {
      const data = async (): Promise<Uint8Array> => new Uint8Array(length);
      const write = writeSafetensors(path, [{ name: 'w', dtype: 'F32', shape: [1], data }]);
      await expect(write).rejects.toMatchObject({ code: 'FILE_ENTRY_SIZE_MISMATCH' });
    }
    const write = writeSafetensors(path, [{ ...entry('w', 3), data: bytes(4) }]);
    await expect(write).rejects.toMatchObject({ code: 'FILE_ENTRY_SIZE_MISMATCH' });
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(directory)).toEqual(['kept.safetensors']);
  });

  it('leaves nothing behind when it is cancelled or a producer fails', async () => {
    const path = join(directory, 'gone.safetensors');
    const controller = new AbortController();
    async function* cancelling(): AsyncGenerator<Uint8Array> {
      yield bytes(1);
      controller.abort();
      yield bytes(1);
    }
    const cancelled = writeSafetensors(
      path,
      [{ name: 'w', dtype: 'U8', shape: [2], data: cancelling }],
      { signal: controller.signal },
    );
    await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
    const failing = async (): Promise<Uint8Array> => {
      throw new Error('source is gone');
    };
    const failed = writeSafetensors(path, [{ ...entry('w', 2), data: failing }]);
    await expect(failed).rejects.toThrow('source is gone');
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses a shape that is not one before it creates a file', async () => {
    const path = join(directory, 'shape.safetensors');
    for (const shape of [[-1], [1.5], [2 ** 52, 2]]) {
      const write = writeSafetensors(path, [{ ...entry('w', 1), shape }]);
      await expect(write).rejects.toMatchObject({ name: 'TuneyardError' });
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('names a directory that does not exist', async () => {
    const write = writeSafetensors(join(directory, 'none', 'x.safetensors'), []);
    await expect(write).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', category: 'not_found' });
  });
});

describe('writeShardedSafetensors', () => {
  it('writes shards and an index as Hugging Face names them', async () => {
    const out = join(directory, 'model');
    const entries = [entry('c', 6), entry('b', 5), entry('a', 20), entry('d', 1)];
    const result = await writeShardedSafetensors(out, entries, { maxShardBytes: 11 });
    expect(result.totalSize).toBe(32);
    expect((await readdir(out)).sort()).toEqual([
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
    ]);
    expect(await readFile(join(out, 'model.safetensors.index.json'), 'utf8')).toBe(`{
  "metadata": {
    "total_size": 32
  },
  "weight_map": {
    "a": "model-00002-of-00003.safetensors",
    "b": "model-00001-of-00003.safetensors",
    "c": "model-00001-of-00003.safetensors",
    "d": "model-00003-of-00003.safetensors"
  }
}
`);
    await using reader = await SafetensorsReader.open(out);
    expect([...reader.tensors.keys()]).toEqual(['c', 'b', 'a', 'd']);
    for (const { name, byteLength } of reader.tensors.values()) {
      expect([...(await reader.read(name))]).toEqual([...bytes(byteLength)]);
    }
  });

  it('writes one plain file when everything fits', async () => {
    const result = await writeShardedSafetensors(directory, [entry('a', 5)], { maxShardBytes: 5 });
    expect(result.files).toEqual([join(directory, 'model.safetensors')]);
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('leaves no shard behind when a later one fails', async () => {
    const failing = async (): Promise<Uint8Array> => new Uint8Array(1);
    const write = writeShardedSafetensors(
      directory,
      [entry('a', 4), { ...entry('b', 4), data: failing }],
      { maxShardBytes: 4 },
    );
    await expect(write).rejects.toMatchObject({ code: 'FILE_ENTRY_SIZE_MISMATCH' });
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses a directory where old weights would be read in place of the new ones', async () => {
    await writeFile(join(directory, 'model.safetensors'), 'old');
    const write = writeShardedSafetensors(directory, [entry('a', 4), entry('b', 4)], {
      maxShardBytes: 4,
    });
    await expect(write).rejects.toMatchObject({
      code: 'SAFETENSORS_OUTPUT_CONFLICT',
      category: 'conflict',
    });
    expect(await readdir(directory)).toEqual(['model.safetensors']);
  });

  it('refuses a shard size of nothing', async () => {
    for (const maxShardBytes of [0, -1, Number.NaN]) {
      const write = writeShardedSafetensors(directory, [entry('a', 4)], { maxShardBytes });
      await expect(write).rejects.toMatchObject({ code: 'SAFETENSORS_BAD_SHARD_SIZE' });
    }
  });
});

describe('SafetensorsReader.open on a directory', () => {
  const index = (weightMap: unknown): string => JSON.stringify({ weight_map: weightMap });
  const indexPath = (): string => join(directory, 'model.safetensors.index.json');

  it('takes the only safetensors file, whatever its name', async () => {
    await writeSafetensors(join(directory, 'adapter_model.safetensors'), [entry('a', 4)]);
    await using reader = await SafetensorsReader.open(directory);
    expect([...reader.tensors.keys()]).toEqual(['a']);
  });

  it('says so when there are no weights, or several and no index', async () => {
    await expect(SafetensorsReader.open(directory)).rejects.toMatchObject({
      code: 'SAFETENSORS_NO_WEIGHTS',
      category: 'not_found',
    });
    await writeSafetensors(join(directory, 'one.safetensors'), []);
    await writeSafetensors(join(directory, 'two.safetensors'), []);
    await expect(SafetensorsReader.open(directory)).rejects.toMatchObject({
      code: 'SAFETENSORS_AMBIGUOUS',
    });
  });

  it('refuses an index that leads out of its directory or is none', async () => {
    await writeSafetensors(join(directory, 'secret.safetensors'), [entry('a', 1)]);
    await mkdir(join(directory, 'model'));
    const path = join(directory, 'model', 'model.safetensors.index.json');
    for (const shard of ['../secret.safetensors', '/etc/passwd', '..', '', 'a\\b', 7]) {
      await writeFile(path, index({ a: shard }));
      await expect(SafetensorsReader.open(join(directory, 'model'))).rejects.toMatchObject({
        code: 'SAFETENSORS_BAD_INDEX',
      });
    }
    for (const text of [index([]), index({}), '{"weight_map":null}', '{}']) {
      await writeFile(path, text);
      await expect(SafetensorsReader.open(path)).rejects.toMatchObject({
        code: 'SAFETENSORS_BAD_INDEX',
      });
    }
  });

  it('refuses an index that disagrees with its shards, either way', async () => {
    await writeSafetensors(join(directory, 's.safetensors'), [entry('a', 1), entry('b', 1)]);
    for (const weightMap of [
      { a: 's.safetensors' },
      { a: 's.safetensors', b: 's.safetensors', c: 's.safetensors' },
    ]) {
      await writeFile(indexPath(), index(weightMap));
      await expect(SafetensorsReader.open(directory)).rejects.toMatchObject({
        code: 'SAFETENSORS_INDEX_MISMATCH',
      });
    }
  });

  it('names a shard that is missing', async () => {
    await writeFile(indexPath(), index({ a: 'model-00001-of-00001.safetensors' }));
    await expect(SafetensorsReader.open(directory)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      details: { path: join(directory, 'model-00001-of-00001.safetensors') },
    });
  });
});

describe('SafetensorsReader', () => {
  it('reads into a buffer at an offset, and refuses one that is too small', async () => {
    const path = join(directory, 'x.safetensors');
    await writeSafetensors(path, [entry('a', 4)]);
    await using reader = await SafetensorsReader.open(path);
    const dst = new Uint8Array(6).fill(7);
    await reader.readInto('a', dst, 1);
    expect([...dst]).toEqual([7, 0, 1, 2, 3, 7]);
    for (const offset of [3, -1, 0.5]) {
      await expect(reader.readInto('a', dst, offset)).rejects.toMatchObject({
        code: 'FILE_BAD_DESTINATION',
      });
    }
  });

  it('names a tensor that is not there, and a use after close', async () => {
    const path = join(directory, 'x.safetensors');
    await writeSafetensors(path, [entry('a', 4)]);
    const reader = await SafetensorsReader.open(path);
    await expect(reader.read('b')).rejects.toMatchObject({ code: 'SAFETENSORS_TENSOR_NOT_FOUND' });
    await reader.close();
    await reader.close();
    await expect(reader.read('a')).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  });

  it('reports a file that shrank after it was opened', async () => {
    const path = join(directory, 'x.safetensors');
    await writeSafetensors(path, [entry('a', 4)]);
    await using reader = await SafetensorsReader.open(path);
    await writeFile(path, (await readFile(path)).subarray(0, -2));
    await expect(reader.read('a')).rejects.toMatchObject({ code: 'FILE_SHORT_READ' });
  });
});

import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SafetensorsReader } from '../safetensors/reader.js';
import { RandomAccessFile } from './random-access-file.js';
import { writeFileAtomically } from './staged-file.js';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tuneyard-io-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

describe('writeFileAtomically', () => {
  it('shows the file under its name only once it is whole', async () => {
    const path = join(directory, 'out');
    await writeFile(path, 'old');
    await writeFileAtomically(path, async (sink) => {
      await sink.write(Buffer.from('new'));
      expect(await readFile(path, 'utf8')).toBe('old');
    });
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(directory)).toEqual(['out']);
  });

  it('keeps the order of small and large pieces', async () => {
    const path = join(directory, 'out');
    const lengths = [1, 140_000, 1, 300_000, 5, 100_000, 200_000, 0, 262_144, 7, 131_072, 131_073];
    const pieces = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
    const { bytes } = await writeFileAtomically(path, async (sink) => {
      for (const piece of pieces) await sink.write(piece);
    });
    const wanted = Buffer.concat(pieces);
    expect(bytes).toBe(wanted.length);
    expect(Buffer.compare(await readFile(path), wanted)).toBe(0);
  });

  it('does nothing when it was cancelled before it began', async () => {
    const write = writeFileAtomically(join(directory, 'out'), async () => {}, AbortSignal.abort());
    await expect(write).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('RandomAccessFile', () => {
  it('refuses a directory, and a named pipe instead of waiting for a writer', async () => {
    await expect(RandomAccessFile.open(directory)).rejects.toMatchObject({
      code: 'FILE_NOT_REGULAR',
    });
    const pipe = join(directory, 'pipe.safetensors');
    execFileSync('mkfifo', [pipe]);
    await expect(SafetensorsReader.open(pipe)).rejects.toMatchObject({ code: 'FILE_NOT_REGULAR' });
  });

  it('reads beyond four gigabytes exactly', async () => {
    const path = join(directory, 'sparse');
    const position = 5 * 2 ** 30;
    await writeFile(path, '');
    await truncate(path, position);
    await writeFile(path, 'tail', { flag: 'a' });
    await using file = await RandomAccessFile.open(path);
    expect(Buffer.from(await file.readFresh(4, position)).toString()).toBe('tail');
    await expect(file.readFresh(5, position)).rejects.toMatchObject({ code: 'FILE_SHORT_READ' });
  });

  it('refuses a range beyond the file before it allocates', async () => {
    const path = join(directory, 'small');
    await writeFile(path, 'abc');
    await using file = await RandomAccessFile.open(path);
    await expect(file.readFresh(2 ** 52, 0)).rejects.toMatchObject({ code: 'FILE_SHORT_READ' });
  });
});

import { createHash } from 'node:crypto';
import { open, readFile, truncate } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { crc32 as zlibCrc32 } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  crc32,
  crc32Combine,
  parsePickle,
  planTorchArchive,
  TorchArchiveReader,
  torchDict,
  torchTensor,
  torchToJson,
  writeTorchArchive,
} from '../src/index.js';
import { tableCrc32 } from '../src/torch-pt/kernels/crc32.js';
import { formatPickle } from '../src/torch-pt/pickle/pickle-writer.js';
import { useTemporaryDirectory } from './temporary-directory.js';
import { fixtureNames, writeArchives } from './torch-archives.js';

const fixtures = fileURLToPath(new URL('./fixtures/torch/', import.meta.url));
const json = async (name: string) => JSON.parse(await readFile(`${fixtures}${name}`, 'utf8'));

interface ExpectedTensor {
  dtype: string;
  shape: number[];
  hex: string;
  parameter: boolean;
}
interface ExpectedCase {
  file: string;
  value: unknown;
  tensors: Record<string, ExpectedTensor>;
}

const cases: ExpectedCase[] = [
  ...(await json('expected-2.13.0.json')).cases,
  ...(await json('expected-1.13.1.json')).cases,
];

/** The oracle says `$any` where it does not say how we put a value in words. */
const matcher = (expected: unknown): unknown => {
  if (Array.isArray(expected)) return expected.map(matcher);
  if (typeof expected !== 'object' || expected === null) return expected;
  if ('$any' in expected) return expect.anything();
  return Object.fromEntries(Object.entries(expected).map(([key, value]) => [key, matcher(value)]));
};

describe('a torch file that torch wrote', () => {
  it.each(cases)('$file has the value and the tensors that torch finds', async (expected) => {
    await using reader = await TorchArchiveReader.open(fixtures + expected.file);
    expect(torchToJson(reader.root)).toEqual(matcher(expected.value));
    const found: Record<string, ExpectedTensor> = {};
    for (const { name, dtype, shape, isParameter } of reader.tensors.values()) {
      const hex = Buffer.from(await reader.read(name)).toString('hex');
      found[name] = { dtype, shape: [...shape], hex, parameter: isParameter };
    }
    expect(found).toEqual(expected.tensors);
    await reader.verifyCrc();
  });

  it('has its contiguous tensors where the reader says', async () => {
    const path = `${fixtures}strides.pt`;
    const bytes = await readFile(path);
    await using reader = await TorchArchiveReader.open(path);
    const direct = [...reader.tensors.values()].filter((tensor) => tensor.contiguous);
    expect(direct.map(({ name }) => name)).toEqual([
      'base',
      'rows',
      'one',
      'alone',
      'scalar',
      'empty',
      'emptied',
    ]);
    for (const { name, begin, byteLength } of direct) {
      const there = bytes.subarray(begin, begin + byteLength);
      expect(Buffer.from(await reader.read(name)), name).toEqual(there);
      const dst = new Uint8Array(byteLength + 2).fill(9);
      await reader.readInto(name, dst, 1);
      expect(Buffer.from(dst.subarray(1, -1)), name).toEqual(there);
    }
  });

  it('tells tensors that share a storage', async () => {
    await using reader = await TorchArchiveReader.open(`${fixtures}shared.pt`);
    const storage = (name: string) => reader.tensors.get(name)!.storage;
    expect([...reader.tensors.keys()]).toEqual([
      'first\u001fweight',
      'second\u001fweight',
      'tied',
      'view',
    ]);
    expect(storage('view')).toBe(storage('tied'));
    expect(storage('second\u001fweight')).toBe(storage('tied'));
    expect(reader.tensors.get('view')!.begin).toBe(reader.tensors.get('tied')!.begin + 4);
  });
});

describe('an archive inside a larger file', () => {
  const directory = useTemporaryDirectory();

  it('is read in place, with offsets of the larger file', async () => {
    const archive = await readFile(`${fixtures}dtypes.pt`);
    const path = await directory.save('outer', Buffer.concat([Buffer.alloc(70), archive, archive]));
    const { RandomAccessFile } = await import('../src/io/random-access-file.js');
    await using file = await RandomAccessFile.open(path);
    const begin = 70 + archive.length;
    await using outer = await TorchArchiveReader.openWithin(file, {
      begin,
      byteLength: archive.length,
    });
    await using alone = await TorchArchiveReader.open(`${fixtures}dtypes.pt`);
    for (const { name, begin: at } of alone.tensors.values()) {
      expect(outer.tensors.get(name)!.begin).toBe(begin + at);
      expect(await outer.read(name)).toEqual(await alone.read(name));
    }
    await outer.close();
    expect(await file.readFresh(2, begin)).toEqual(Uint8Array.from([0x50, 0x4b]));
  });
});

describe('a pickle of Python', async () => {
  const expected = await json('pickles.json');

  it.each(expected.pickles as { protocol: number; hex: string; optimized: string }[])(
    'of protocol $protocol reads as its value, and again after both rewrites',
    ({ protocol, hex, optimized }) => {
      for (const text of [hex, optimized]) {
        const bytes = Buffer.from(text, 'hex');
        const read = parsePickle(bytes, { where: 'pickle' });
        expect(read.end).toBe(bytes.length);
        expect(read.protocol).toBe(protocol < 2 ? 0 : protocol);
        expect(torchToJson(read.value)).toEqual(matcher(expected.value));
        for (const written of [2, 4] as const) {
          const again = parsePickle(formatPickle(read.value, written).bytes, { where: 'again' });
          expect(again.value).toEqual(read.value);
        }
      }
    },
  );
});

describe('an archive written again', () => {
  const directory = useTemporaryDirectory();

  // Not "module": there Python has equal strings as two objects, and this writer has each string once.
  it.each(['dtypes', 'strides', 'megatron', 'shared', 'tensor', 'tiny'])(
    '%s has the bytes that torch gave it',
    async (name) => {
      await using reader = await TorchArchiveReader.open(`${fixtures}${name}.pt`);
      const { archiveName, serializationId } = reader;
      const path = directory.path(`${name}.pt`);
      await writeTorchArchive(path, reader.root, (s) => () => reader.readStorage(s), {
        archiveName,
        ...(serializationId === null ? {} : { serializationId }),
      });
      expect(await readFile(path)).toEqual(await readFile(`${fixtures}${name}.pt`));
    },
  );

  it('has the checksum half of the mark that torch gave it', async () => {
    await using reader = await TorchArchiveReader.open(`${fixtures}megatron.pt`);
    const path = directory.path('megatron.pt');
    await writeTorchArchive(path, reader.root, (s) => () => reader.readStorage(s));
    await using again = await TorchArchiveReader.open(path);
    expect(again.serializationId).toHaveLength(40);
    expect(again.serializationId!.slice(20)).toBe(reader.serializationId!.slice(20));
  });

  it('is the file that torch.load read for the oracle', async () => {
    const checked = await json('written.json');
    const written = await writeArchives(directory.path('written'));
    const hashes = await Promise.all(
      written.map(async (path) =>
        createHash('sha256')
          .update(await readFile(path))
          .digest('hex'),
      ),
    );
    expect(hashes).toEqual(checked.files.map((file: { sha256: string }) => file.sha256));
    expect(checked.files).toHaveLength(2 * fixtureNames.length + 4);
    for (const file of checked.files) {
      expect(file).toMatchObject({ full: 'equal' });
      const isLoadable = file.protocol === 2 && !file.file.startsWith('plain');
      expect(file.weightsOnly).toBe(isLoadable ? 'equal' : null);
    }
  });
});

describe('a plan of an archive', () => {
  it('gives the same file whatever the order in which tensors are written', async () => {
    await using reader = await TorchArchiveReader.open(`${fixtures}dtypes.pt`);
    const { root, archiveName, serializationId } = reader;
    const plan = planTorchArchive({ root, archiveName, serializationId: serializationId! });
    const file = Buffer.alloc(plan.size);
    const crcs = new Map<string, number>();
    for (const [name, { begin, byteLength }] of [...plan.tensors].reverse()) {
      const bytes = await reader.read(name);
      expect(bytes).toHaveLength(byteLength);
      file.set(bytes, begin);
      const half = Math.floor(byteLength / 2);
      const parts = [bytes.subarray(0, half), bytes.subarray(half)] as const;
      crcs.set(name, crc32Combine(crc32(parts[0]), crc32(parts[1]), byteLength - half));
    }
    for (const { at, bytes } of plan.fixed(crcs)) file.set(bytes, at);
    expect(file).toEqual(await readFile(`${fixtures}dtypes.pt`));
  });
});

describe('an archive beyond four gigabytes', () => {
  const directory = useTemporaryDirectory();
  const bytesOfA = 2 ** 32 + 16;

  const sparse = async (large: { size: number; parts: { at: number; hex: string }[] }) => {
    const path = await directory.save('large.pt', '');
    await truncate(path, large.size);
    const handle = await open(path, 'r+');
    for (const { at, hex } of large.parts) await handle.write(Buffer.from(hex, 'hex'), 0, null, at);
    await handle.close();
    return path;
  };

  it('of torch is read where its tensors lie', async () => {
    await using reader = await TorchArchiveReader.open(await sparse(await json('large.json')));
    const places = [...reader.tensors.values()].map(({ begin, byteLength }) => [begin, byteLength]);
    expect(places).toEqual([
      [832, bytesOfA],
      [4_294_968_256, 12],
      [4_294_968_384, 0],
    ]);
    expect(new Float32Array((await reader.read('b')).buffer)).toEqual(Float32Array.of(1, 1, 1));
  });

  it('is planned with the bytes that torch gives it', async () => {
    const large = await json('large.json');
    const root = torchDict([
      ['a', torchTensor({ dtype: 'uint8', shape: [bytesOfA] })],
      ['b', torchTensor({ dtype: 'float32', shape: [3] })],
      ['c', torchTensor({ dtype: 'float32', shape: [0] })],
    ]);
    const serializationId = /\d{40}/.exec(
      Buffer.from(large.parts[1].hex, 'hex').toString('latin1'),
    );
    const plan = planTorchArchive({
      root,
      archiveName: 'large',
      serializationId: serializationId![0],
    });
    expect(plan.size).toBe(large.size);
    let zeros = crc32(Uint8Array.of(0));
    for (let length = 1; length < 2 ** 32; length *= 2) zeros = crc32Combine(zeros, zeros, length);
    const crcs = new Map([
      ['a', crc32Combine(zeros, crc32(new Uint8Array(16)), 16)],
      ['b', crc32(new Uint8Array(Float32Array.of(1, 1, 1).buffer))],
      ['c', 0],
    ]);
    const b = { at: 4_294_968_256, bytes: new Uint8Array(Float32Array.of(1, 1, 1).buffer) };
    const planned = [...plan.fixed(crcs), b];
    for (const { at, hex } of large.parts as { at: number; hex: string }[]) {
      const wanted = Buffer.from(hex, 'hex');
      const found = Buffer.alloc(wanted.length);
      for (const part of planned) {
        const within = part.at - at;
        if (within >= 0 && within < found.length) found.set(part.bytes, within);
      }
      expect(found).toEqual(wanted);
    }
  });
});

describe('crc32', () => {
  it('agrees with zlib, and combines parts of any length', () => {
    const bytes = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7919) >> 3);
    expect(tableCrc32(bytes)).toBe(zlibCrc32(bytes));
    for (const cut of [0, 1, 2, 3, 255, 256, 4096, 4999, 5000]) {
      const a = bytes.subarray(0, cut);
      const b = bytes.subarray(cut);
      expect(crc32(b, crc32(a))).toBe(zlibCrc32(bytes));
      expect(tableCrc32(b, tableCrc32(a))).toBe(zlibCrc32(bytes));
      expect(crc32Combine(crc32(a), crc32(b), b.length)).toBe(zlibCrc32(bytes));
    }
  });

  it('combines parts larger than 32 bits can count', () => {
    // 2^33 zero bytes, doubled up from one.
    let crc = crc32(Uint8Array.of(0));
    for (let length = 1; length < 2 ** 33; length *= 2) crc = crc32Combine(crc, crc, length);
    const one = crc32(Uint8Array.of(1));
    const whole = crc32Combine(one, crc, 2 ** 33);
    const halves = crc32Combine(one, crc32Combine(crc, 0, 0), 2 ** 33);
    expect(whole).toBe(halves);
    let slow = one;
    for (let i = 0; i < 2; i++) {
      let half = crc32(Uint8Array.of(0));
      for (let length = 1; length < 2 ** 32; length *= 2) half = crc32Combine(half, half, length);
      slow = crc32Combine(slow, half, 2 ** 32);
    }
    expect(whole).toBe(slow);
  });
});

import { readdir, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { TuneyardError } from '@tuneyard/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parsePickle,
  planTorchArchive,
  TorchArchiveReader,
  type TorchValue,
  torchToJson,
} from '../src/index.js';
import { useTemporaryDirectory } from './temporary-directory.js';
import { archive, named, pickle, tensorOps, text, type ZipPart, zipFile } from './torch-bytes.js';

const fixtures = fileURLToPath(new URL('./fixtures/torch/', import.meta.url));

const EMPTY = pickle(0x80, 2, '}.');
const VERSION: ZipPart = { name: 'a/version', data: Buffer.from('3\n') };
const PICKLE: ZipPart = { name: 'a/data.pkl', data: EMPTY };
const FLOATS = { '0': new Uint8Array(16) };

/** `value` under the key "w". */
const holding = (...ops: readonly (string | number | Uint8Array)[]): Buffer =>
  pickle(0x80, 2, '}', text('w'), ...ops, 's.');

const call = (module: string, name: string, argument = text('id')): Buffer =>
  holding(named(module, name), argument, 0x85, 'R');

const tensor = (options: Parameters<typeof tensorOps>[0]): Buffer =>
  archive(holding(tensorOps(options)), FLOATS);

const wide = (...values: readonly bigint[]): Buffer => {
  const bytes = Buffer.alloc(4 + 8 * values.length);
  bytes.writeUInt16LE(1, 0);
  bytes.writeUInt16LE(8 * values.length, 2);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(value, 4 + 8 * i);
  return bytes;
};

const FORBIDDEN: readonly [string, string][] = [
  ['os', 'system'],
  ['posix', 'system'],
  ['nt', 'system'],
  ['subprocess', 'Popen'],
  ['subprocess', 'check_output'],
  ['builtins', 'eval'],
  ['__builtin__', 'exec'],
  ['builtins', '__import__'],
  ['builtins', 'open'],
  ['builtins', 'getattr'],
  ['sys', 'exit'],
  ['runpy', '_run_code'],
  ['importlib', 'import_module'],
  ['importlib.util', 'find_spec'],
  ['pickle', 'loads'],
  ['shutil', 'rmtree'],
  ['socket', 'create_connection'],
  ['ctypes', 'CDLL'],
  ['webbrowser', 'open'],
  ['operator', 'attrgetter'],
  ['types', 'FunctionType'],
  ['pty', 'spawn'],
  ['torch', 'load'],
  ['torch.hub', 'load'],
  ['torch.serialization', 'load'],
  ['torch.utils.cpp_extension', 'load_inline'],
  ['torch.jit', 'load'],
  ['numpy', 'load'],
  ['numpy.testing._private.utils', 'runstring'],
];

const ATTACKS = FORBIDDEN.map(([module, name]): [string, Buffer] => [
  `calls ${module}.${name}`,
  archive(call(module, name)),
]);

/** A hundred million paths of nine levels of ten: a list of ten times the list before. */
const laughs = (leaf: Buffer, levels: number): Buffer => {
  const pieces: (string | number | Uint8Array)[] = [0x80, 2, leaf, 'q', 0];
  for (let level = 1; level <= levels; level++) {
    pieces.push('](', ...Array.from({ length: 10 }, () => pickle('h', level - 1)), 'eq', level);
  }
  return pickle(...pieces, '.');
};

const HOSTILE: readonly (readonly [code: string, title: string, bytes: Uint8Array])[] = [
  ...ATTACKS.map(([title, bytes]) => ['PICKLE_FORBIDDEN_GLOBAL', title, bytes] as const),
  [
    'PICKLE_FORBIDDEN_GLOBAL',
    'makes an instance of a forbidden class',
    archive(holding(named('subprocess', 'Popen'), text('id'), 0x85, 0x81)),
  ],
  [
    'PICKLE_FORBIDDEN_GLOBAL',
    'names a function by the opcode of old instances',
    archive(holding('(', text('id'), 'ios\nsystem\n')),
  ],
  [
    'PICKLE_FORBIDDEN_GLOBAL',
    'reaches a module through another, by a dotted name',
    archive(holding(text('torch'), text('os.system'), 0x93)),
  ],
  [
    'PICKLE_FORBIDDEN_GLOBAL',
    'reaches for the globals of a function',
    archive(holding(text('collections'), text('OrderedDict.__init__.__globals__'), 0x93)),
  ],
  [
    'PICKLE_FORBIDDEN_GLOBAL',
    'takes the attribute of an object that it made',
    archive(
      holding(
        named('builtins', 'getattr'),
        named('datetime', 'datetime'),
        ')R',
        text('x'),
        0x86,
        'R',
      ),
    ),
  ],
  [
    'PICKLE_FORBIDDEN_GLOBAL',
    'calls what another call gave',
    archive(holding(named('functools', 'partial'), named('my', 'f'), 0x85, 'R)R')),
  ],
  [
    'PICKLE_LIMIT',
    'opens more marks than any writer',
    archive(pickle(0x80, 2, '('.repeat(2000), '.')),
  ],
  [
    'PICKLE_LIMIT',
    'nests tuples a hundred thousand deep without a mark',
    archive(pickle(0x80, 2, ')', Buffer.alloc(100_000, 0x85), '.')),
  ],
  [
    'PICKLE_LIMIT',
    'nests lists deeper by way of shared ones',
    archive(
      pickle(
        0x80,
        2,
        ']',
        ...Array.from({ length: 150 }, () => pickle(0x85)),
        'q\x00]h\x00',
        ...Array.from({ length: 150 }, () => pickle(0x85)),
        'a.',
      ),
    ),
  ],
  [
    'PICKLE_LIMIT',
    'has ten to the ninth paths to one tensor',
    archive(laughs(tensorOps({}), 9), FLOATS),
  ],
  [
    'PICKLE_LIMIT',
    'has an integer of two thousand bytes',
    archive(pickle(0x80, 2, 0x8b, Buffer.from('d0070000', 'hex'), Buffer.alloc(2000, 1), '.')),
  ],
  [
    'PICKLE_TRUNCATED',
    'has a string longer than itself',
    archive(pickle(0x80, 2, 'X\xff\xff\xff\x7f.')),
  ],
  [
    'PICKLE_TRUNCATED',
    'has bytes of almost 2^64',
    archive(pickle(0x80, 4, 0x8e, Buffer.alloc(8, 0xff), '.')),
  ],
  [
    'PICKLE_TRUNCATED',
    'has a frame longer than itself',
    archive(pickle(0x80, 4, 0x95, Buffer.alloc(8, 0x7f), '}.')),
  ],
  ['PICKLE_TRUNCATED', 'does not stop', archive(pickle(0x80, 2, '}'))],
  ['PICKLE_BAD_OPCODE', 'has an unknown opcode', archive(pickle(0x80, 2, 0xff, '.'))],
  ['PICKLE_BAD_OPCODE', 'uses the extension registry', archive(pickle(0x80, 2, 0x82, 1, '.'))],
  ['PICKLE_BAD_OPCODE', 'uses a buffer from outside', archive(pickle(0x80, 5, 0x97, '.'))],
  ['PICKLE_BAD_OPCODE', 'has a protocol of the future', archive(pickle(0x80, 9, '}.'))],
  ['PICKLE_MALFORMED', 'takes what is not on the stack', archive(pickle(0x80, 2, 's.'))],
  ['PICKLE_MALFORMED', 'takes what lies below a mark', archive(pickle(0x80, 2, '}(', 0x85, '.'))],
  ['PICKLE_MALFORMED', 'recalls what it did not remember', archive(pickle(0x80, 2, 'h\x05.'))],
  ['PICKLE_MALFORMED', 'sets a key without a value', archive(pickle(0x80, 2, '}(K\x01u.'))],
  ['PICKLE_MALFORMED', 'appends to a number', archive(pickle(0x80, 2, 'K\x01K\x02a.'))],
  ['PICKLE_MALFORMED', 'gives a state to a dict', archive(pickle(0x80, 2, '}}b.'))],
  [
    'PICKLE_MALFORMED',
    'gives a namespace its attributes over and over',
    archive(
      pickle(
        0x80,
        2,
        named('argparse', 'Namespace'),
        ')',
        0x81,
        '}',
        text('a'),
        'K\x01sq\x00bh\x00b.',
      ),
    ),
  ],
  [
    'PICKLE_MALFORMED',
    'has text that is not UTF-8',
    archive(pickle(0x80, 2, 'X\x01\x00\x00\x00\xff.')),
  ],
  [
    'PICKLE_DUPLICATE_KEY',
    'has a key twice',
    archive(pickle(0x80, 2, '}', text('w'), 'K\x01s', text('w'), 'K\x02s.')),
  ],
  [
    'PICKLE_DUPLICATE_KEY',
    'has a key as 1 and as True',
    archive(pickle(0x80, 2, '}K\x01K\x01s', 0x88, 'K\x02s.')),
  ],
  [
    'PICKLE_DUPLICATE_KEY',
    'has two tensors under one path',
    archive(pickle(0x80, 2, '}', text('1'), tensorOps({}), 'sK\x01', tensorOps({}), 's.'), FLOATS),
  ],
  [
    'PICKLE_BAD_PERSISTENT_ID',
    'names a module from outside',
    archive(holding('(', text('module'), text('x'), 'tQ')),
  ],
  ['PICKLE_BAD_PERSISTENT_ID', 'names a storage by a line of text', archive(pickle('Pstorage\n.'))],
  ['PICKLE_BAD_PERSISTENT_ID', 'has a storage of a negative size', tensor({ numel: -4 })],
  ['PICKLE_BAD_PERSISTENT_ID', 'has a storage of 2^60 elements', tensor({ numel: 2 ** 60 })],
  [
    'PICKLE_BAD_PERSISTENT_ID',
    'has a storage of an unknown type',
    tensor({ storage: named('torch', 'MysteryStorage') }),
  ],
  [
    'PICKLE_BAD_PERSISTENT_ID',
    'has one storage in two sizes',
    archive(
      pickle(0x80, 2, '](', tensorOps({}), tensorOps({ numel: 3, shape: [3] }), 'e.'),
      FLOATS,
    ),
  ],
  ['PICKLE_BAD_TENSOR', 'has a tensor beyond its storage', tensor({ shape: [5] })],
  ['PICKLE_BAD_TENSOR', 'has a tensor that starts at the end', tensor({ offset: 4, shape: [1] })],
  ['PICKLE_BAD_TENSOR', 'has a negative offset', tensor({ offset: -1 })],
  ['PICKLE_BAD_TENSOR', 'has a negative stride', tensor({ strides: [-1], offset: 3 })],
  ['PICKLE_BAD_TENSOR', 'has a huge stride', tensor({ shape: [2], strides: [2 ** 52] })],
  ['PICKLE_BAD_TENSOR', 'has a negative dimension', tensor({ shape: [-4] })],
  [
    'PICKLE_BAD_TENSOR',
    'has dimensions whose product overflows',
    tensor({ shape: [2 ** 30, 2 ** 30], strides: [0, 0] }),
  ],
  [
    'PICKLE_BAD_TENSOR',
    'has more dimensions than strides',
    tensor({ shape: [2, 2], strides: [1] }),
  ],
  [
    'PICKLE_BAD_TENSOR',
    'has seventy dimensions',
    tensor({ shape: new Array(70).fill(1), strides: new Array(70).fill(1) }),
  ],
  [
    'PICKLE_BAD_TENSOR',
    'has a tensor without a storage',
    archive(holding(named('torch._utils', '_rebuild_tensor_v2'), '(NK\x00))tR')),
  ],
  [
    'ARCHIVE_STORAGE_MISMATCH',
    'names a storage that is not there',
    archive(holding(tensorOps({}))),
  ],
  [
    'ARCHIVE_STORAGE_MISMATCH',
    'has a storage shorter than it says',
    archive(holding(tensorOps({})), { '0': new Uint8Array(15) }),
  ],
  [
    'ARCHIVE_STORAGE_MISMATCH',
    'has a storage longer than it says',
    archive(holding(tensorOps({})), { '0': new Uint8Array(20) }),
  ],
  [
    'ARCHIVE_BAD_NAME',
    'has an entry that climbs out',
    archive(EMPTY, {}, [{ name: 'a/../../etc/passwd', data: EMPTY }]),
  ],
  [
    'ARCHIVE_BAD_NAME',
    'has an absolute entry',
    archive(EMPTY, {}, [{ name: '/etc/passwd', data: EMPTY }]),
  ],
  [
    'ARCHIVE_BAD_NAME',
    'has an entry on a drive',
    archive(EMPTY, {}, [{ name: 'C:/x', data: EMPTY }]),
  ],
  [
    'ARCHIVE_BAD_NAME',
    'has an entry with backslashes',
    archive(EMPTY, {}, [{ name: 'a\\..\\x', data: EMPTY }]),
  ],
  [
    'ARCHIVE_BAD_NAME',
    'has an entry with a zero byte',
    archive(EMPTY, {}, [{ name: 'a/x\0y', data: EMPTY }]),
  ],
  [
    'ARCHIVE_BAD_NAME',
    'has an entry without a name',
    archive(EMPTY, {}, [{ name: '', data: EMPTY }]),
  ],
  ['ARCHIVE_BAD_NAME', 'has two entries of one name', archive(EMPTY, {}, [VERSION])],
  [
    'ARCHIVE_OFFSETS_OVERLAP',
    'has two entries in one place',
    archive(EMPTY, {}, [{ name: 'a/version2', data: EMPTY, listed: { at: 0 } }]),
  ],
  [
    'ARCHIVE_OFFSETS_OVERLAP',
    'has an entry inside another',
    archive(EMPTY, {}, [{ name: 'a/version2', data: EMPTY, listed: { at: 10 } }]),
  ],
  [
    'ARCHIVE_OFFSETS_HOLE',
    'hides bytes between entries',
    zipFile([PICKLE, { ...VERSION, gap: 100 }]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has a header of another name than the list',
    zipFile([{ ...PICKLE, headerName: 'a/data.pkX' }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has an encrypted entry',
    zipFile([{ ...PICKLE, listed: { flags: 1 } }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has an unknown compression',
    zipFile([{ ...PICKLE, listed: { method: 14 } }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'is stored in one place and compressed in the other',
    zipFile([{ ...PICKLE, header: { method: 8 } }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has another size in the header',
    zipFile([{ ...PICKLE, header: { size: 9 } }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has another checksum in the header',
    zipFile([{ ...PICKLE, header: { crc: 9 } }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has an entry larger than the file',
    zipFile([PICKLE, { ...VERSION, listed: { stored: 1e6, size: 1e6 } }]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'stores more than it holds',
    zipFile([PICKLE, { ...VERSION, listed: { size: 1e6 } }]),
  ],
  [
    'ARCHIVE_OFFSETS_HOLE',
    'has an entry past the end',
    zipFile([PICKLE, { ...VERSION, listed: { at: 0xffff_fffe } }]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has an entry on another disk',
    zipFile([PICKLE, { ...VERSION, listed: { disk: 3 } }]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'has a 64-bit size of almost 2^64',
    zipFile([
      PICKLE,
      {
        ...VERSION,
        listed: { stored: 0xffff_ffff, size: 0xffff_ffff },
        listedExtra: wide(2n ** 64n - 1n, 2n ** 64n - 1n),
      },
    ]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'lacks the 64-bit size that it announces',
    zipFile([PICKLE, { ...VERSION, listed: { stored: 0xffff_ffff, size: 0xffff_ffff } }]),
  ],
  [
    'ARCHIVE_BAD_ENTRY',
    'lacks the sizes that should follow an entry',
    zipFile([PICKLE, { ...VERSION, listed: { flags: 8 }, header: { flags: 8 } }]),
  ],
  [
    'ARCHIVE_CRC_MISMATCH',
    'has a wrong checksum',
    zipFile([{ ...PICKLE, listed: { crc: 1 }, header: { crc: 1 } }, VERSION]),
  ],
  [
    'ARCHIVE_INFLATED_SIZE',
    'is a bomb that declares its size',
    zipFile([
      {
        name: 'a/data.pkl',
        data: Buffer.alloc(3 * 2 ** 20),
        deflate: true,
        listed: { size: 2 ** 31 },
      },
      VERSION,
    ]),
  ],
  [
    'ARCHIVE_INFLATED_SIZE',
    'is a bomb that declares a small size',
    zipFile([
      {
        name: 'a/data.pkl',
        data: Buffer.alloc(3 * 2 ** 20),
        deflate: true,
        listed: { size: 100 },
        header: { size: 100 },
      },
      VERSION,
    ]),
  ],
  [
    'ARCHIVE_INFLATED_SIZE',
    'has data that are not compressed as they say',
    zipFile([{ ...PICKLE, listed: { method: 8 }, header: { method: 8 } }, VERSION]),
  ],
  [
    'ARCHIVE_BAD_DIRECTORY',
    'has a comment that holds another end',
    zipFile([PICKLE, VERSION], { comment: zipFile([]) }),
  ],
  [
    'ARCHIVE_BAD_DIRECTORY',
    'counts more entries than it lists',
    zipFile([PICKLE, VERSION], { count: 9 }),
  ],
  [
    'ARCHIVE_BAD_DIRECTORY',
    'counts fewer entries than it lists',
    zipFile([PICKLE, VERSION], { count: 1 }),
  ],
  ['ARCHIVE_BAD_DIRECTORY', 'has a list elsewhere', zipFile([PICKLE, VERSION], { directoryAt: 3 })],
  [
    'ARCHIVE_BAD_DIRECTORY',
    'has a list of almost 2^32 bytes',
    zipFile([PICKLE, VERSION], { directorySize: 0xffff_fffe }),
  ],
  [
    'ARCHIVE_BAD_DIRECTORY',
    'refers to 64-bit records that it lacks',
    zipFile([PICKLE, VERSION], { count: 0xffff }),
  ],
  ['ARCHIVE_BAD_DIRECTORY', 'is one of several parts', zipFile([PICKLE, VERSION], { disk: 1 })],
  [
    'ARCHIVE_BAD_DIRECTORY',
    'has bytes in front that offsets do not count',
    zipFile([PICKLE, VERSION], { prefix: Buffer.from('PK\x03\x04'), directoryAt: 0 }),
  ],
  ['ARCHIVE_NO_DIRECTORY', 'has no end', Buffer.from('PK\x03\x04 and so on'.padEnd(100))],
  ['ARCHIVE_BAD_LAYOUT', 'holds no pickle', zipFile([VERSION])],
  [
    'ARCHIVE_BAD_LAYOUT',
    'holds two archives',
    archive(EMPTY, {}, [{ name: 'b/data.pkl', data: EMPTY }]),
  ],
  ['ARCHIVE_BAD_LAYOUT', 'has no version', zipFile([PICKLE])],
  [
    'ARCHIVE_BAD_LAYOUT',
    'has a version of the future',
    zipFile([PICKLE, { ...VERSION, data: Buffer.from('99') }]),
  ],
  ['ARCHIVE_BAD_LAYOUT', 'has bytes after the pickle', archive(pickle(0x80, 2, '}.}'))],
  [
    'ARCHIVE_BAD_LAYOUT',
    'has an unknown byte order',
    archive(EMPTY, {}, [{ name: 'a/byteorder', data: Buffer.from('pdp') }]),
  ],
  [
    'ARCHIVE_WRONG_BYTE_ORDER',
    'is big-endian',
    archive(EMPTY, {}, [{ name: 'a/byteorder', data: Buffer.from('big') }]),
  ],
  [
    'ARCHIVE_UNSUPPORTED',
    'is a TorchScript program',
    archive(EMPTY, {}, [{ name: 'a/constants.pkl', data: EMPTY }]),
  ],
  [
    'ARCHIVE_UNSUPPORTED',
    'is a tar file of torch 0.1',
    Buffer.concat([Buffer.alloc(257, 0x61), Buffer.from('ustar\0'), Buffer.alloc(300)]),
  ],
  ['ARCHIVE_BAD_MAGIC', 'is empty', Buffer.alloc(0)],
  ['ARCHIVE_BAD_MAGIC', 'is a plain pickle', EMPTY],
  [
    'ARCHIVE_BAD_MAGIC',
    'is a pointer of Git LFS',
    Buffer.from('version https://git-lfs.github.com/spec/v1\n'),
  ],
];

describe('a hostile torch file', () => {
  const directory = useTemporaryDirectory();

  it.each(HOSTILE)('is refused with %s when it %s', async (code, _, bytes) => {
    const path = await directory.save('hostile.pt', bytes);
    await expect(TorchArchiveReader.open(path)).rejects.toMatchObject({
      name: 'TuneyardError',
      code: `TORCH_${code}`,
      category: 'invalid_input',
      message: expect.stringContaining(path),
    });
  });

  it('that holds itself is read without an end', async () => {
    const ring = pickle(0x80, 2, ']q\x00(h\x00', tensorOps({}), 'e.');
    await using reader = await TorchArchiveReader.open(
      await directory.save('ring.pt', archive(ring, FLOATS)),
    );
    expect([...reader.tensors.keys()]).toEqual(['1']);
    expect(reader.root).toMatchObject({ kind: 'list' });
  });

  it('with ten to the ninth paths to a number costs nothing', async () => {
    const path = await directory.save('laughs.pt', archive(laughs(pickle('K\x01'), 9)));
    await using reader = await TorchArchiveReader.open(path);
    expect(reader.tensors.size).toBe(0);
  });

  it('with copies of a large list in every set stops at its budget', () => {
    const list = pickle(']q\x00(', ...Array.from({ length: 20_000 }, () => 'N'), 'e');
    const copies = Array.from({ length: 2000 }, () =>
      pickle(named('builtins', 'set'), 'h\x00', 0x85, 'R0'),
    );
    const bytes = pickle(0x80, 2, list, ...copies, '.');
    expect(() => parsePickle(bytes, { where: 'bomb' })).toThrow('too many values');
  });

  it('that repeats one number a billion times is not read out', async () => {
    const bytes = archive(holding(tensorOps({ shape: [2 ** 30], strides: [0] })), FLOATS);
    await using reader = await TorchArchiveReader.open(await directory.save('wide.pt', bytes));
    await expect(reader.read('w')).rejects.toMatchObject({
      code: 'TORCH_ARCHIVE_EXPANDED_TOO_LARGE',
    });
  });

  it('with a damaged storage is found out by its checksum', async () => {
    const bytes = archive(holding(tensorOps({})), FLOATS);
    bytes[bytes.indexOf('a/data/0') + 10]! ^= 1;
    await using reader = await TorchArchiveReader.open(await directory.save('damaged.pt', bytes));
    await expect(reader.verifyCrc()).rejects.toMatchObject({
      code: 'TORCH_ARCHIVE_CRC_MISMATCH',
      message: expect.stringContaining('a/data/0'),
    });
  });

  it('keeps unknown classes as they are and calls none', async () => {
    const path = await directory.save('unknown.pt', archive(call('my.module', 'Class')));
    await using reader = await TorchArchiveReader.open(path);
    expect(reader.root).toMatchObject({
      entries: [
        ['w', { kind: 'object', construction: 'reduce', callable: { module: 'my.module' } }],
      ],
    });
  });

  it('may name a member of an enumeration by getattr, as Python 3.11.0 did', async () => {
    const bytes = archive(
      holding(named('builtins', 'getattr'), named('my.enums', 'Kind'), text('auto'), 0x86, 'R'),
    );
    await using reader = await TorchArchiveReader.open(await directory.save('enum.pt', bytes));
    expect(torchToJson(reader.root)).toEqual({ w: 'getattr("my.enums.Kind", "auto")' });
  });

  it('names an unknown tensor, and a use after close', async () => {
    const path = await directory.save('plain.pt', tensor({}));
    const reader = await TorchArchiveReader.open(path);
    await expect(reader.read('v')).rejects.toMatchObject({
      code: 'TORCH_ARCHIVE_TENSOR_NOT_FOUND',
      category: 'not_found',
    });
    await reader.close();
    await reader.close();
    await expect(reader.read('w')).rejects.toMatchObject({ code: 'FILE_CLOSED' });
  });
});

describe('a damaged torch file', () => {
  const directory = useTemporaryDirectory();

  /** Opens the file and reads everything in it; a refusal must be ours. */
  const readOrRefuse = async (bytes: Uint8Array): Promise<TuneyardError | null> => {
    const path = await directory.save('damaged.pt', bytes);
    try {
      await using reader = await TorchArchiveReader.open(path);
      for (const name of reader.tensors.keys()) await reader.read(name);
      return null;
    } catch (error) {
      if (error instanceof TuneyardError && error.category === 'invalid_input') return error;
      throw error;
    }
  };

  it.each(['legacy.pt', 'deflated.pt', 'torch-1.13.1-shared.pt'])(
    '%s is refused when it is cut, at any of many bytes',
    async (name) => {
      const whole = await readFile(fixtures + name);
      const step = Math.max(1, Math.floor(whole.length / 400));
      for (let length = 0; length < whole.length; length += step) {
        expect(await readOrRefuse(whole.subarray(0, length)), `${length} bytes`).not.toBeNull();
      }
      expect(await readOrRefuse(whole)).toBeNull();
    },
  );

  it('is read or refused whichever bits are flipped, and never fails otherwise', async () => {
    const names = (await readdir(fixtures)).filter((name) => name.endsWith('.pt'));
    const files = await Promise.all(names.map((name) => readFile(fixtures + name)));
    const flips = fc.array(fc.nat(2 ** 20), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...files), flips, async (whole, bits) => {
        const bytes = Buffer.from(whole);
        for (const bit of bits) bytes[(bit >> 3) % bytes.length]! ^= 1 << (bit & 7);
        await readOrRefuse(bytes);
      }),
      { seed: 20_261_125, numRuns: 600 },
    );
  });

  it('has a pickle that is read or refused whatever its bytes are', async () => {
    const expected = JSON.parse(await readFile(`${fixtures}pickles.json`, 'utf8'));
    const wholes: Buffer[] = expected.pickles.map(({ optimized }: { optimized: string }) =>
      Buffer.from(optimized, 'hex'),
    );
    const changes = fc.array(fc.tuple(fc.nat(2 ** 20), fc.nat(255)), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(fc.constantFrom(...wholes), changes, (whole, list) => {
        const bytes = Buffer.from(whole);
        for (const [at, to] of list) bytes[at % bytes.length] = to;
        try {
          parsePickle(bytes, { where: 'fuzzed' });
        } catch (error) {
          if (!(error instanceof TuneyardError && error.category === 'invalid_input')) throw error;
        }
      }),
      { seed: 20_261_125, numRuns: 3000 },
    );
  });
});

describe('a value that has no place in an archive', () => {
  const deep = (levels: number): TorchValue =>
    levels === 0 ? 1 : { kind: 'list', items: [deep(levels - 1)] };
  const dict = (...entries: [TorchValue, TorchValue][]): TorchValue => ({
    kind: 'dict',
    type: 'dict',
    entries,
  });

  it.each<[string, TorchValue, string]>([
    ['a string with half a character', '\ud800', 'not valid Unicode'],
    ['a key twice', dict(['a', 1], ['a', 2]), 'appears twice'],
    ['nesting beyond the limit', deep(250), 'deeper than 200'],
    [
      'attributes on a plain dict',
      { kind: 'dict', type: 'dict', entries: [], attributes: 1 },
      'attributes',
    ],
    ['an integer of a thousand bytes', 2n ** 8000n, '255 bytes'],
    [
      'an attribute that is named by a number',
      {
        kind: 'namespace',
        type: 'argparse.Namespace',
        attributes: { kind: 'dict', type: 'dict', entries: [[1, 2]] },
      },
      'not named by a string',
    ],
    [
      'an object made with keywords, in protocol 2',
      { kind: 'object', construction: 'newobj_ex', callable: null, args: null },
      'needs protocol 4',
    ],
    ['a name with a newline', { kind: 'global', module: 'a\nb', name: 'c' }, 'cannot name'],
  ])('is refused before anything is written: %s', (_, root, message) => {
    expect(() => planTorchArchive({ root })).toThrow(message);
  });

  it.each(['', '.', '..', 'a/b', 'a\\b', 'a\0'])('is refused for the name %j', (archiveName) => {
    expect(() => planTorchArchive({ root: null, archiveName })).toThrow(TuneyardError);
  });
});

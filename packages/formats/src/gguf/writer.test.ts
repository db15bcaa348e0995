import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alignUp } from './layout.js';
import { GgufReader } from './reader.js';
import type { GgufValue } from './value.js';
import { type GgufEntry, writeGguf } from './writer.js';

const fixtures = fileURLToPath(new URL('../../test/fixtures/gguf/', import.meta.url));

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tuneyard-gguf-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const out = (): string => join(directory, 'out.gguf');
const none: ReadonlyMap<string, GgufValue> = new Map();
const tensor = (name: string, elements: number): GgufEntry => ({
  name,
  type: 'i8',
  shape: [elements],
  data: new Uint8Array(elements).fill(1),
});

/** One value of every type, at the edges of its range. */
const EVERY_VALUE: [string, GgufValue][] = [
  ['u8', { type: 'u8', value: 255 }],
  ['i8', { type: 'i8', value: -128 }],
  ['u16', { type: 'u16', value: 65_535 }],
  ['i16', { type: 'i16', value: -32_768 }],
  ['u32', { type: 'u32', value: 4_294_967_295 }],
  ['i32', { type: 'i32', value: -2_147_483_648 }],
  ['f32', { type: 'f32', value: Math.fround(0.1) }],
  ['f64', { type: 'f64', value: 0.1 }],
  ['u64', { type: 'u64', value: 2n ** 64n - 1n }],
  ['i64', { type: 'i64', value: -(2n ** 63n) }],
  ['yes', { type: 'bool', value: true }],
  ['no', { type: 'bool', value: false }],
  ['text', { type: 'string', value: 'wörd 🧵\0' }],
  ['texts', { type: 'array', itemType: 'string', value: ['', 'a', '嵌入'] }],
  ['no texts', { type: 'array', itemType: 'string', value: [] }],
  ['u8s', { type: 'array', itemType: 'u8', value: Uint8Array.of(0, 255) }],
  ['i8s', { type: 'array', itemType: 'i8', value: Int8Array.of(-128, 127) }],
  ['u16s', { type: 'array', itemType: 'u16', value: Uint16Array.of(65_535) }],
  ['i16s', { type: 'array', itemType: 'i16', value: Int16Array.of(-32_768) }],
  ['u32s', { type: 'array', itemType: 'u32', value: Uint32Array.of(4_294_967_295) }],
  ['i32s', { type: 'array', itemType: 'i32', value: Int32Array.of(-1, 1) }],
  ['f32s', { type: 'array', itemType: 'f32', value: Float32Array.of(0.1, Number.NaN) }],
  ['f64s', { type: 'array', itemType: 'f64', value: Float64Array.of(0.1) }],
  ['u64s', { type: 'array', itemType: 'u64', value: BigUint64Array.of(2n ** 64n - 1n) }],
  ['i64s', { type: 'array', itemType: 'i64', value: BigInt64Array.of(-1n) }],
  ['bools', { type: 'array', itemType: 'bool', value: Uint8Array.of(0, 1) }],
];

describe('writeGguf', () => {
  it('brings back a value of every type', async () => {
    const metadata = new Map(EVERY_VALUE);
    await writeGguf(out(), { metadata, tensors: [] });
    await using reader = await GgufReader.open(out());
    expect([...reader.metadata]).toEqual(EVERY_VALUE);
  });

  it('rewrites each valid fixture to the same bytes', async () => {
    for (const file of ['ok_no_tensors.gguf', 'ok_all_value_types.gguf']) {
      await using reader = await GgufReader.open(fixtures + file);
      await writeGguf(out(), { metadata: reader.metadata, tensors: [] });
      expect(await readFile(out())).toEqual(await readFile(fixtures + file));
    }
  });

  it('writes quantized and plain tensors one after another, each aligned', async () => {
    const tensors: GgufEntry[] = [
      { name: 'q', type: 'q4_K', shape: [256, 3], data: new Uint8Array(432).fill(3) },
      { name: 'h', type: 'f16', shape: [5], data: new Uint8Array(10).fill(4) },
      { name: 'w', type: 'q8_0', shape: [32, 2, 2], data: async () => new Uint8Array(136).fill(5) },
    ];
    for (const alignment of [8, 32, 64, 4096]) {
      const { bytes } = await writeGguf(out(), { metadata: none, tensors, alignment });
      await using reader = await GgufReader.open(out());
      expect((await readFile(out())).length).toBe(bytes);
      expect([bytes % alignment, reader.alignment]).toEqual([0, alignment]);
      for (const { name, begin, byteLength } of reader.tensors.values()) {
        expect(begin % alignment).toBe(0);
        expect(new Set(await reader.read(name)).size).toBe(1);
        expect(await reader.read(name)).toHaveLength(byteLength);
      }
      expect(reader.metadata.has('general.alignment')).toBe(alignment !== 32);
    }
  });

  it('refuses an alignment that the metadata contradict or that is no power of two', async () => {
    const metadata = new Map<string, GgufValue>([
      ['general.alignment', { type: 'u32', value: 64 }],
    ]);
    for (const [given, alignment] of [
      [metadata, 32],
      [none, 24],
      [none, 0],
      [none, 131_072],
    ] as const) {
      const write = writeGguf(out(), { metadata: given, tensors: [], alignment });
      await expect(write).rejects.toMatchObject({ code: 'GGUF_BAD_ALIGNMENT' });
    }
  });

  it('refuses values that do not fit their type', async () => {
    const values = [
      { type: 'u8', value: 256 },
      { type: 'i8', value: -129 },
      { type: 'u32', value: 1.5 },
      { type: 'u32', value: -1 },
      { type: 'u64', value: 2n ** 64n },
      { type: 'i64', value: 2 ** 60 },
      { type: 'bool', value: 1 },
      { type: 'u8', value: true },
      { type: 'array', itemType: 'f32', value: new Float64Array(1) },
      { type: 'array', itemType: 'bool', value: Uint8Array.of(2) },
    ] as unknown as GgufValue[];
    for (const value of values) {
      const write = writeGguf(out(), { metadata: new Map([['k', value]]), tensors: [] });
      await expect(write).rejects.toMatchObject({ code: 'GGUF_BAD_VALUE' });
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('refuses keys and tensors that no reader would take', async () => {
    const value: GgufValue = { type: 'u8', value: 1 };
    const cases: [string, { metadata?: Map<string, GgufValue>; tensors?: GgufEntry[] }][] = [
      ['GGUF_BAD_KEY', { metadata: new Map([['', value]]) }],
      ['GGUF_BAD_KEY', { metadata: new Map([['k'.repeat(65_536), value]]) }],
      ['GGUF_BAD_UTF8', { metadata: new Map([['k\udfff', value]]) }],
      ['GGUF_BAD_DIMENSIONS', { tensors: [{ ...tensor('a', 1), shape: [1, 1, 1, 1, 1] }] }],
      ['GGUF_BAD_DIMENSIONS', { tensors: [{ ...tensor('a', 1), shape: [-1] }] }],
      ['GGUF_NOT_WHOLE_BLOCKS', { tensors: [{ ...tensor('a', 1), type: 'q8_0' }] }],
      ['GGUF_DUPLICATE_TENSOR', { tensors: [tensor('a', 1), tensor('a', 1)] }],
      ['FILE_ENTRY_SIZE_MISMATCH', { tensors: [{ ...tensor('a', 1), data: new Uint8Array(2) }] }],
    ];
    for (const [code, { metadata = none, tensors = [] }] of cases) {
      await expect(writeGguf(out(), { metadata, tensors })).rejects.toMatchObject({ code });
    }
    expect(await readdir(directory)).toEqual([]);
  });

  it('leaves nothing behind when it is cancelled', async () => {
    const controller = new AbortController();
    const data = async (): Promise<Uint8Array> => {
      controller.abort();
      return new Uint8Array(1);
    };
    const tensors = [{ ...tensor('a', 1), data }];
    const write = writeGguf(out(), { metadata: none, tensors, signal: controller.signal });
    await expect(write).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await readdir(directory)).toEqual([]);
  });
});

describe('GgufReader', () => {
  it('reads a vocabulary of 150,000 strings that spans many chunks', async () => {
    const tokens = Array.from({ length: 150_000 }, (_, i) => `${'▁'.repeat(i % 20)}token ${i}`);
    const scores = Float32Array.from(tokens, (_, i) => -i);
    const metadata = new Map<string, GgufValue>([
      ['tokens', { type: 'array', itemType: 'string', value: tokens }],
      ['scores', { type: 'array', itemType: 'f32', value: scores }],
      ['last', { type: 'string', value: 'x'.repeat(5_000_000) }],
    ]);
    await writeGguf(out(), { metadata, tensors: [tensor('a', 3)] });
    await using reader = await GgufReader.open(out());
    expect(reader.getStringArray('tokens')).toEqual(tokens);
    expect(reader.getNumberArray('scores')).toEqual(scores);
    expect(reader.getString('last')).toHaveLength(5_000_000);
    expect([...(await reader.read('a'))]).toEqual([1, 1, 1]);
  });

  it('gives typed values, or an error that names the key and the type found', async () => {
    await writeGguf(out(), { metadata: new Map(EVERY_VALUE), tensors: [] });
    await using reader = await GgufReader.open(out());
    expect(reader.getNumber('i8')).toBe(-128);
    expect(reader.getNumber('f64')).toBe(0.1);
    expect(reader.getBoolean('yes')).toBe(true);
    expect([...Array.from(reader.getNumberArray('i64s'))]).toEqual([-1]);
    expect(reader.findString('absent')).toBeUndefined();
    expect(() => reader.getString('absent')).toThrow(`${out()} lacks the metadata key "absent"`);
    expect(() => reader.getString('texts')).toThrow(
      'metadata key "texts" must be a string, found array of string',
    );
    for (const read of [
      () => reader.getNumber('u64'),
      () => reader.getNumber('yes'),
      () => reader.getNumberArray('u64s'),
      () => reader.getNumberArray('texts'),
      () => reader.getStringArray('text'),
      () => reader.getBoolean('u8'),
    ]) {
      expect(read).toThrow(expect.objectContaining({ code: 'GGUF_KEY_TYPE' }));
    }
  });

  it('reads into a buffer at hand and names a tensor that is not there', async () => {
    await writeGguf(out(), { metadata: none, tensors: [tensor('a', 3)] });
    await using reader = await GgufReader.open(out());
    const dst = new Uint8Array(5);
    await reader.readInto('a', dst, 2);
    expect([...dst]).toEqual([0, 0, 1, 1, 1]);
    await expect(reader.read('b')).rejects.toMatchObject({
      code: 'GGUF_TENSOR_NOT_FOUND',
      category: 'not_found',
    });
  });
});

describe('alignUp', () => {
  it('rounds offsets beyond 32 bits, where bit masks fail', () => {
    expect(alignUp(3_000_000_000, 32)).toBe(3_000_000_000);
    expect(alignUp(3_000_000_001, 32)).toBe(3_000_000_032);
    expect(alignUp(2 ** 45 + 1, 32)).toBe(2 ** 45 + 32);
  });
});

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { GgufReader } from '../src/index.js';
import { GgufBytes, smallGguf } from './gguf-bytes.js';
import { useTemporaryDirectory } from './temporary-directory.js';

const fixtures = fileURLToPath(new URL('./fixtures/gguf/', import.meta.url));
const manifest: { cases: { file: string; valid: boolean; why: string }[] } = JSON.parse(
  await readFile(`${fixtures}manifest.json`, 'utf8'),
);

/** Which of our codes each refused fixture raises. */
const FIXTURE_CODES: Record<string, string> = {
  'bad_magic.gguf': 'GGUF_BAD_MAGIC',
  'bad_version_0.gguf': 'GGUF_BAD_VERSION',
  'bad_version_99.gguf': 'GGUF_BAD_VERSION',
  'bad_big_endian_version.gguf': 'GGUF_WRONG_BYTE_ORDER',
  'bad_string_len_huge.gguf': 'GGUF_COUNT_TOO_LARGE',
  'bad_nested_array.gguf': 'GGUF_NESTED_ARRAY',
  'bad_dup_key.gguf': 'GGUF_DUPLICATE_KEY',
  'bad_dup_tensor.gguf': 'GGUF_DUPLICATE_TENSOR',
  'bad_dims_5.gguf': 'GGUF_BAD_DIMENSIONS',
  'bad_offset_unaligned.gguf': 'GGUF_OFFSET_UNALIGNED',
  'bad_overlap.gguf': 'GGUF_OFFSETS_OVERLAP',
  'bad_truncated_data.gguf': 'GGUF_DATA_TRUNCATED',
  'bad_alignment_0.gguf': 'GGUF_BAD_ALIGNMENT',
};

/** One key of the given type code, followed by raw value bytes and enough zeros to pass size checks. */
function oneValue(typeCode: number, value: number[]): Uint8Array {
  const file = new GgufBytes().start({ tensors: 0, keys: 1 }).text('key', 'k');
  return file.u32('type', typeCode).raw(Uint8Array.from(value)).pad(32).bytes();
}

/** Tensor infos with as many data bytes behind them. */
function tensors(
  infos: { name?: string; shape?: (number | bigint)[]; type?: number; offset?: number | bigint }[],
  dataBytes: number,
): Uint8Array {
  const file = new GgufBytes().start({ tensors: infos.length, keys: 0 });
  for (const { name = 'a', shape = [8], type = 0, offset = 0 } of infos) {
    file.tensor(name, { shape, type, offset });
  }
  return file.pad(32).raw(new Uint8Array(dataBytes)).bytes();
}

function alignmentKey(typeCode: number, value: number): Uint8Array {
  const file = new GgufBytes().start({ tensors: 0, keys: 1 }).text('key', 'general.alignment');
  return file.u32('type', typeCode).u32('value', value).pad(32).bytes();
}

const HOSTILE: { title: string; code: string; bytes: Uint8Array }[] = [
  { title: 'an empty file', code: 'GGUF_HEADER_TRUNCATED', bytes: new Uint8Array(0) },
  {
    title: 'version 1',
    code: 'GGUF_BAD_VERSION',
    bytes: new GgufBytes().start({ tensors: 0, keys: 0, version: 1 }).bytes(),
  },
  {
    title: 'more tensors than the file could hold',
    code: 'GGUF_COUNT_TOO_LARGE',
    bytes: new GgufBytes().start({ tensors: 1, keys: 0 }).bytes(),
  },
  {
    title: '2^64 - 1 keys',
    code: 'GGUF_COUNT_TOO_LARGE',
    bytes: new GgufBytes().start({ tensors: 0, keys: 2n ** 64n - 1n }).bytes(),
  },
  {
    title: 'a key longer than the file',
    code: 'GGUF_STRING_TOO_LONG',
    bytes: new GgufBytes()
      .start({ tensors: 0, keys: 1 })
      .u64('length', 2n ** 63n - 1n)
      .raw(new Uint8Array(32))
      .bytes(),
  },
  {
    title: 'an empty key',
    code: 'GGUF_BAD_KEY',
    bytes: new GgufBytes().start({ tensors: 0, keys: 1 }).stringKey('', 'value').bytes(),
  },
  {
    title: 'a key of 65,536 bytes',
    code: 'GGUF_BAD_KEY',
    bytes: new GgufBytes().start({ tensors: 0, keys: 1 }).stringKey('k'.repeat(65_536), '').bytes(),
  },
  {
    title: 'a key that is not UTF-8',
    code: 'GGUF_BAD_UTF8',
    bytes: new GgufBytes()
      .start({ tensors: 0, keys: 1 })
      .u64('length', 1)
      .u8(0xff)
      .raw(new Uint8Array(16))
      .bytes(),
  },
  { title: 'an unknown value type', code: 'GGUF_BAD_VALUE_TYPE', bytes: oneValue(13, [0]) },
  {
    title: 'an unknown item type',
    code: 'GGUF_BAD_VALUE_TYPE',
    bytes: oneValue(9, [13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  },
  { title: 'a boolean of 2', code: 'GGUF_BAD_VALUE', bytes: oneValue(7, [2]) },
  {
    title: 'an array of booleans with a 2',
    code: 'GGUF_BAD_VALUE',
    bytes: oneValue(9, [7, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 2]),
  },
  {
    title: 'an array of more numbers than the file could hold',
    code: 'GGUF_COUNT_TOO_LARGE',
    bytes: oneValue(9, [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]),
  },
  {
    title: 'an array of more strings than the file could hold',
    code: 'GGUF_COUNT_TOO_LARGE',
    bytes: oneValue(9, [8, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0]),
  },
  { title: 'an alignment of 24', code: 'GGUF_BAD_ALIGNMENT', bytes: alignmentKey(4, 24) },
  { title: 'an alignment of 2^31', code: 'GGUF_BAD_ALIGNMENT', bytes: alignmentKey(4, 2 ** 31) },
  { title: 'a signed alignment', code: 'GGUF_BAD_ALIGNMENT', bytes: alignmentKey(5, 32) },
  {
    title: 'a tensor name of 64 bytes',
    code: 'GGUF_BAD_TENSOR_NAME',
    bytes: tensors([{ name: 'n'.repeat(64) }], 32),
  },
  {
    title: 'an unknown element type',
    code: 'GGUF_UNKNOWN_TENSOR_TYPE',
    bytes: tensors([{ type: 4 }], 32),
  },
  {
    title: 'a row that ends inside a block',
    code: 'GGUF_NOT_WHOLE_BLOCKS',
    bytes: tensors([{ type: 8, shape: [31, 2] }], 96),
  },
  {
    title: 'a dimension of 2^64 - 1',
    code: 'GGUF_SHAPE_OVERFLOW',
    bytes: tensors([{ shape: [2n ** 64n - 1n] }], 32),
  },
  {
    title: 'dimensions whose product overflows',
    code: 'GGUF_SHAPE_OVERFLOW',
    bytes: tensors([{ shape: [2 ** 30, 2 ** 30] }], 32),
  },
  {
    title: 'an offset of 2^63',
    code: 'GGUF_OFFSETS_HOLE',
    bytes: tensors([{ offset: 2n ** 63n }], 32),
  },
  {
    title: 'a hole between tensors',
    code: 'GGUF_OFFSETS_HOLE',
    bytes: tensors([{}, { name: 'b', offset: 64 }], 96),
  },
  {
    title: 'bytes after the last tensor',
    code: 'GGUF_TRAILING_BYTES',
    bytes: tensors([{}], 33),
  },
];

describe('a hostile GGUF file', () => {
  const directory = useTemporaryDirectory();

  it.each(HOSTILE)('is refused for $title with $code', async ({ bytes, code }) => {
    const path = await directory.save('hostile.gguf', bytes);
    await expect(GgufReader.open(path)).rejects.toMatchObject({
      name: 'TuneyardError',
      code,
      category: 'invalid_input',
    });
  });

  it('is read when only the padding after the last tensor is missing', async () => {
    const path = await directory.save('unpadded.gguf', tensors([{ shape: [3] }], 12));
    await using reader = await GgufReader.open(path);
    expect(await reader.read('a')).toEqual(new Uint8Array(12));
  });

  it('is read in version 2, whose layout is the same', async () => {
    const bytes = smallGguf().bytes();
    bytes[4] = 2;
    await using reader = await GgufReader.open(await directory.save('v2.gguf', bytes));
    expect(reader.version).toBe(2);
    expect(reader.getStringArray('tokens')).toEqual(['a', 'é']);
  });
});

describe('a GGUF fixture', () => {
  it.each(manifest.cases)('$file is judged as its manifest says: $why', async ({ file, valid }) => {
    if (valid) {
      await using reader = await GgufReader.open(fixtures + file);
      expect(reader.getString('general.architecture')).toBe('llama');
      return;
    }
    const code = FIXTURE_CODES[file] ?? 'a code in FIXTURE_CODES';
    await expect(GgufReader.open(fixtures + file)).rejects.toMatchObject({ code });
  });
});

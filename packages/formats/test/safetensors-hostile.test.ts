import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { SafetensorsReader } from '../src/index.js';
import { useTemporaryDirectory } from './temporary-directory.js';

const fixtures = fileURLToPath(new URL('./fixtures/safetensors/', import.meta.url));
const manifest: { cases: { file: string; valid: boolean | null; why: string }[] } = JSON.parse(
  await readFile(`${fixtures}manifest.json`, 'utf8'),
);

/** Which of our codes each refused fixture raises. */
const FIXTURE_CODES: Record<string, string> = {
  'bad_too_small_7.safetensors': 'SAFETENSORS_TOO_SMALL',
  'bad_header_not_utf8.safetensors': 'SAFETENSORS_HEADER_NOT_UTF8',
  'bad_header_not_json.safetensors': 'SAFETENSORS_HEADER_NOT_JSON',
  'bad_header_zero_len.safetensors': 'SAFETENSORS_HEADER_EMPTY',
  'bad_metadata_not_string.safetensors': 'SAFETENSORS_BAD_METADATA',
  'bad_unknown_dtype.safetensors': 'SAFETENSORS_UNKNOWN_DTYPE',
  'bad_missing_offsets.safetensors': 'SAFETENSORS_BAD_ENTRY',
  'bad_float_offset.safetensors': 'SAFETENSORS_BAD_ENTRY',
  'bad_overlap.safetensors': 'SAFETENSORS_OFFSETS_OVERLAP',
  'bad_hole.safetensors': 'SAFETENSORS_OFFSETS_HOLE',
  'bad_first_not_zero.safetensors': 'SAFETENSORS_OFFSETS_HOLE',
  'bad_shape_overflow.safetensors': 'SAFETENSORS_SHAPE_OVERFLOW',
  'bad_truncated_body.safetensors': 'SAFETENSORS_DATA_TRUNCATED',
  'bad_trailing_bytes.safetensors': 'SAFETENSORS_TRAILING_BYTES',
  'bad_f4_odd.safetensors': 'SAFETENSORS_NOT_WHOLE_BYTES',
  'dup_key.safetensors': 'SAFETENSORS_DUPLICATE_KEY',
};

/** A file with the given header text, header length and number of data bytes. */
function fileOf(header: string | Uint8Array, options: { length?: bigint; data?: number } = {}) {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + (options.data ?? 0));
  new DataView(bytes.buffer).setBigUint64(0, options.length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const F32 = '"dtype":"F32","shape":[1]';

const HOSTILE: { title: string; code: string; bytes: Uint8Array }[] = [
  { title: 'an empty file', code: 'SAFETENSORS_TOO_SMALL', bytes: new Uint8Array(0) },
  {
    title: 'a header that is larger than the file',
    code: 'SAFETENSORS_HEADER_TRUNCATED',
    bytes: fileOf('{}', { length: 3n }),
  },
  {
    title: 'a header above 100,000,000 bytes',
    code: 'SAFETENSORS_HEADER_TOO_LARGE',
    bytes: fileOf('{}', { length: 100_000_001n }),
  },
  {
    title: 'the largest header length that 64 bits hold',
    code: 'SAFETENSORS_HEADER_TOO_LARGE',
    bytes: fileOf('{}', { length: 2n ** 64n - 1n }),
  },
  {
    title: 'a header that starts with a bracket',
    code: 'SAFETENSORS_HEADER_START',
    bytes: fileOf('[]'),
  },
  {
    title: 'a header that starts with a byte order mark',
    code: 'SAFETENSORS_HEADER_START',
    bytes: fileOf('\uFEFF{}'),
  },
  {
    title: 'text after the closing brace',
    code: 'SAFETENSORS_HEADER_NOT_JSON',
    bytes: fileOf('{}{}'),
  },
  {
    title: 'zero bytes as padding of the header',
    code: 'SAFETENSORS_HEADER_NOT_JSON',
    bytes: fileOf('{}\0\0'),
  },
  {
    title: 'a million opening brackets',
    code: 'SAFETENSORS_HEADER_NOT_JSON',
    bytes: fileOf(`{"a":${'['.repeat(1_000_000)}`),
  },
  {
    title: 'a name twice, once with an escape',
    code: 'SAFETENSORS_DUPLICATE_KEY',
    bytes: fileOf(`{"a":{${F32},"data_offsets":[0,4]},"\\u0061":{${F32},"data_offsets":[4,8]}}`, {
      data: 8,
    }),
  },
  {
    title: 'a field of a tensor twice',
    code: 'SAFETENSORS_DUPLICATE_KEY',
    bytes: fileOf(`{"a":{${F32},"data_offsets":[0,4],"shape":[1]}}`, { data: 4 }),
  },
  {
    title: 'metadata that are a list',
    code: 'SAFETENSORS_BAD_METADATA',
    bytes: fileOf('{"__metadata__":["a"]}'),
  },
  {
    title: 'metadata that hold an object',
    code: 'SAFETENSORS_BAD_METADATA',
    bytes: fileOf('{"__metadata__":{"a":{}}}'),
  },
  {
    title: 'a tensor that is null',
    code: 'SAFETENSORS_BAD_ENTRY',
    bytes: fileOf('{"a":null}'),
  },
  {
    title: 'a negative dimension',
    code: 'SAFETENSORS_BAD_ENTRY',
    bytes: fileOf('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', { data: 4 }),
  },
  {
    title: 'three offsets',
    code: 'SAFETENSORS_BAD_ENTRY',
    bytes: fileOf(`{"a":{${F32},"data_offsets":[0,4,8]}}`, { data: 4 }),
  },
  {
    title: 'reversed offsets',
    code: 'SAFETENSORS_OFFSETS_REVERSED',
    bytes: fileOf(`{"a":{${F32},"data_offsets":[4,0]}}`, { data: 4 }),
  },
  {
    title: 'offsets beyond the buffer',
    code: 'SAFETENSORS_DATA_TRUNCATED',
    bytes: fileOf(`{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, { data: 8 }),
  },
  {
    title: 'offsets that do not fit the shape',
    code: 'SAFETENSORS_SIZE_MISMATCH',
    bytes: fileOf(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, { data: 4 }),
  },
  {
    title: 'a shape whose size in bits overflows although its elements do not',
    code: 'SAFETENSORS_SHAPE_OVERFLOW',
    bytes: fileOf('{"a":{"dtype":"F64","shape":[9007199254740991],"data_offsets":[0,8]}}', {
      data: 8,
    }),
  },
  {
    title: 'a dtype named like a property of every object',
    code: 'SAFETENSORS_UNKNOWN_DTYPE',
    bytes: fileOf('{"a":{"dtype":"constructor","shape":[],"data_offsets":[0,0]}}'),
  },
];

describe('a hostile safetensors file', () => {
  const directory = useTemporaryDirectory();

  it.each(HOSTILE)('is refused for $title with $code', async ({ bytes, code }) => {
    const path = await directory.save('hostile.safetensors', bytes);
    await expect(SafetensorsReader.open(path)).rejects.toMatchObject({
      name: 'TuneyardError',
      code,
      category: 'invalid_input',
    });
  });

  it('names the file and the tensor in the message', async () => {
    const bytes = fileOf('{"w\\n":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', { data: 4 });
    const path = await directory.save('named.safetensors', bytes);
    await expect(SafetensorsReader.open(path)).rejects.toThrow(
      `${path}: tensor "w\\n" of type F32 and shape [2] needs 8 bytes, but its offsets give 4`,
    );
  });
});

describe('a safetensors fixture', () => {
  it.each(manifest.cases)('$file is judged as its manifest says: $why', async ({ file, valid }) => {
    if (valid === true) {
      await using reader = await SafetensorsReader.open(fixtures + file);
      for (const tensor of reader.tensors.values()) {
        expect(await reader.read(tensor.name)).toHaveLength(tensor.byteLength);
      }
      return;
    }
    const code = FIXTURE_CODES[file] ?? 'a code in FIXTURE_CODES';
    await expect(SafetensorsReader.open(fixtures + file)).rejects.toMatchObject({ code });
  });
});

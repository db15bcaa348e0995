/** Every convertible family there and back through GGUF: the same bytes under the same names, and the same sizes. */
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type GgufEntry,
  GgufReader,
  type GgufValue,
  type SafetensorsEntry,
  SafetensorsReader,
  torchDict,
  torchTensor,
  writeGguf,
  writeSafetensors,
  writeTorchArchive,
} from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import { hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import { convertGgufToHf, convertHfToGguf, plainCodec, type TensorCodec } from '../src/index.js';
import {
  codeOf,
  naiveQ8Codec,
  STORIES_GGUF,
  STORIES_HF,
  temporaryDirectory,
} from './fixture-models.js';
import { FAMILY_FIXTURES, familyFixture, makeTinyCheckpoint } from './tiny-checkpoint.js';

const NO_TOKENIZER = new Map();
const TYPES = { F32: 'f32', F16: 'f16', BF16: 'bf16' } as const;

/** What llama.cpp computes otherwise than these fixtures say; the refusals below are about the same. */
const ADAPTED: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  baichuan: { num_hidden_layers: 32 },
  'deepseek2-lite': { attention_bias: false, num_hidden_layers: 27 },
  gemma2: { query_pre_attn_scalar: 6 },
  gemma3: { query_pre_attn_scalar: 6 },
  'qwen2-moe': { decoder_sparse_step: 1, mlp_only_layers: [] },
  'qwen3-moe': { norm_topk_prob: true },
  'qwen3-moe-sparse': {
    norm_topk_prob: true,
    attention_bias: false,
    decoder_sparse_step: 1,
    mlp_only_layers: [],
  },
};

/** Early Yi named norms its own way; a GGUF file does not tell it from Llama. */
const nameInFamily = (name: string): string =>
  name.replace('.ln1.', '.input_layernorm.').replace('.ln2.', '.post_attention_layernorm.');

const floats = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

describe('a family goes to GGUF and comes back', () => {
  const cases = FAMILY_FIXTURES.flatMap((name) =>
    (['F32', 'F16', 'BF16'] as const).map((dtype) => [name, dtype] as const),
  );
  it.each(cases)('%s in %s, byte for byte', async (name, dtype) => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    const { model } = await makeTinyCheckpoint(name, hf, { dtype, config: ADAPTED[name] ?? {} });
    const gguf = join(root, 'model.gguf');
    await convertHfToGguf(hf, gguf, {
      type: TYPES[dtype],
      codec: plainCodec,
      tokenizer: NO_TOKENIZER,
    });
    const back = join(root, 'back');
    await convertGgufToHf(gguf, back, { dtype: TYPES[dtype], codec: plainCodec });
    const config: unknown = JSON.parse(readFileSync(join(back, 'config.json'), 'utf8'));
    // Layers that predict further tokens are left out.
    const { extraLayers: _, ...sizes } = model.sizes;
    expect(logicalModel(config, 'back').sizes).toEqual(sizes);
    await using before = await SafetensorsReader.open(hf);
    await using after = await SafetensorsReader.open(back);
    expect([...after.tensors.keys()].sort()).toEqual(
      [...before.tensors.keys()].map(nameInFamily).sort(),
    );
    for (const tensor of before.tensors.keys()) {
      const [found, expected] = [await after.read(nameInFamily(tensor)), await before.read(tensor)];
      if (tensor.endsWith('e_score_correction_bias')) {
        const wide = plainCodec.toF32(TYPES[dtype], expected, model.sizes.experts);
        expect([...floats(found)]).toEqual([...wide]);
      } else if (name.startsWith('gemma') && dtype === 'F32' && tensor.includes('norm')) {
        // 1 + w keeps a bit less of w than f32 has.
        const values = floats(expected);
        floats(found).forEach((value, i) => {
          expect(Math.abs(value - values[i]!)).toBeLessThanOrEqual(2 ** -23);
        });
      } else {
        expect(Buffer.compare(found, expected), tensor).toBe(0);
      }
    }
  });

  it.each(FAMILY_FIXTURES)('%s has the names that llama.cpp gives', async (name) => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint(name, hf, { config: ADAPTED[name] ?? {} });
    const gguf = join(root, 'model.gguf');
    await convertHfToGguf(hf, gguf, { type: 'bf16', codec: plainCodec, tokenizer: NO_TOKENIZER });
    await using reader = await GgufReader.open(gguf);
    const names = Object.values(familyFixture(name).gguf);
    // Latent keys and values are stored apart, as the converter does, not under the mapped name.
    const isBiased = ADAPTED[name]?.['attention_bias'] !== false;
    const expected = names.filter(
      (key) => !key.endsWith('attn_kv_b.weight') && (isBiased || !key.endsWith('.bias')),
    );
    for (const key of expected) expect([...reader.tensors.keys()]).toContain(key);
  });
});

describe('what is written', () => {
  it("equals llama.cpp's own conversion, tensors and keys", async () => {
    await using golden = await GgufReader.open(STORIES_GGUF);
    const tokenizer = new Map([...golden.metadata].filter(([key]) => key.startsWith('tokenizer.')));
    const path = join(temporaryDirectory(), 'out.gguf');
    await convertHfToGguf(STORIES_HF, path, { codec: plainCodec, tokenizer });
    await using ours = await GgufReader.open(path);
    expect([...ours.tensors.keys()].sort()).toEqual([...golden.tensors.keys()].sort());
    for (const [name, { type, shape }] of golden.tensors) {
      expect(ours.tensors.get(name), name).toMatchObject({ type, shape });
      expect(Buffer.compare(await ours.read(name), await golden.read(name)), name).toBe(0);
    }
    for (const [key, value] of golden.metadata) {
      if (/^(llama|tokenizer)\.|architecture$|file_type$/.test(key)) {
        expect(ours.metadata.get(key), key).toEqual(value);
      }
    }
  });

  it('passes at most 4 MiB of values at a time, whatever the size of a tensor', async () => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint('llama', hf, { config: { vocab_size: 60_000 } });
    let most = 0;
    const codec: TensorCodec = {
      toF32: (type, bytes, elements) => {
        most = Math.max(most, elements);
        return naiveQ8Codec.toF32(type, bytes, elements);
      },
      fromF32: (type, values, row) => naiveQ8Codec.fromF32(type, values, row),
    };
    const gguf = join(root, 'model.gguf');
    await convertHfToGguf(hf, gguf, { type: 'q8_0', codec, tokenizer: NO_TOKENIZER });
    await convertGgufToHf(gguf, join(root, 'back'), { dtype: 'f16', codec });
    expect(60_000 * 64).toBeGreaterThan(2 ** 20);
    expect(most).toBe(2 ** 20);
  });

  it('stops when cancelled, and leaves nothing', async () => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint('gemma2', hf, { config: ADAPTED['gemma2']! });
    const control = new AbortController();
    const out = join(root, 'model.gguf');
    const thrown = await codeOf(() =>
      convertHfToGguf(hf, out, {
        codec: plainCodec,
        tokenizer: NO_TOKENIZER,
        signal: control.signal,
        onProgress: ({ done }) => {
          if (done === 3) control.abort();
        },
      }),
    );
    expect(thrown).toContain('CANCELLED');
    expect(readdirSync(root)).toEqual(['hf']);
  });
});

it.each([
  ['iq2_xs', 'needs an importance matrix; allowed: f32, f16'],
  ['q9_9', 'cannot be written as q9_9; allowed: f32, f16'],
])('refuses the type %s with those that are written', async (type, words) => {
  const root = temporaryDirectory();
  await makeTinyCheckpoint('llama', join(root, 'hf'));
  const options = { codec: plainCodec, tokenizer: NO_TOKENIZER, type: type as 'f16' };
  const thrown = await codeOf(() =>
    convertHfToGguf(join(root, 'hf'), join(root, 'model.gguf'), options),
  );
  expect(thrown).toContain('WEIGHTS_EXPORT_UNSUPPORTED');
  expect(thrown).toContain(words);
});

describe('files that are not what they say', () => {
  it.each([
    ['a tensor is missing', 'blk.0.attn_q.weight', 'WEIGHTS_MISSING_TENSOR'],
    ['a tensor is of no role', 'blk.0.ffn_sideways.weight', 'WEIGHTS_UNEXPECTED_TENSOR'],
  ])('%s: %s', async (_, name, code) => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint('mixtral', hf);
    const gguf = join(root, 'model.gguf');
    await convertHfToGguf(hf, gguf, { type: 'f16', codec: plainCodec, tokenizer: NO_TOKENIZER });
    await using reader = await GgufReader.open(gguf);
    const entries: GgufEntry[] = [];
    for (const tensor of reader.tensors.values()) {
      entries.push({ ...tensor, data: await reader.read(tensor.name) });
    }
    const without = entries.filter((entry) => entry.name !== 'blk.0.attn_q.weight');
    const extra: GgufEntry = { name, type: 'f32', shape: [1], data: new Uint8Array(4) };
    const bad = join(root, 'bad.gguf');
    const tensors = code === 'WEIGHTS_MISSING_TENSOR' ? without : [...entries, extra];
    await writeGguf(bad, { metadata: reader.metadata, tensors });
    const thrown = await codeOf(() =>
      convertGgufToHf(bad, join(root, 'back'), { codec: plainCodec }),
    );
    expect(thrown).toContain(code);
    expect(thrown).toContain(name);
  });

  it('names architectures that are not known, and files that are parts', async () => {
    const root = temporaryDirectory();
    const text = (value: string) => ({ type: 'string', value }) as const;
    const rows: GgufEntry = {
      name: 'token_embd.weight',
      type: 'f32',
      shape: [2, 2],
      data: new Uint8Array(16),
    };
    const write = async (name: string, metadata: ReadonlyMap<string, GgufValue>) => {
      await writeGguf(join(root, name), { metadata, tensors: [rows] });
      const out = join(root, `${name}-out`);
      return await codeOf(() => convertGgufToHf(join(root, name), out, { codec: plainCodec }));
    };
    const mamba = await write('a.gguf', new Map([['general.architecture', text('mamba')]]));
    expect(mamba).toMatch(/^WEIGHTS_UNKNOWN_ARCHITECTURE .*mamba is not known; known: llama, /);
    const part = await write(
      'b.gguf',
      new Map<string, GgufValue>([
        ['general.architecture', text('gemma2')],
        ['split.count', { type: 'u16', value: 3 }],
      ]),
    );
    expect(part).toContain('split.count is 3');
    expect(part).toContain('llama-gguf-split --merge');
  });
});

describe('older forms of files', () => {
  it('torch archives give the same file as safetensors', async () => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint('qwen2', hf);
    const torch = join(root, 'torch');
    mkdirSync(torch);
    copyFileSync(join(hf, 'config.json'), join(torch, 'config.json'));
    await using reader = await SafetensorsReader.open(hf);
    const bytes = new Map<string, Uint8Array>();
    for (const name of reader.tensors.keys()) bytes.set(name, await reader.read(name));
    const tensors = [...reader.tensors.values()].map(
      ({ name, shape }) => [name, torchTensor({ dtype: 'bfloat16', shape: [...shape] })] as const,
    );
    await writeTorchArchive(
      join(torch, 'pytorch_model.bin'),
      torchDict(tensors),
      (_, name) => bytes.get(name)!,
    );
    const options = { type: 'q8_0', codec: naiveQ8Codec, tokenizer: NO_TOKENIZER } as const;
    const [a, b] = [join(root, 'a.gguf'), join(root, 'b.gguf')];
    await convertHfToGguf(hf, a, { ...options, name: 'x' });
    await convertHfToGguf(torch, b, { ...options, name: 'x' });
    expect(Buffer.compare(readFileSync(a), readFileSync(b))).toBe(0);
  });

  it.each([
    ['mixtral', {}],
    ['qwen3-moe', ADAPTED['qwen3-moe']],
    ['deepseek3', {}],
  ] as const)('experts in one tensor give the same file: %s', async (name, config) => {
    const root = temporaryDirectory();
    const published = await makeTinyCheckpoint(name, join(root, 'hf'), { config: config ?? {} });
    const options = { codec: plainCodec, tokenizer: NO_TOKENIZER, name: 'x' } as const;
    await convertHfToGguf(join(root, 'hf'), join(root, 'a.gguf'), options);
    await using reader = await SafetensorsReader.open(join(root, 'hf'));
    const places = new Map<string, { from: string; row: number }>();
    for (const spec of published.layout) {
      for (const { logical, storedRow } of spec.rectangles) {
        places.set(logical, { from: spec.name, row: storedRow });
      }
    }
    const entries: SafetensorsEntry[] = [];
    for (const { name: fused, shape, rectangles } of hfLayout(published.model, {
      style: 'fused',
    })) {
      const pieces: Uint8Array[] = [];
      for (const { logical, rows, cols } of rectangles.toSorted(
        (a, b) => a.storedRow - b.storedRow,
      )) {
        const { from, row } = places.get(logical)!;
        const bytes = await reader.read(from);
        pieces.push(bytes.subarray(row * cols * 2, (row + rows) * cols * 2));
      }
      entries.push({ name: fused, dtype: 'BF16', shape, data: Buffer.concat(pieces) });
    }
    mkdirSync(join(root, 'fused'));
    copyFileSync(join(root, 'hf', 'config.json'), join(root, 'fused', 'config.json'));
    await writeSafetensors(join(root, 'fused', 'model.safetensors'), entries);
    await convertHfToGguf(join(root, 'fused'), join(root, 'b.gguf'), options);
    const [a, b] = ['a', 'b'].map((file) => readFileSync(join(root, `${file}.gguf`)));
    expect(Buffer.compare(a!, b!)).toBe(0);
  });

  it("reads latent keys and values from a file of before llama.cpp's latent attention", async () => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint('deepseek2', hf);
    const gguf = join(root, 'new.gguf');
    await convertHfToGguf(hf, gguf, { type: 'bf16', codec: plainCodec, tokenizer: NO_TOKENIZER });
    await using reader = await GgufReader.open(gguf);
    await using before = await SafetensorsReader.open(hf);
    const entries: GgufEntry[] = [];
    for (const { name, shape, type } of reader.tensors.values()) {
      if (/attn_[kv]_b\./.test(name)) continue;
      entries.push({ name, shape, type, data: await reader.read(name) });
    }
    for (const { name, shape } of before.tensors.values()) {
      const layer = /layers\.(\d+)\..*kv_b_proj/.exec(name)?.[1];
      if (layer === undefined) continue;
      const data = await before.read(name);
      const place = { name: `blk.${layer}.attn_kv_b.weight`, shape: shape.toReversed() };
      entries.push({ ...place, type: 'bf16', data });
    }
    const metadata = new Map(reader.metadata);
    const length = (key: string): GgufValue => metadata.get(`deepseek2.attention.${key}_mla`)!;
    metadata.set('deepseek2.attention.key_length', length('key_length'));
    metadata.set('deepseek2.attention.value_length', length('value_length'));
    metadata.delete('deepseek2.attention.key_length_mla');
    metadata.delete('deepseek2.attention.value_length_mla');
    const old = join(root, 'old.gguf');
    await writeGguf(old, { metadata, tensors: entries });
    const back = join(root, 'back');
    await convertGgufToHf(old, back, { dtype: 'bf16', codec: plainCodec });
    await using after = await SafetensorsReader.open(back);
    for (const name of before.tensors.keys()) {
      expect(Buffer.compare(await after.read(name), await before.read(name)), name).toBe(0);
    }
  });
});

describe('what llama.cpp would compute otherwise is refused', () => {
  it.each([
    ['baichuan', {}, '4 layers'],
    ['deepseek2-lite', {}, 'kv_a_proj_with_mqa.bias'],
    ['deepseek2-lite', { attention_bias: false }, '26 or 27 layers'],
    ['gemma2', {}, 'query_pre_attn_scalar is 256'],
    ['gemma3', { query_pre_attn_scalar: 6, sliding_window_pattern: 4 }, 'each 6th'],
    ['gemma2', { query_pre_attn_scalar: 6, final_logit_softcapping: null }, 'always caps'],
    ['qwen2-moe', {}, 'experts in 3 of 4 layers'],
    ['qwen3-moe', {}, 'norm_topk_prob is false'],
    ['qwen3', { rope_parameters: { rope_type: 'longrope' } }, 'long_factor'],
    ['qwen2', { rope_parameters: { rope_type: 'dynamic', factor: 2 } }, 'linear, yarn, llama3'],
    ['llama', { hidden_act: 'relu' }, "hidden_act is 'relu'"],
    [
      'mixtral',
      { rope_parameters: { rope_type: 'yarn', factor: 2, truncate: false } },
      'for which GGUF has no key',
    ],
  ] as const)('%s with %j: %s', async (name, config, words) => {
    const root = temporaryDirectory();
    const hf = join(root, 'hf');
    await makeTinyCheckpoint(name, hf, { config });
    const out = join(root, 'model.gguf');
    const thrown = await codeOf(() =>
      convertHfToGguf(hf, out, { type: 'f32', codec: plainCodec, tokenizer: NO_TOKENIZER }),
    );
    expect(thrown).toMatch(/^WEIGHTS_/);
    expect(thrown).toContain(words);
    expect(existsSync(out)).toBe(false);
  });
});

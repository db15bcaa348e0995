import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GgufReader } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import {
  exportGguf,
  exportHf,
  type ModelConfig,
  type ModelSource,
  openModel,
  plainCodec,
  ropeFrequencies,
} from '../src/index.js';
import {
  codeOf,
  naiveQ8Codec,
  STORIES_GGUF,
  STORIES_HF,
  TINY_FAMILIES,
  temporaryDirectory,
  tinyModel,
  WIDE_Q4_K,
  writeTinyHf,
} from './fixture-models.js';

const NO_TOKENIZER = new Map();

/** What a parameter must be after a cast: norms and biases in GGUF stay f32. */
async function expectedBytes(
  source: ModelSource,
  name: string,
  type: 'f32' | 'f16' | 'bf16',
): Promise<Uint8Array> {
  const parameter = source.parameters.find((p) => p.name === name)!;
  const elements = parameter.shape.reduce((n, d) => n * d, 1);
  const values = plainCodec.toF32(parameter.type, await source.read(name), elements);
  return plainCodec.fromF32(type, values, parameter.shape.at(-1)!);
}

/** Everything that decides the computation; GGUF has no name for some of the rest. */
function computed(config: ModelConfig): Partial<ModelConfig> & Record<string, unknown> {
  const {
    raw: _raw,
    family: _f,
    architecture: _a,
    ropeScaling: _r,
    torchDtype: _t,
    ...rest
  } = config;
  const { padTokenId: _p, bosTokenId: _b, eosTokenIds: _e, ...sizes } = rest;
  return sizes;
}

describe('exportGguf', () => {
  it("writes the tensors and keys of llama.cpp's own conversion, byte for byte", async () => {
    const golden = await GgufReader.open(STORIES_GGUF);
    const source = await openModel(STORIES_HF);
    const tokenizer = new Map([...golden.metadata].filter(([key]) => key.startsWith('tokenizer.')));
    const path = join(temporaryDirectory(), 'out.gguf');
    const report = await exportGguf(source, path, { type: 'f32', codec: plainCodec, tokenizer });
    const ours = await GgufReader.open(path);
    expect(report.tensors).toBe(golden.tensors.size);
    expect([...ours.tensors.keys()].sort()).toEqual([...golden.tensors.keys()].sort());
    for (const [name, { type, shape }] of golden.tensors) {
      expect(ours.tensors.get(name), name).toMatchObject({ type, shape });
      expect(Buffer.compare(await ours.read(name), await golden.read(name)), name).toBe(0);
    }
    for (const [key, value] of golden.metadata) {
      if (/^(llama|tokenizer)\./.test(key)) expect(ours.metadata.get(key), key).toEqual(value);
    }
    await Promise.all([golden.close(), ours.close(), source.close()]);
  });

  it.each(
    TINY_FAMILIES.flatMap((f) => (['f32', 'f16', 'bf16'] as const).map((t) => [f, t] as const)),
  )('comes back through openModel bit for bit: %s in %s', async (family, type) => {
    const source = await openModel(tinyModel(family));
    const path = join(temporaryDirectory(), 'out.gguf');
    await exportGguf(source, path, { type, codec: plainCodec, tokenizer: NO_TOKENIZER });
    const back = await openModel(path);
    expect(computed(back.config)).toEqual(computed(source.config));
    const expected = ropeFrequencies(source.config);
    const found = ropeFrequencies(back.config);
    expect(found.attentionScaling).toBeCloseTo(expected.attentionScaling, 6);
    found.inverseFrequencies.forEach((f, i) => {
      expect(Math.abs(f / expected.inverseFrequencies[i]! - 1)).toBeLessThan(1e-6);
    });
    for (const { name, shape, type: stored } of back.parameters) {
      expect(stored).toBe(shape.length === 1 ? 'f32' : type);
      const bytes = await expectedBytes(source, name, stored as 'f32' | 'f16' | 'bf16');
      expect(Buffer.compare(await back.read(name), bytes), name).toBe(0);
    }
    await back.close();
    await source.close();
  });

  it('keeps YaRN with a stated attention factor', async () => {
    const rope_scaling = {
      rope_type: 'yarn',
      factor: 4,
      original_max_position_embeddings: 64,
      attention_factor: 1.3,
    };
    const source = await openModel(await writeTinyHf({ rope_scaling }));
    const path = join(temporaryDirectory(), 'out.gguf');
    await exportGguf(source, path, { type: 'f32', codec: plainCodec, tokenizer: NO_TOKENIZER });
    const back = await openModel(path);
    expect(ropeFrequencies(back.config).attentionScaling).toBeCloseTo(1.3, 6);
    await back.close();
    await source.close();
  });

  it('quantizes through the codec and falls back where rows do not divide, saying so', async () => {
    const source = await openModel(tinyModel('llama'));
    const q8 = join(temporaryDirectory(), 'q8.gguf');
    const even = await exportGguf(source, q8, {
      type: 'q8_0',
      codec: naiveQ8Codec,
      tokenizer: NO_TOKENIZER,
    });
    expect(even.fallbacks).toEqual([]);
    const back = await openModel(q8);
    expect(back.config.torchDtype).toBe('f16');
    const name = 'model.layers.1.self_attn.q_proj.weight';
    const values = naiveQ8Codec.toF32('f32', await source.read(name), 64 * 64);
    const found = naiveQ8Codec.toF32('q8_0', await back.read(name), 64 * 64);
    const errors = found.map((v, i) => Math.abs(v - values[i]!));
    expect(Math.max(...errors)).toBeLessThan(0.01);
    await back.close();
    const q6 = await exportGguf(source, join(temporaryDirectory(), 'q6.gguf'), {
      type: 'q6_K',
      codec: naiveQ8Codec,
      tokenizer: NO_TOKENIZER,
    });
    expect(q6.fallbacks).toContainEqual({
      tensor: 'blk.0.attn_q.weight',
      rowElements: 64,
      asked: 'q6_K',
      used: 'q8_0',
    });
    await source.close();
    const narrow = await openModel(await writeTinyHf());
    const f16 = await exportGguf(narrow, join(temporaryDirectory(), 'f16.gguf'), {
      type: 'q8_0',
      codec: naiveQ8Codec,
      tokenizer: NO_TOKENIZER,
    });
    expect(new Set(f16.fallbacks.map((f) => f.used))).toEqual(new Set(['f16']));
    await narrow.close();
  });

  it('passes quantized tensors through untouched when the type stays', async () => {
    const source = await openModel(WIDE_Q4_K);
    const path = join(temporaryDirectory(), 'copy.gguf');
    await exportGguf(source, path, { type: 'q4_K', codec: plainCodec, tokenizer: NO_TOKENIZER });
    const [before, after] = await Promise.all([GgufReader.open(WIDE_Q4_K), GgufReader.open(path)]);
    for (const name of before.tensors.keys()) {
      expect(Buffer.compare(await after.read(name), await before.read(name)), name).toBe(0);
    }
    await Promise.all([before.close(), after.close(), source.close()]);
  });

  it('refuses what GGUF or llama.cpp cannot express, a wrong tokenizer, and a taken name', async () => {
    const yarn = { rope_type: 'yarn', factor: 4, truncate: false };
    const qwen3 = { architectures: ['Qwen3ForCausalLM'], head_dim: 4, num_key_value_heads: 2 };
    const llama3 = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const cases: [Record<string, unknown>, string][] = [
      [{ rope_scaling: yarn }, 'truncation'],
      [{ ...qwen3, attention_bias: true }, 'biases'],
      [{ ...qwen3, rope_scaling: llama3 }, 'llama3'],
    ];
    for (const [config, word] of cases) {
      const source = await openModel(await writeTinyHf(config));
      const path = join(temporaryDirectory(), 'out.gguf');
      const thrown = await codeOf(() =>
        exportGguf(source, path, { type: 'f32', codec: plainCodec, tokenizer: NO_TOKENIZER }),
      );
      expect(thrown).toContain('WEIGHTS_EXPORT_UNSUPPORTED');
      expect(thrown).toContain(word);
      await source.close();
    }
    const source = await openModel(await writeTinyHf());
    const path = join(temporaryDirectory(), 'taken.gguf');
    writeFileSync(path, '');
    const withTokens = (count: number) =>
      new Map([
        [
          'tokenizer.ggml.tokens',
          { type: 'array', itemType: 'string', value: Array<string>(count).fill('a') } as const,
        ],
      ]);
    const base = { type: 'f32', codec: plainCodec } as const;
    expect(
      await codeOf(() => exportGguf(source, path, { ...base, tokenizer: withTokens(15) })),
    ).toContain('WEIGHTS_TOKENIZER_MISMATCH');
    expect(
      await codeOf(() => exportGguf(source, path, { ...base, tokenizer: withTokens(16) })),
    ).toContain('WEIGHTS_OUTPUT_EXISTS');
    await source.close();
  });
});

describe('exportHf', () => {
  it.each(TINY_FAMILIES)('casts and comes back with the same meaning: %s', async (family) => {
    const source = await openModel(tinyModel(family));
    const out = join(temporaryDirectory(), 'out');
    const report = await exportHf(source, out, { dtype: 'bf16', codec: plainCodec });
    expect(report.tensors).toBe(source.parameters.length);
    const back = await openModel(out);
    expect(back.config.torchDtype).toBe('bf16');
    for (const { name, type } of back.parameters) {
      expect(type).toBe('bf16');
      const bytes = await expectedBytes(source, name, 'bf16');
      expect(Buffer.compare(await back.read(name), bytes), name).toBe(0);
    }
    const { raw: _a, torchDtype: _b, ...before } = source.config;
    const { raw: _c, torchDtype: _d, ...after } = back.config;
    expect(after).toEqual(before);
    await back.close();
    await source.close();
  });

  it('makes a model directory from GGUF, with the tokenizer files it is given', async () => {
    const source = await openModel(STORIES_GGUF);
    const out = join(temporaryDirectory(), 'out');
    const seen: string[] = [];
    const report = await exportHf(source, out, {
      dtype: 'f32',
      codec: plainCodec,
      maxShardBytes: 300_000,
      extraFiles: [{ name: 'tokenizer.json', content: '{}' }],
      onProgress: ({ tensor }) => seen.push(tensor),
    });
    expect(report.weightFiles.length).toBeGreaterThan(2);
    expect(report.sidecarFiles).toEqual(['tokenizer.json']);
    expect(seen.toSorted()).toEqual(source.parameters.map((p) => p.name).toSorted());
    const [hf, back] = await Promise.all([openModel(STORIES_HF), openModel(out)]);
    for (const { name } of hf.parameters) {
      expect(Buffer.compare(await back.read(name), await hf.read(name)), name).toBe(0);
    }
    const { raw: _a, ...expected } = hf.config;
    const { raw: _b, ...found } = back.config;
    expect(found).toEqual(expected);
    expect(readFileSync(join(out, 'tokenizer.json'), 'utf8')).toBe('{}');
    await Promise.all([source.close(), hf.close(), back.close()]);
  });

  it('states llama3 scaling again when GGUF held its divisors, and refuses other divisors', async () => {
    const rope_scaling = {
      rope_type: 'llama3',
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 8192,
    };
    const rotary = { head_dim: 16, rope_theta: 500_000 };
    const export_ = { type: 'f32', codec: plainCodec, tokenizer: NO_TOKENIZER } as const;
    const source = await openModel(await writeTinyHf({ ...rotary, rope_scaling }));
    const path = join(temporaryDirectory(), 'a.gguf');
    await exportGguf(source, path, export_);
    const gguf = await openModel(path);
    expect(gguf.config.ropeScaling?.type).toBe('factors');
    const out = join(temporaryDirectory(), 'hf');
    await exportHf(gguf, out, { codec: plainCodec });
    const back = await openModel(out);
    expect(back.config.ropeScaling).toEqual(source.config.ropeScaling);
    await Promise.all([source.close(), gguf.close(), back.close()]);

    const odd = await openModel(
      await writeTinyHf({
        ...rotary,
        rope_scaling: { ...rope_scaling, original_max_position_embeddings: 20 },
      }),
    );
    const oddPath = join(temporaryDirectory(), 'b.gguf');
    await exportGguf(odd, oddPath, export_);
    const oddGguf = await openModel(oddPath);
    const thrown = await codeOf(() =>
      exportHf(oddGguf, join(temporaryDirectory(), 'hf'), { codec: plainCodec }),
    );
    expect(thrown).toContain('WEIGHTS_EXPORT_UNSUPPORTED');
    await Promise.all([odd.close(), oddGguf.close()]);
  });

  it('refuses to mix models, to overflow f16, and to go on when cancelled', async () => {
    const source = await openModel(
      await writeTinyHf({}, (t) => {
        const name = 'model.norm.weight';
        const values = new Float32Array(8).fill(1e5);
        t.set(name, { name, dtype: 'F32', shape: [8], data: new Uint8Array(values.buffer) });
      }),
    );
    const taken = await writeTinyHf();
    expect(await codeOf(() => exportHf(source, taken, { codec: plainCodec }))).toContain(
      'WEIGHTS_OUTPUT_EXISTS',
    );
    const thrown = await codeOf(() =>
      exportHf(source, temporaryDirectory(), { dtype: 'f16', codec: plainCodec }),
    );
    expect(thrown).toContain('WEIGHTS_NON_FINITE');
    expect(thrown).toContain('model.norm.weight: element 0 is 100000');
    expect(thrown).toContain('bf16');
    const signal = AbortSignal.abort();
    expect(
      await codeOf(() => exportHf(source, temporaryDirectory(), { codec: plainCodec, signal })),
    ).toContain('CANCELLED');
    await source.close();
  });
});

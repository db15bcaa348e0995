import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRng } from '@tuneyard/core';
import { type SafetensorsEntry, SafetensorsReader, writeSafetensors } from '@tuneyard/formats';
import { describe, expect, it } from 'vitest';
import {
  type AdapterConfig,
  exportGguf,
  type LoraAdapter,
  mergeAdapter,
  moduleRank,
  moduleScale,
  openModel,
  plainCodec,
  readPeftAdapter,
  writePeftAdapter,
} from '../src/index.js';
import {
  codeOf,
  naiveQ8Codec,
  PEFT_FIXTURES,
  STORIES_GGUF,
  STORIES_HF,
  temporaryDirectory,
  tinyModel,
  writeTinyHf,
} from './fixture-models.js';

const CASES = ['plain', 'rslora', 'patterns'] as const;

async function floatsOf(reader: SafetensorsReader, name: string): Promise<Float32Array> {
  const { byteLength } = reader.tensors.get(name)!;
  return plainCodec.toF32('f32', await reader.read(name), byteLength / 4);
}

const SETTINGS: AdapterConfig = {
  rank: 2,
  alpha: 4,
  rslora: false,
  dropout: 0,
  targetModules: ['q_proj'],
  baseModel: null,
  rankPattern: {},
  alphaPattern: {},
};

/** A random adapter for q_proj and down_proj of layer 0. */
function randomAdapter(
  sizes: { hidden: number; intermediate: number },
  config: AdapterConfig = SETTINGS,
): LoraAdapter {
  const rng = createRng(9);
  const random = (length: number) => Float32Array.from({ length }, () => rng.nextGaussian());
  const { hidden, intermediate } = sizes;
  const { rank } = config;
  const pair = (module: string, inFeatures: number, outFeatures: number) => ({
    module: `model.layers.0.${module}`,
    a: random(rank * inFeatures),
    b: random(outFeatures * rank),
    rank,
    inFeatures,
    outFeatures,
  });
  return {
    config,
    pairs: [pair('self_attn.q_proj', hidden, hidden), pair('mlp.down_proj', intermediate, hidden)],
  };
}

describe('readPeftAdapter', () => {
  it.each(CASES)('settles rank and scale of every module as PEFT does: %s', async (name) => {
    const { config, pairs } = await readPeftAdapter(join(PEFT_FIXTURES, name));
    const fixture = JSON.parse(readFileSync(join(PEFT_FIXTURES, name, 'fixture.json'), 'utf8')) as {
      modules: Record<string, { rank: number; scale: number }>;
    };
    expect(pairs.map((p) => p.module).sort()).toEqual(Object.keys(fixture.modules).sort());
    for (const pair of pairs) {
      const { rank, scale } = fixture.modules[pair.module]!;
      expect(pair.rank).toBe(rank);
      expect(moduleRank(config, pair.module)).toBe(rank);
      expect(moduleScale(config, pair.module)).toBeCloseTo(scale, 12);
    }
  });

  it('reads factors that torch pickled, as data', async () => {
    const adapter = await readPeftAdapter(join(PEFT_FIXTURES, 'plain'));
    const pickled = await readPeftAdapter(join(PEFT_FIXTURES, 'pickled'));
    const byModule = (a: LoraAdapter) =>
      [...a.pairs].sort((x, y) => (x.module < y.module ? -1 : 1));
    expect(byModule(pickled)).toEqual(byModule(adapter));
  });

  it('takes the target modules from the tensors when they are a pattern', async () => {
    for (const target of ['all-linear', '.*(q|down)_proj']) {
      const directory = temporaryDirectory();
      await writePeftAdapter(directory, randomAdapter({ hidden: 8, intermediate: 12 }), {
        config: SETTINGS,
      });
      const path = join(directory, 'adapter_config.json');
      const raw = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
      writeFileSync(path, JSON.stringify({ ...raw, target_modules: target }));
      const { config } = await readPeftAdapter(directory);
      expect(config.targetModules).toEqual(['down_proj', 'q_proj']);
    }
  });

  const A = {
    name: 'base_model.model.l.q_proj.lora_A.weight',
    dtype: 'F32',
    shape: [2, 4],
    data: new Uint8Array(32),
  } as const;
  const B = { ...A, name: 'base_model.model.l.q_proj.lora_B.weight', shape: [4, 2] } as const;
  it.each([
    ['WEIGHTS_ADAPTER_TENSOR', 'only lora_A', [A]],
    ['WEIGHTS_ADAPTER_TENSOR', 'columns', [A, { ...B, shape: [8, 1] }]],
    ['WEIGHTS_ADAPTER_TENSOR', 'matrices', [{ ...A, shape: [8] }, B]],
    ['WEIGHTS_ADAPTER_TENSOR', 'I32', [{ ...A, dtype: 'I32' }, B]],
    [
      'WEIGHTS_ADAPTER_TENSOR',
      'appears twice',
      [A, B, { ...A, name: A.name.replace('.weight', '.default.weight') }],
    ],
    ['WEIGHTS_ADAPTER_TENSOR', 'no LoRA factors', []],
    [
      'WEIGHTS_ADAPTER_TENSOR',
      'states 2',
      [
        { ...A, shape: [1, 8] },
        { ...B, shape: [8, 1] },
      ],
    ],
    ['WEIGHTS_ADAPTER_TENSOR', 'not a LoRA factor', [A, B, { ...A, name: 'something' }]],
    [
      'WEIGHTS_ADAPTER_TENSOR',
      'embed_tokens has only lora_A',
      [A, B, { ...A, name: 'base_model.model.model.embed_tokens.lora_embedding_A' }],
    ],
    [
      'WEIGHTS_ADAPTER_TENSOR',
      'use_dora does not ask',
      [A, B, { ...A, name: 'base_model.model.l.q_proj.lora_magnitude_vector' }],
    ],
    [
      'WEIGHTS_ADAPTER_TENSOR',
      'lora_bias does not ask',
      [A, B, { ...A, name: 'base_model.model.l.q_proj.lora_B.bias' }],
    ],
    [
      'WEIGHTS_ADAPTER_TENSOR',
      'modules_to_save does not ask',
      [A, B, { ...A, name: 'base_model.model.l.norm.weight' }],
    ],
    [
      'WEIGHTS_ADAPTER_UNSUPPORTED',
      'also changes model.embed_tokens.weight',
      [A, B, { ...A, name: 'base_model.model.model.embed_tokens.weight' }],
    ],
  ] as [string, string, SafetensorsEntry[]][])(
    'refuses tensors: %s, %s',
    async (code, words, tensors) => {
      const directory = temporaryDirectory();
      await writePeftAdapter(directory, { pairs: [] }, { config: SETTINGS });
      await writeSafetensors(join(directory, 'adapter_model.safetensors'), tensors);
      const thrown = await codeOf(() => readPeftAdapter(directory));
      expect(thrown).toContain(code);
      expect(thrown).toContain(words);
    },
  );

  it('says what a directory lacks', async () => {
    const directory = temporaryDirectory();
    expect(await codeOf(() => readPeftAdapter(directory))).toContain('adapter_config.json');
    writeFileSync(join(directory, 'adapter_config.json'), '{"peft_type":"LORA"}');
    expect(await codeOf(() => readPeftAdapter(directory))).toContain('WEIGHTS_ADAPTER_NOT_FOUND');
    writeFileSync(join(directory, 'adapter_model.bin'), 'not a torch file');
    expect(await codeOf(() => readPeftAdapter(directory))).toContain('TORCH_ARCHIVE_BAD_MAGIC');
  });
});

describe('writePeftAdapter', () => {
  it.each(CASES)('writes the tensors and settings that PEFT wrote: %s', async (name) => {
    const directory = temporaryDirectory();
    const adapter = await readPeftAdapter(join(PEFT_FIXTURES, name));
    await writePeftAdapter(directory, adapter, { config: adapter.config });
    const [theirs, ours] = await Promise.all([
      SafetensorsReader.open(join(PEFT_FIXTURES, name, 'adapter_model.safetensors')),
      SafetensorsReader.open(join(directory, 'adapter_model.safetensors')),
    ]);
    expect([...ours.tensors.keys()]).toEqual([...theirs.tensors.keys()]);
    expect(ours.metadata).toEqual(theirs.metadata);
    for (const [key, { shape, dtype }] of theirs.tensors) {
      expect(ours.tensors.get(key)).toMatchObject({ shape, dtype });
      expect(Buffer.compare(await ours.read(key), await theirs.read(key)), key).toBe(0);
    }
    expect(await readPeftAdapter(directory)).toEqual(adapter);
    await Promise.all([theirs.close(), ours.close()]);
  });

  it.each(['f16', 'bf16'] as const)('narrows to %s and is widened on reading', async (dtype) => {
    const directory = temporaryDirectory();
    const adapter = randomAdapter({ hidden: 8, intermediate: 12 });
    await writePeftAdapter(directory, adapter, { config: SETTINGS, dtype });
    const back = await readPeftAdapter(directory);
    for (const pair of adapter.pairs) {
      const found = back.pairs.find((p) => p.module === pair.module)!;
      const narrowed = plainCodec.fromF32(dtype, pair.a, pair.inFeatures);
      expect(found.a).toEqual(plainCodec.toF32(dtype, narrowed, pair.a.length));
    }
  });
});

describe('mergeAdapter', () => {
  it.each(CASES)("equals PEFT's own merge to the last bit but one: %s", async (name) => {
    const source = await openModel(tinyModel('llama'));
    const adapter = await readPeftAdapter(join(PEFT_FIXTURES, name));
    const out = join(temporaryDirectory(), 'merged');
    const report = await mergeAdapter(source, adapter, out, { dtype: 'f32', codec: plainCodec });
    expect(report.merged.length).toBe(adapter.pairs.length);
    expect(report.carried).toBe(source.parameters.length - adapter.pairs.length);
    const expected = await SafetensorsReader.open(
      join(PEFT_FIXTURES, name, 'expected.safetensors'),
    );
    const merged = await SafetensorsReader.open(out);
    for (const key of expected.tensors.keys()) {
      if (key === 'logits') continue;
      const [a, b] = [await floatsOf(merged, key), await floatsOf(expected, key)];
      // The scale of rslora is irrational; elsewhere both round the same exact sum once.
      a.forEach((v, i) => {
        expect(Math.abs(v - b[i]!)).toBeLessThanOrEqual(Math.abs(b[i]!) * 2 ** -23);
      });
    }
    await Promise.all([source.close(), expected.close(), merged.close()]);
  });

  it('equals a naive loop, carries the rest untouched, and copies the sidecars', async () => {
    const source = await openModel(STORIES_HF);
    const adapter = randomAdapter({ hidden: 64, intermediate: 172 });
    const out = join(temporaryDirectory(), 'merged');
    const report = await mergeAdapter(source, adapter, out, { dtype: 'f32', codec: plainCodec });
    const merged = await openModel(out);
    for (const { name, shape } of source.parameters) {
      const pair = adapter.pairs.find((p) => `${p.module}.weight` === name);
      const before = await source.read(name);
      const after = await merged.read(name);
      if (pair === undefined) {
        expect(Buffer.compare(after, before), name).toBe(0);
        continue;
      }
      const [rows = 0, columns = 0] = shape;
      const w = plainCodec.toF32('f32', before, rows * columns);
      const got = plainCodec.toF32('f32', after, rows * columns);
      for (let o = 0; o < rows; o++) {
        for (let j = 0; j < columns; j++) {
          let sum = 0;
          for (let r = 0; r < pair.rank; r++) {
            sum += pair.b[o * pair.rank + r]! * pair.a[r * columns + j]!;
          }
          const expected = Math.fround(w[o * columns + j]! + 2 * sum);
          expect(Math.abs(got[o * columns + j]! - expected)).toBeLessThanOrEqual(
            Math.abs(expected) * 2 ** -23,
          );
        }
      }
    }
    expect(merged.files).toEqual(source.files);
    expect(report.sidecarFiles).toEqual(source.files);
    for (const file of source.files) {
      expect(readFileSync(join(out, file))).toEqual(readFileSync(join(STORIES_HF, file)));
    }
    expect(merged.config).toEqual(source.config);
    await Promise.all([source.close(), merged.close()]);
  });

  it('counts the elements that rounding to the written type let change', async () => {
    const source = await openModel(STORIES_HF);
    const adapter = randomAdapter({ hidden: 64, intermediate: 172 });
    const scaled = (factor: number): LoraAdapter => ({
      ...adapter,
      pairs: adapter.pairs.map((p) => ({ ...p, b: p.b.map((v) => v * factor) })),
    });
    const fractionOf = async (factor: number): Promise<number> => {
      const out = join(temporaryDirectory(), 'merged');
      const options = { dtype: 'bf16', codec: plainCodec } as const;
      const { merged } = await mergeAdapter(source, scaled(factor), out, options);
      const sum = (key: 'elements' | 'changedElements') => merged.reduce((n, t) => n + t[key], 0);
      return sum('changedElements') / sum('elements');
    };
    expect(await fractionOf(0)).toBe(0);
    expect(await fractionOf(1e-5)).toBeLessThan(0.2);
    expect(await fractionOf(1)).toBeGreaterThan(0.95);
    await source.close();
  });

  it('dequantizes a quantized base through the codec', async () => {
    const hf = await openModel(tinyModel('llama'));
    const path = join(temporaryDirectory(), 'q8.gguf');
    await exportGguf(hf, path, { type: 'q8_0', codec: naiveQ8Codec, tokenizer: new Map() });
    const source = await openModel(path);
    const adapter = randomAdapter({ hidden: 64, intermediate: 96 });
    const out = join(temporaryDirectory(), 'merged');
    const options = {
      dtype: 'f32',
      codec: naiveQ8Codec,
      extraFiles: [{ name: 'tokenizer.json', content: '{"made": true}' }],
    } as const;
    await mergeAdapter(source, adapter, out, options);
    const merged = await openModel(out);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    const base = naiveQ8Codec.toF32('q8_0', await source.read(name), 64 * 64);
    const got = plainCodec.toF32('f32', await merged.read(name), 64 * 64);
    const { a, b } = adapter.pairs[0]!;
    got.forEach((v, i) => {
      const [o, j] = [Math.floor(i / 64), i % 64];
      const delta = b[2 * o]! * a[j]! + b[2 * o + 1]! * a[64 + j]!;
      expect(v).toBeCloseTo(base[i]! + 2 * delta, 5);
    });
    expect(merged.files).toEqual(['tokenizer.json']);
    expect(
      await codeOf(() =>
        mergeAdapter(source, adapter, join(temporaryDirectory(), 'x'), {
          ...options,
          codec: plainCodec,
        }),
      ),
    ).toContain('WEIGHTS_CODEC_UNSUPPORTED');
    await Promise.all([hf.close(), source.close(), merged.close()]);
  });

  it('merges onto GGUF in Hugging Face row order', async () => {
    const adapter = randomAdapter({ hidden: 64, intermediate: 172 });
    const merged = await Promise.all(
      [STORIES_HF, STORIES_GGUF].map(async (path) => {
        const source = await openModel(path);
        const out = join(temporaryDirectory(), 'merged');
        await mergeAdapter(source, adapter, out, { dtype: 'f32', codec: plainCodec });
        await source.close();
        return readFileSync(join(out, 'model.safetensors'));
      }),
    );
    expect(merged[0]!.equals(merged[1]!)).toBe(true);
  });

  it('writes nothing when the adapter does not fit, and stops at a non-finite result', async () => {
    const source = await openModel(await writeTinyHf());
    const out = join(temporaryDirectory(), 'merged');
    const options = { dtype: 'f16', codec: plainCodec } as const;
    const foreign = randomAdapter({ hidden: 64, intermediate: 172 });
    expect(await codeOf(() => mergeAdapter(source, foreign, out, options))).toContain(
      'WEIGHTS_ADAPTER_MISMATCH',
    );
    expect(existsSync(out)).toBe(false);
    const huge = randomAdapter({ hidden: 8, intermediate: 12 });
    huge.pairs[0]!.b.fill(1e6);
    const thrown = await codeOf(() => mergeAdapter(source, huge, out, options));
    expect(thrown).toContain('WEIGHTS_NON_FINITE');
    expect(thrown).toContain('model.layers.0.self_attn.q_proj.weight');
    expect(existsSync(join(out, 'config.json'))).toBe(false);
    await source.close();
  });

  it('refuses an output that already holds a model', async () => {
    const source = await openModel(await writeTinyHf());
    const out = join(temporaryDirectory(), 'merged');
    mkdirSync(out);
    writeFileSync(join(out, 'config.json'), '{}');
    const adapter = randomAdapter({ hidden: 8, intermediate: 12 });
    expect(await codeOf(() => mergeAdapter(source, adapter, out, { codec: plainCodec }))).toContain(
      'WEIGHTS_OUTPUT_EXISTS',
    );
    await source.close();
  });
});

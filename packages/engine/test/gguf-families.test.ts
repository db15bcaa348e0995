/**
 * GGUF files of every family mean to llama.cpp what the checkpoint means to transformers: the same tokens chosen
 * greedily, by the same margins. The references were made by test/oracles/make_gguf_family_goldens.py; weights are
 * hashes of names, made there and here.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { f32ToBf16, f32ToF16 } from '@tuneyard/core';
import { ggufTokenizerFields } from '@tuneyard/data';
import { writeSafetensors } from '@tuneyard/formats';
import { ggmlCodec, LlamaModel } from '@tuneyard/ggml';
import { convertHfToGguf, type GgufExportType } from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const FIXTURES = fileURLToPath(new URL('fixtures/gguf-families/', import.meta.url));
const STORIES = fileURLToPath(new URL('../../../assets/models/stories260k-hf', import.meta.url));
const FAMILIES = readdirSync(FIXTURES)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -5));

interface Golden {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: readonly (readonly [name: string, shape: readonly number[]])[];
  readonly cases: readonly {
    readonly prompt_ids: readonly number[];
    readonly new_ids: readonly number[];
    readonly margins: readonly number[];
  }[];
}

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'gguf-families-'));
});
afterAll(() => rm(root, { recursive: true }));

function golden(family: string): Golden {
  return JSON.parse(readFileSync(join(FIXTURES, `${family}.json`), 'utf8')) as Golden;
}

function hashOf(name: string): number {
  let h = 2166136261;
  for (const byte of Buffer.from(name)) h = Math.imul(h ^ byte, 16777619) >>> 0;
  return h;
}

/** As `fill_tensor` of the oracle. */
function fillTensor(name: string, shape: readonly number[], zeroCentredNorms: boolean) {
  const length = shape.reduce((n, d) => n * d, 1);
  const seed = hashOf(name);
  const isNorm = name.includes('norm') && name.endsWith('.weight');
  const isOutside = /embed|head|output_layer/.test(name);
  const divisor = isOutside ? (zeroCentredNorms ? 2048 : 512) : 1024;
  return Float32Array.from({ length }, (_, i) => {
    let x = (Math.imul(i, 2654435761) + seed) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    x = Math.imul(x ^ (x >>> 16), 0x45d9f3b) >>> 0;
    const bits = x >>> 24;
    if (isNorm) return (bits >> 1) / 128 + (zeroCentredNorms ? -0.5 : 0.5);
    return (2 * bits - 255) / divisor;
  });
}

type Plain = 'f32' | 'f16' | 'bf16';

function encoded(values: Float32Array, type: Plain): Uint8Array {
  if (type === 'f32') return new Uint8Array(values.buffer);
  const half = new Uint16Array(values.length);
  if (type === 'f16') f32ToF16(values, half);
  else f32ToBf16(values, half);
  return new Uint8Array(half.buffer);
}

const DTYPES = {
  f32: ['F32', 'float32'],
  f16: ['F16', 'float16'],
  bf16: ['BF16', 'bfloat16'],
} as const;

async function checkpoint(family: string, type: Plain): Promise<string> {
  const { config, tensors } = golden(family);
  const directory = join(root, `${family}-${type}-hf`);
  mkdirSync(directory, { recursive: true });
  const [dtype, torchDtype] = DTYPES[type];
  const isGemma = String(config['model_type']).startsWith('gemma');
  writeFileSync(
    join(directory, 'config.json'),
    JSON.stringify({ ...config, torch_dtype: torchDtype, dtype: torchDtype }),
  );
  await writeSafetensors(
    join(directory, 'model.safetensors'),
    tensors.map(([name, shape]) => {
      const data = encoded(fillTensor(name, shape, isGemma), type);
      return { name, dtype, shape, data };
    }),
    { metadata: { format: 'pt' } },
  );
  return directory;
}

async function converted(family: string, from: Plain, to: GgufExportType): Promise<string> {
  const path = join(root, `${family}-${to}.gguf`);
  const tokenizer = await ggufTokenizerFields(STORIES, { vocabSize: 512 });
  const directory = await checkpoint(family, from);
  // llama.cpp looks for Phi's own tokens when the name says phi-3.
  await convertHfToGguf(directory, path, { type: to, codec: ggmlCodec, tokenizer, name: 'tiny' });
  return path;
}

describe('llama.cpp continues a converted family as transformers continues the checkpoint', () => {
  it.each(FAMILIES)('%s in f32', async (family) => {
    using model = new LlamaModel(await converted(family, 'f32', 'f32'), { threads: 1 });
    const { cases } = golden(family);
    expect(cases).toHaveLength(10);
    // ggml looks GELU up in a table of f16 values.
    const tolerance = family.startsWith('gemma') ? 1e-3 : 3e-4;
    for (const { prompt_ids, new_ids, margins } of cases) {
      const found = await model.greedy(prompt_ids, {
        maxNewTokens: new_ids.length,
        stopTokenIds: [],
      });
      expect(found.ids).toEqual(new_ids);
      found.margins.forEach((margin, i) => {
        expect(Math.abs(margin - margins[i]!)).toBeLessThan(tolerance);
      });
    }
  });
});

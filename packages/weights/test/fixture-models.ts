/** Paths of fixture models, throw-away directories, and small model files with chosen faults. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng, f16ToF32, f32ToF16, type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { type SafetensorsEntry, writeSafetensors } from '@tuneyard/formats';
import { afterAll } from 'vitest';
import { plainCodec, type TensorCodec } from '../src/codec/tensor-codec.js';
import { parameterTable } from '../src/config/parameter-table.js';
import { parseModelConfig } from '../src/config/parse-config.js';

const pathOf = (relative: string): string =>
  fileURLToPath(new URL(`../../../${relative}`, import.meta.url));

export const STORIES_HF = pathOf('assets/models/stories260k-hf');
/** Made from the same weights by llama.cpp's own converter. */
export const STORIES_GGUF = pathOf('packages/ggml/test/fixtures/stories260K-f32.gguf');
export const PEFT_FIXTURES = pathOf('packages/weights/test/fixtures/peft');
export const WIDE_Q4_K = pathOf('packages/engine/test/fixtures/tiny/llama-wide/model.gguf');

/** Seeded random models of every family, saved by transformers. */
export const TINY_FAMILIES = [
  'llama',
  'llama3',
  'llama-linear',
  'llama-bias',
  'mistral',
  'qwen2',
  'qwen2-yarn',
  'qwen3',
] as const;

export function tinyModel(family: (typeof TINY_FAMILIES)[number]): string {
  return pathOf(`packages/engine/test/fixtures/tiny/${family}`);
}

const made: string[] = [];
afterAll(() => {
  for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
});

export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'weights-test-'));
  made.push(directory);
  return directory;
}

export async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    if (error instanceof TuneyardError) return `${error.code} ${error.message} ${error.hint ?? ''}`;
    throw error;
  }
  return 'nothing was thrown';
}

export const TINY_CONFIG = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 8,
  intermediate_size: 12,
  num_attention_heads: 2,
  num_hidden_layers: 1,
  vocab_size: 16,
};

/** Writes a random f32 Llama of 16 tokens; `edit` changes its tensors before they are written. */
export async function writeTinyHf(
  config: Record<string, unknown> = {},
  edit: (entries: Map<string, SafetensorsEntry>) => void = () => {},
): Promise<string> {
  const directory = temporaryDirectory();
  const raw = { ...TINY_CONFIG, ...config };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(raw));
  const rng = createRng(1);
  const entries = new Map<string, SafetensorsEntry>();
  for (const { name, shape } of parameterTable(parseModelConfig(raw, 'tiny'))) {
    const length = shape.reduce((n, d) => n * d, 1);
    const values = Float32Array.from({ length }, () => rng.nextGaussian());
    entries.set(name, { name, dtype: 'F32', shape, data: new Uint8Array(values.buffer) });
  }
  edit(entries);
  await writeSafetensors(join(directory, 'model.safetensors'), [...entries.values()]);
  return directory;
}

/** A plain q8_0 next to the plain types: scale max/127 in f16, values rounded to the nearest integer. */
export const naiveQ8Codec: TensorCodec = {
  toF32(type: GgmlTypeName, bytes: Uint8Array, elements: number): Float32Array {
    if (type !== 'q8_0') return plainCodec.toF32(type, bytes, elements);
    const out = new Float32Array(elements);
    for (let block = 0; block < elements / 32; block++) {
      const scale = new Float32Array(1);
      f16ToF32(new Uint16Array(bytes.slice(block * 34, block * 34 + 2).buffer), scale);
      const values = new Int8Array(bytes.slice(block * 34 + 2, block * 34 + 34).buffer);
      values.forEach((v, i) => {
        out[block * 32 + i] = v * scale[0]!;
      });
    }
    return out;
  },
  fromF32(type: GgmlTypeName, values: Float32Array, rowElements: number): Uint8Array {
    if (type !== 'q8_0') return plainCodec.fromF32(type, values, rowElements);
    const out = new Uint8Array((values.length / 32) * 34);
    for (let block = 0; block < values.length / 32; block++) {
      const part = values.subarray(block * 32, block * 32 + 32);
      const scale = Math.max(...part.map(Math.abs)) / 127;
      const half = new Uint16Array(1);
      f32ToF16(Float32Array.of(scale), half);
      out.set(new Uint8Array(half.buffer), block * 34);
      part.forEach((v, i) => {
        out[block * 34 + 2 + i] = scale === 0 ? 0 : Math.round(v / scale) & 0xff;
      });
    }
    return out;
  },
};

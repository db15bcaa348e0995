/** Checkpoints of tiny models of every family, from the goldens and hashes of names. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { f32ToBf16, f32ToF16 } from '@tuneyard/core';
import { writeSafetensors } from '@tuneyard/formats';

const FIXTURES = fileURLToPath(new URL('fixtures/gguf-families/', import.meta.url));
/** The bundled model, for its tokenizer of 512 tokens. */
export const STORIES = fileURLToPath(
  new URL('../../../assets/models/stories260k-hf', import.meta.url),
);
export const FAMILIES: readonly string[] = readdirSync(FIXTURES)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -5));

/** What transformers made of a family. */
export interface Golden {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: readonly (readonly [name: string, shape: readonly number[]])[];
  readonly cases: readonly {
    readonly prompt_ids: readonly number[];
    readonly new_ids: readonly number[];
    readonly margins: readonly number[];
  }[];
}

export function golden(family: string): Golden {
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

export type Plain = 'f32' | 'f16' | 'bf16';

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

/** Writes a directory of a family. */
export async function writeFamily(root: string, family: string, type: Plain): Promise<string> {
  return await writeCheckpoint(join(root, `${family}-${type}-hf`), golden(family), type);
}

/** Writes any configuration with hashed weights. */
export async function writeCheckpoint(
  directory: string,
  { config, tensors }: Pick<Golden, 'config' | 'tensors'>,
  type: Plain,
): Promise<string> {
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

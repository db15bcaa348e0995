/** Random Hugging Face directories of every catalogued family, from the configurations of the family fixtures. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng, f32ToBf16, f32ToF16 } from '@tuneyard/core';
import {
  type SafetensorsEntry,
  writeSafetensors,
  writeShardedSafetensors,
} from '@tuneyard/formats';
import { type HfStyle, hfLayout } from '../src/convert/hf-layout.js';
import { logicalModel } from '../src/convert/logical-config.js';
import type { LogicalModel, StoredSpec } from '../src/convert/logical-model.js';

const FIXTURES = fileURLToPath(new URL('fixtures/families/', import.meta.url));

/** What test/oracles/make_weights_families.py wrote down of one tiny model. */
export interface FamilyFixture {
  readonly config: Readonly<Record<string, unknown>>;
  /** Names and shapes, sorted. */
  readonly published: readonly (readonly [string, readonly number[]])[];
  readonly fused?: readonly (readonly [string, readonly number[]])[];
  /** GGUF names of published tensors. */
  readonly gguf: Readonly<Record<string, string>>;
}

/** Names of all family fixtures: families and variants of them (`llama-tied`). */
export const FAMILY_FIXTURES: readonly string[] = readdirSync(FIXTURES)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -5))
  .sort();

export function familyFixture(name: string): FamilyFixture {
  return JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8')) as FamilyFixture;
}

export interface TinyCheckpointOptions {
  /** Default: BF16. */
  readonly dtype?: 'F32' | 'F16' | 'BF16';
  /** Default: 1. Same seed, same bytes. */
  readonly seed?: number;
  /** Keys that differ from the fixture's configuration: more layers, larger sizes. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Default: published. */
  readonly style?: HfStyle;
  /** Splits the weights into shards with an index, each at most this large. */
  readonly shardBytes?: number;
}

export interface TinyCheckpoint {
  readonly config: Readonly<Record<string, unknown>>;
  readonly model: LogicalModel;
  readonly layout: readonly StoredSpec[];
}

/**
 * Writes `config.json` and safetensors with Gaussian weights (deviation 0.05; norms around 1) into `directory`.
 */
export async function makeTinyCheckpoint(
  name: string,
  directory: string,
  options: TinyCheckpointOptions = {},
): Promise<TinyCheckpoint> {
  const { dtype = 'BF16', seed = 1, style = 'published' } = options;
  const torchDtype = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' }[dtype];
  const config = {
    ...familyFixture(name).config,
    torch_dtype: torchDtype,
    ...options.config,
  };
  const model = logicalModel(config, `${name}/config.json`);
  const layout = hfLayout(model, { style });
  const entries = randomEntries(model, layout, { dtype, seed });
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'config.json'), `${JSON.stringify(config, null, 2)}\n`);
  const metadata = { format: 'pt' };
  if (options.shardBytes === undefined) {
    await writeSafetensors(join(directory, 'model.safetensors'), entries, { metadata });
  } else {
    await writeShardedSafetensors(directory, entries, {
      metadata,
      maxShardBytes: options.shardBytes,
    });
  }
  return { config, model, layout };
}

function randomEntries(
  model: LogicalModel,
  layout: readonly StoredSpec[],
  { dtype, seed }: Required<Pick<TinyCheckpointOptions, 'dtype' | 'seed'>>,
): SafetensorsEntry[] {
  const rng = createRng(seed);
  const norms = new Set(
    model.tensors.filter(({ role }) => role.endsWith('norm')).map(({ id }) => id),
  );
  return layout.map(({ name, shape, rectangles }) => {
    const length = shape.reduce((product, size) => product * size, 1);
    const isNorm = rectangles.some(({ logical }) => norms.has(logical));
    const values = Float32Array.from(
      { length },
      () => (isNorm ? 1 : 0) + 0.05 * rng.nextGaussian(),
    );
    return { name, dtype, shape, data: encode(values, dtype) };
  });
}

function encode(values: Float32Array, dtype: 'F32' | 'F16' | 'BF16'): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer);
  const half = new Uint16Array(values.length);
  if (dtype === 'F16') f32ToF16(values, half);
  else f32ToBf16(values, half);
  return new Uint8Array(half.buffer);
}

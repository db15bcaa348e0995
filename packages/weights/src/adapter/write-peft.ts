/** {@link LoraAdapter} → a directory that PEFT, vLLM and llama.cpp's converter load. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert } from '@tuneyard/core';
import { type SafetensorsEntry, writeSafetensors } from '@tuneyard/formats';
import { plainCodec } from '../codec/tensor-codec.js';
import type { AdapterConfig, LoraPair } from './adapter.js';
import { peftConfigObject } from './peft-config.js';
import { PEFT_PREFIX } from './peft-keys.js';

/** Settings of {@link writePeftAdapter}. */
export interface WritePeftOptions {
  readonly config: AdapterConfig;
  /** Element type of the factors; default f32, as they were trained. */
  readonly dtype?: 'f32' | 'f16' | 'bf16';
  readonly signal?: AbortSignal;
}

const DTYPE_NAMES = { f32: 'F32', f16: 'F16', bf16: 'BF16' } as const;

/**
 * Writes `adapter_model.safetensors`, then `adapter_config.json`; the directory is created.
 *
 * Same adapter, same bytes: keys are sorted by name, as safetensors' own writer sorts them.
 */
export async function writePeftAdapter(
  directory: string,
  adapter: { readonly pairs: readonly LoraPair[] },
  options: WritePeftOptions,
): Promise<void> {
  const dtype = options.dtype ?? 'f32';
  const entries = adapter.pairs.flatMap((pair) => pairEntries(pair, dtype));
  entries.sort((x, y) => (x.name < y.name ? -1 : 1));
  await mkdir(directory, { recursive: true });
  await writeSafetensors(join(directory, 'adapter_model.safetensors'), entries, {
    metadata: { format: 'pt' },
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const text = `${JSON.stringify(peftConfigObject(options.config), null, 2)}\n`;
  await writeFile(join(directory, 'adapter_config.json'), text);
}

function pairEntries(pair: LoraPair, dtype: 'f32' | 'f16' | 'bf16'): SafetensorsEntry[] {
  const { module, a, b, rank, inFeatures, outFeatures } = pair;
  assert(a.length === rank * inFeatures, `${module}: A does not have its shape`);
  assert(b.length === outFeatures * rank, `${module}: B does not have its shape`);
  return [
    {
      name: `${PEFT_PREFIX}${module}.lora_A.weight`,
      dtype: DTYPE_NAMES[dtype],
      shape: [rank, inFeatures],
      data: plainCodec.fromF32(dtype, a, inFeatures),
    },
    {
      name: `${PEFT_PREFIX}${module}.lora_B.weight`,
      dtype: DTYPE_NAMES[dtype],
      shape: [outFeatures, rank],
      data: plainCodec.fromF32(dtype, b, rank),
    },
  ];
}

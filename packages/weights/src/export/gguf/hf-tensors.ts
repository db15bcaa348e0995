/** The tensors of a Hugging Face directory of any catalogued family, matched with its layout; headers only. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { SafetensorsReader, TorchArchiveReader } from '@tuneyard/formats';
import { readJsonObject } from '../../config/read-json.js';
import { torchSource } from '../../conversion/source-tensors.js';
import { hfLayout, hfStyleOf } from '../../convert/hf-layout.js';
import { requireStoredTensors } from '../../convert/hf-tensor-check.js';
import { logicalModel } from '../../convert/logical-config.js';
import type { LogicalModel, StoredSpec } from '../../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { unusableType } from '../../source/tensor-checks.js';
import type { RowTensor } from './row-files.js';

const TYPES: Readonly<Record<string, RowTensor['type']>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};

/** A directory whose tensors are all where its configuration says. */
export interface HfTensors {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly model: LogicalModel;
  readonly stored: readonly StoredSpec[];
  readonly tensors: ReadonlyMap<string, RowTensor>;
}

/** Reads headers and checks them. Throws: `WEIGHTS_MODEL_NOT_FOUND`, and what its callers list. */
export async function openHfTensors(directory: string): Promise<HfTensors> {
  const configPath = join(directory, 'config.json');
  const raw = await readJsonObject(configPath);
  if (raw === null) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_MODEL_NOT_FOUND,
      `${directory} is not a model directory: it has no config.json`,
      { category: 'not_found', details: { path: directory } },
    );
  }
  const model = logicalModel(raw, configPath);
  const located = await locateTensors(directory);
  const stored = hfLayout(model, { style: hfStyleOf(model, located.keys()) });
  requireStoredTensors(directory, model, { layout: stored, tensors: located });
  const tensors = new Map<string, RowTensor>();
  for (const { name, shape } of stored) {
    const tensor = located.get(name);
    if (tensor === undefined) continue;
    const type = TYPES[tensor.dtype];
    if (type === undefined) throw unusableType(directory, name, tensor.dtype);
    const cols = shape.length === 1 ? 1 : (shape.at(-1) ?? 1);
    const rows = shape.reduce((product, n) => product * n, 1) / cols;
    tensors.set(name, { name, file: tensor.file, begin: tensor.begin, type, rows, cols });
  }
  return { raw, model, stored, tensors };
}

/** Where a tensor of any of the file forms lies. */
interface LocatedTensor {
  readonly file: string;
  readonly begin: number;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Reads the headers of safetensors, or where there are none of the torch archives of older models. */
async function locateTensors(directory: string): Promise<ReadonlyMap<string, LocatedTensor>> {
  const names = await readdir(directory);
  const archives = names.filter((name) => /^pytorch_model.*\.bin$/.test(name)).sort();
  if (archives.length === 0 || names.some((name) => name.endsWith('.safetensors'))) {
    await using reader = await SafetensorsReader.open(directory);
    return reader.tensors;
  }
  const located = new Map<string, LocatedTensor>();
  for (const archive of archives) {
    const file = join(directory, archive);
    const reader = await TorchArchiveReader.open(file);
    try {
      for (const [name, tensor] of reader.tensors) {
        const { begin, dtype } = torchSource(tensor, file);
        located.set(name, { file, begin, dtype, shape: tensor.shape });
      }
    } finally {
      await reader.close();
    }
  }
  return located;
}

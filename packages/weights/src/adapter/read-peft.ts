/**
 * A PEFT adapter directory → {@link LoraAdapter}.
 *
 * Source: PEFT `docs/source/developer_guides/checkpoint.md` (keys), `peft/utils/save_and_load.py`.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { SafetensorsReader, type SafetensorsTensor } from '@tuneyard/formats';
import { plainCodec } from '../codec/tensor-codec.js';
import { readJsonObject } from '../config/read-json.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { LoraAdapter, LoraPair } from './adapter.js';
import { moduleRank } from './module-pattern.js';
import { parsePeftConfig } from './peft-config.js';

/** Prefix of every key: the two wrappers that PEFT puts around a model. */
export const PEFT_PREFIX = 'base_model.model.';

/** Module path, factor, and the adapter name that unsaved state dicts carry. */
const FACTOR_KEY = /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/;

const PLAIN_TYPES: Readonly<Record<string, GgmlTypeName>> = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};

/**
 * Reads an adapter; half-precision factors are widened to f32.
 *
 * Throws: `WEIGHTS_ADAPTER_NOT_FOUND`, `WEIGHTS_ADAPTER_CONFIG`, `WEIGHTS_ADAPTER_UNSUPPORTED`,
 * `WEIGHTS_ADAPTER_TENSOR`, `WEIGHTS_JSON_INVALID` and the codes of safetensors.
 */
export async function readPeftAdapter(directory: string): Promise<LoraAdapter> {
  const configPath = join(directory, 'adapter_config.json');
  const raw = await readJsonObject(configPath);
  if (raw === null) throw notFound(directory, 'it has no adapter_config.json');
  const parsed = parsePeftConfig(raw, configPath);
  await requireSafetensors(directory);
  const file = join(directory, 'adapter_model.safetensors');
  const reader = await SafetensorsReader.open(file);
  try {
    const pairs: LoraPair[] = [];
    for (const [module, factors] of groupFactors(file, reader)) {
      pairs.push(await readPair(file, { module, factors, reader }));
    }
    const leaves = [...new Set(pairs.map(({ module }) => leafOf(module)))].sort();
    const config = parsed.hasTargetPattern
      ? { ...parsed.config, targetModules: leaves }
      : parsed.config;
    for (const pair of pairs) checkRank(file, pair, moduleRank(config, pair.module));
    return { config, pairs };
  } finally {
    await reader.close();
  }
}

interface FactorTensors {
  a?: SafetensorsTensor;
  b?: SafetensorsTensor;
}

function groupFactors(file: string, reader: SafetensorsReader): Map<string, FactorTensors> {
  const modules = new Map<string, FactorTensors>();
  for (const tensor of reader.tensors.values()) {
    const [, module, factor] = FACTOR_KEY.exec(tensor.name) ?? [];
    if (module === undefined) throw foreignTensor(file, tensor.name);
    const factors = modules.get(module) ?? {};
    const side = factor === 'A' ? 'a' : 'b';
    if (factors[side] !== undefined) {
      throw tensorError(file, tensor.name, 'appears twice, with and without an adapter name');
    }
    factors[side] = tensor;
    modules.set(module, factors);
  }
  if (modules.size === 0) {
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR,
      `${file}: holds no LoRA factors`,
      { details: { file } },
    );
  }
  return modules;
}

async function readPair(
  file: string,
  input: { module: string; factors: FactorTensors; reader: SafetensorsReader },
): Promise<LoraPair> {
  const { module, reader } = input;
  const { a, b } = input.factors;
  if (a === undefined || b === undefined) {
    throw tensorError(file, module, `has only lora_${a === undefined ? 'B' : 'A'}`);
  }
  const [rank, inFeatures] = matrixShape(file, a);
  const [outFeatures, rankOfB] = matrixShape(file, b);
  if (rank !== rankOfB) {
    throw tensorError(file, b.name, `has ${rankOfB} columns but lora_A has ${rank} rows`);
  }
  return {
    module,
    a: await readFactor(file, a, reader),
    b: await readFactor(file, b, reader),
    rank,
    inFeatures,
    outFeatures,
  };
}

function matrixShape(file: string, tensor: SafetensorsTensor): readonly [number, number] {
  const [rows, columns] = tensor.shape;
  if (tensor.shape.length !== 2 || !rows || !columns) {
    throw tensorError(
      file,
      tensor.name,
      `has shape [${tensor.shape.join(', ')}]; LoRA factors of linear modules are matrices`,
    );
  }
  return [rows, columns];
}

async function readFactor(
  file: string,
  tensor: SafetensorsTensor,
  reader: SafetensorsReader,
): Promise<Float32Array> {
  const type = PLAIN_TYPES[tensor.dtype];
  if (type === undefined) {
    throw tensorError(
      file,
      tensor.name,
      `is stored as ${tensor.dtype}; F32, F16 and BF16 are read`,
    );
  }
  const elements = tensor.shape.reduce((product, n) => product * n, 1);
  return plainCodec.toF32(type, await reader.read(tensor.name), elements);
}

function checkRank(file: string, pair: LoraPair, stated: number): void {
  if (pair.rank === stated) return;
  throw tensorError(
    file,
    pair.module,
    `has rank ${pair.rank}; adapter_config.json states ${stated}`,
  );
}

function foreignTensor(file: string, name: string): TuneyardError {
  const kinds: readonly (readonly [RegExp, string])[] = [
    [/lora_embedding_[AB]/, 'adapts an embedding'],
    [/lora_magnitude_vector/, 'is a DoRA magnitude'],
    [/\.lora_[AB]\..*bias$/, 'is a bias of a LoRA factor'],
    [/(embed_tokens|lm_head)\.(base_layer\.)?weight$/, 'is a whole embedding or head'],
    [/modules_to_save/, 'is a whole module'],
  ];
  const kind = kinds.find(([form]) => form.test(name))?.[1];
  if (kind === undefined)
    return tensorError(file, name, `is not a LoRA factor under ${PEFT_PREFIX}`);
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
    `${file}: ${name} ${kind}; only LoRA factors of linear modules are read`,
    { details: { file, tensor: name } },
  );
}

async function requireSafetensors(directory: string): Promise<void> {
  const names = await readdir(directory);
  if (names.includes('adapter_model.safetensors')) return;
  if (names.includes('adapter_model.bin')) {
    throw notFound(
      directory,
      'its factors are in a pickled adapter_model.bin',
      'Load it in PEFT once and save it with save_pretrained, which writes adapter_model.safetensors.',
    );
  }
  throw notFound(directory, 'it has no adapter_model.safetensors');
}

function notFound(path: string, why: string, hint?: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_NOT_FOUND,
    `${path} is not a readable adapter: ${why}`,
    { category: 'not_found', details: { path }, ...(hint === undefined ? {} : { hint }) },
  );
}

function tensorError(file: string, tensor: string, what: string): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR, `${file}: ${tensor} ${what}`, {
    details: { file, tensor },
  });
}

function leafOf(module: string): string {
  return module.slice(module.lastIndexOf('.') + 1);
}

/** A Hugging Face model directory as a {@link ModelSource}: `config.json` and safetensors shards. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type GgmlTypeName, TuneyardError } from '@tuneyard/core';
import { type SafetensorsDtype, SafetensorsReader } from '@tuneyard/formats';
import type { ModelConfig } from '../config/model-config.js';
import { parameterTable } from '../config/parameter-table.js';
import { parseModelConfig } from '../config/parse-config.js';
import { readJsonObject } from '../config/read-json.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { ModelSource, StoredParameter } from './model-source.js';
import { listSidecarFiles } from './sidecar-files.js';
import {
  checkShape,
  missingTensors,
  unexpectedTensors,
  unknownParameter,
  unusableType,
} from './tensor-checks.js';

const TYPE_BY_DTYPE: { readonly [D in SafetensorsDtype]?: 'f32' | 'f16' | 'bf16' } = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
};

/** Buffers that older transformers releases saved and that the configuration implies. */
const STORED_FREQUENCIES = /\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$/;

/**
 * Opens a Hugging Face directory.
 *
 * Throws: `WEIGHTS_MODEL_NOT_FOUND`, what `parseModelConfig` throws, `WEIGHTS_MISSING_TENSOR`,
 * `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`.
 */
export async function openHfModel(directory: string): Promise<ModelSource> {
  const configPath = join(directory, 'config.json');
  const raw = await readJsonObject(configPath);
  if (raw === null) throw notFound(directory, 'it has no config.json');
  const stated = parseModelConfig(raw, configPath);
  await requireSafetensors(directory);
  const reader = await SafetensorsReader.open(directory);
  try {
    const { parameters, ignoredTensors } = matchTensors(directory, stated, reader);
    const config = withStoredDtype(stated, parameters);
    return {
      kind: 'hf',
      path: directory,
      config,
      parameters,
      ignoredTensors,
      generationConfig: await readJsonObject(join(directory, 'generation_config.json')),
      files: await listSidecarFiles(directory),
      read: readerOf(directory, parameters, reader),
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

function readerOf(
  directory: string,
  parameters: readonly StoredParameter[],
  reader: SafetensorsReader,
): ModelSource['read'] {
  const names = new Set(parameters.map((parameter) => parameter.name));
  return async (name) => {
    if (!names.has(name)) throw unknownParameter(directory, name);
    return await reader.read(name);
  };
}

interface MatchedTensors {
  readonly parameters: readonly StoredParameter[];
  readonly ignoredTensors: readonly string[];
}

function matchTensors(
  directory: string,
  config: ModelConfig,
  reader: SafetensorsReader,
): MatchedTensors {
  const table = parameterTable(config);
  const missing = table.map((p) => p.name).filter((name) => !reader.tensors.has(name));
  if (missing.length > 0) {
    const onlyHead = missing.length === 1 && missing[0] === 'lm_head.weight';
    throw missingTensors(
      directory,
      missing,
      onlyHead ? 'If the head shares the embedding, set tie_word_embeddings to true.' : undefined,
    );
  }
  const expected = new Set(table.map((p) => p.name));
  const extra = [...reader.tensors.keys()].filter((name) => !expected.has(name));
  const isIgnorable = (name: string): boolean =>
    STORED_FREQUENCIES.test(name) || (config.tieWordEmbeddings && name === 'lm_head.weight');
  const unexplained = extra.filter((name) => !isIgnorable(name));
  if (unexplained.length > 0) throw unexpectedTensors(directory, unexplained);
  const parameters = table.map((spec): StoredParameter => {
    const tensor = reader.tensors.get(spec.name);
    if (tensor === undefined) throw missingTensors(directory, [spec.name]);
    checkShape(directory, spec.name, { found: tensor.shape, expected: spec.shape });
    const type = TYPE_BY_DTYPE[tensor.dtype];
    if (type === undefined) throw unusableType(directory, spec.name, tensor.dtype);
    return { ...spec, type, byteLength: tensor.byteLength };
  });
  return { parameters, ignoredTensors: extra };
}

/** Some configurations do not state an element type; then the embedding's is the model's. */
function withStoredDtype(config: ModelConfig, parameters: readonly StoredParameter[]): ModelConfig {
  const isStated = config.raw['torch_dtype'] ?? config.raw['dtype'];
  const stored: GgmlTypeName | undefined = parameters[0]?.type;
  if (isStated !== undefined && isStated !== null) return config;
  return stored === 'f16' || stored === 'bf16' ? { ...config, torchDtype: stored } : config;
}

async function requireSafetensors(directory: string): Promise<void> {
  const names = await readdir(directory);
  if (names.some((name) => name.endsWith('.safetensors'))) return;
  const hasPickles = names.some((name) => /^pytorch_model.*\.bin$/.test(name));
  throw notFound(
    directory,
    hasPickles ? 'its weights are pickled .bin files' : 'it has no .safetensors files',
    hasPickles
      ? 'Use the safetensors form of the model; most repositories offer both.'
      : 'Is the download complete?',
  );
}

function notFound(path: string, why: string, hint?: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MODEL_NOT_FOUND,
    `${path} is not a model directory: ${why}`,
    {
      category: 'not_found',
      details: { path },
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

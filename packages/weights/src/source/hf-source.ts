/** A Hugging Face model directory as a {@link ModelSource}: `config.json` and weights, safetensors or torch files. */
import { join } from 'node:path';
import type { GgmlTypeName } from '@tuneyard/core';
import type { ModelConfig } from '../config/model-config.js';
import { parameterTable } from '../config/parameter-table.js';
import { parseModelConfig } from '../config/parse-config.js';
import { readJsonObject } from '../config/read-json.js';
import { type HfTensors, openHfTensors } from './hf-tensors.js';
import type { ModelSource, StoredParameter } from './model-source.js';
import { notAModel } from './not-a-model.js';
import { listSidecarFiles } from './sidecar-files.js';
import {
  checkShape,
  missingTensors,
  unexpectedTensors,
  unknownParameter,
  unusableType,
} from './tensor-checks.js';

const TYPE_BY_DTYPE: ReadonlyMap<string, 'f32' | 'f16' | 'bf16'> = new Map([
  ['F32', 'f32'],
  ['F16', 'f16'],
  ['BF16', 'bf16'],
]);

/** Buffers that older transformers releases saved and that the configuration implies. */
const STORED_FREQUENCIES = /\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$/;

/**
 * Opens a Hugging Face directory.
 *
 * Throws: `WEIGHTS_MODEL_NOT_FOUND`, what `parseModelConfig` throws, `WEIGHTS_MISSING_TENSOR`,
 * `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`, and what opening the files throws.
 */
export async function openHfModel(directory: string): Promise<ModelSource> {
  const configPath = join(directory, 'config.json');
  const raw = await readJsonObject(configPath);
  if (raw === null) throw notAModel(directory, 'it has no config.json');
  const stated = parseModelConfig(raw, configPath);
  const reader = await openHfTensors(directory);
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
  reader: HfTensors,
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

function matchTensors(directory: string, config: ModelConfig, reader: HfTensors): MatchedTensors {
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
    const type = TYPE_BY_DTYPE.get(tensor.dtype);
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

/** A GGUF file as a {@link ModelSource}, under Hugging Face names and row order. */
import { GgufReader } from '@tuneyard/formats';
import { plainCodec } from '../codec/tensor-codec.js';
import type { ModelConfig } from '../config/model-config.js';
import { type MappedParameter, mappedParameters } from '../config/parameter-table.js';
import { gatherRows, halfSplitFromInterleaved } from '../kernels/row-permutation.js';
import { ggufModelConfig } from './gguf-config.js';
import type { ModelSource, StoredParameter } from './model-source.js';
import {
  checkShape,
  isWeightType,
  missingTensors,
  unexpectedTensors,
  unknownParameter,
  unusableType,
} from './tensor-checks.js';

const ROPE_FACTORS = 'rope_freqs.weight';

/**
 * Opens a GGUF model.
 *
 * Throws: what the configuration throws, `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`,
 * `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`.
 */
export async function openGgufModel(path: string): Promise<ModelSource> {
  const reader = await GgufReader.open(path);
  try {
    const config = ggufModelConfig({
      path,
      metadata: reader.metadata,
      tensors: reader.tensors,
      ropeFactors: await readRopeFactors(path, reader),
    });
    const mapped = mappedParameters(config);
    const parameters = matchTensors(path, mapped, reader);
    return {
      kind: 'gguf',
      path,
      config,
      parameters,
      ignoredTensors: [],
      generationConfig: null,
      files: [],
      read: readerOf(path, { config, mapped, reader }),
      close: () => reader.close(),
    };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

async function readRopeFactors(
  path: string,
  reader: GgufReader,
): Promise<readonly number[] | null> {
  const tensor = reader.tensors.get(ROPE_FACTORS);
  if (tensor === undefined) return null;
  if (tensor.type !== 'f32') throw unusableType(path, ROPE_FACTORS, tensor.type);
  const elements = tensor.byteLength / 4;
  return [...plainCodec.toF32('f32', await reader.read(ROPE_FACTORS), elements)];
}

function matchTensors(
  path: string,
  mapped: readonly MappedParameter[],
  reader: GgufReader,
): readonly StoredParameter[] {
  const missing = mapped.map((p) => p.ggufName).filter((name) => !reader.tensors.has(name));
  if (missing.length > 0) throw missingTensors(path, missing);
  const expected = new Set([ROPE_FACTORS, ...mapped.map((p) => p.ggufName)]);
  const extra = [...reader.tensors.keys()].filter((name) => !expected.has(name));
  if (extra.length > 0) throw unexpectedTensors(path, extra);
  return mapped.map((parameter): StoredParameter => {
    const tensor = reader.tensors.get(parameter.ggufName);
    if (tensor === undefined) throw missingTensors(path, [parameter.ggufName]);
    const { name, shape, role, layer, module } = parameter;
    checkShape(path, parameter.ggufName, { found: tensor.shape, expected: shape.toReversed() });
    if (!isWeightType(tensor.type)) throw unusableType(path, parameter.ggufName, tensor.type);
    return { name, shape, role, layer, module, type: tensor.type, byteLength: tensor.byteLength };
  });
}

function readerOf(
  path: string,
  opened: { config: ModelConfig; mapped: readonly MappedParameter[]; reader: GgufReader },
): ModelSource['read'] {
  const byName = new Map(opened.mapped.map((parameter) => [parameter.name, parameter]));
  return async (name) => {
    const parameter = byName.get(name);
    if (parameter === undefined) throw unknownParameter(path, name);
    const bytes = await opened.reader.read(parameter.ggufName);
    if (parameter.interleavedHeads === null) return bytes;
    const rows = { heads: parameter.interleavedHeads, headDim: opened.config.headDim };
    return gatherRows(bytes, halfSplitFromInterleaved(rows));
  };
}

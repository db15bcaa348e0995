/** Writes any opened model as a Hugging Face directory in one element type. */
import type { ModelSource } from '../source/model-source.js';
import { castTensor } from './cast-tensor.js';
import { type HfWriteOptions, type HfWriteReport, writeHfModel } from './write-hf-model.js';

/**
 * Exports a model: casts or dequantizes every tensor and carries the sidecar files.
 *
 * Throws: `WEIGHTS_OUTPUT_EXISTS`, `WEIGHTS_NON_FINITE`, `WEIGHTS_CODEC_UNSUPPORTED`,
 * `WEIGHTS_EXPORT_UNSUPPORTED`, `CANCELLED`. Cost: one tensor in memory, twice while it is cast.
 */
export async function exportHf(
  source: ModelSource,
  outDir: string,
  options: HfWriteOptions,
): Promise<HfWriteReport> {
  return await writeHfModel(source, outDir, {
    ...options,
    produce: async (parameter, dtype) => {
      const bytes = await source.read(parameter.name);
      return castTensor({ ...parameter, bytes }, dtype, options.codec);
    },
  });
}

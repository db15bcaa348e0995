/** Opens a model from a path, in whichever of the two forms it is. */
import { stat } from 'node:fs/promises';
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { openGgufModel } from './gguf-source.js';
import { openHfModel } from './hf-source.js';
import type { ModelSource } from './model-source.js';

/**
 * Opens a Hugging Face directory or a GGUF file and checks every parameter's presence, shape and type.
 *
 * Reads headers only; weights are read one at a time by `read`. Throws: `WEIGHTS_MODEL_NOT_FOUND`,
 * `WEIGHTS_UNKNOWN_ARCHITECTURE`, `WEIGHTS_CONFIG_FIELD`, `WEIGHTS_UNSUPPORTED_FEATURE`,
 * `WEIGHTS_MISSING_TENSOR`, `WEIGHTS_UNEXPECTED_TENSOR`, `WEIGHTS_TENSOR_SHAPE`, `WEIGHTS_TENSOR_DTYPE`
 * and the format's own codes.
 */
export async function openModel(path: string): Promise<ModelSource> {
  const kind = await kindOf(path);
  if (kind === 'directory') return await openHfModel(path);
  if (kind === 'gguf') return await openGgufModel(path);
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MODEL_NOT_FOUND,
    kind === 'absent'
      ? `${path} does not exist`
      : `${path} is neither a model directory nor a .gguf file`,
    {
      category: 'not_found',
      details: { path },
      hint: 'Give a Hugging Face model directory (config.json and *.safetensors or pytorch_model*.bin) or a .gguf file.',
    },
  );
}

async function kindOf(path: string): Promise<'directory' | 'gguf' | 'absent' | 'other'> {
  try {
    if ((await stat(path)).isDirectory()) return 'directory';
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return 'absent';
    throw cause;
  }
  return path.toLowerCase().endsWith('.gguf') ? 'gguf' : 'other';
}

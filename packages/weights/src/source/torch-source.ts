/**
 * The weights of a Hugging Face directory in torch files: `pytorch_model.bin`, or several with an index.
 *
 * The files are read as plain data; nothing of them is executed. Tensors may share storages and have any strides: what
 * is read is row-major.
 */
import { basename, join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { TORCH_DTYPES, TorchArchiveReader, type TorchTensor } from '@tuneyard/formats';
import { isRawObject } from '../config/fields.js';
import { readJsonObject } from '../config/read-json.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { HfTensor, HfTensors } from './hf-tensors.js';

const SINGLE_FILE = 'pytorch_model.bin';
const INDEX_FILE = 'pytorch_model.bin.index.json';
const WEIGHT_FILE = /^pytorch_model.*\.bin$/;

/** True when a directory's files hold weights in torch form. */
export function hasTorchWeights(fileNames: readonly string[]): boolean {
  return fileNames.some((name) => WEIGHT_FILE.test(name));
}

/**
 * Opens `pytorch_model.bin` if there is one, else the files that the index names.
 *
 * Throws: `WEIGHTS_SHARD_INDEX`, `WEIGHTS_SHARD_MISMATCH`, `TORCH_…`, `FILE_…`. Cost: one open file per shard.
 */
export async function openTorchTensors(
  directory: string,
  fileNames: readonly string[],
): Promise<HfTensors> {
  const { files, fileOf } = await findFiles(directory, fileNames);
  const readers: TorchArchiveReader[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(readers.map((reader) => reader.close()));
  };
  try {
    const tensors = new Map<string, HfTensor & { readonly reader: TorchArchiveReader }>();
    for (const file of files) {
      const reader = await TorchArchiveReader.open(file);
      readers.push(reader);
      for (const tensor of reader.tensors.values()) {
        checkPlace(tensor.name, { file, fileOf });
        tensors.set(tensor.name, { ...describe(tensor, file), reader });
      }
    }
    checkAllFound(fileOf, tensors);
    return {
      form: 'torch',
      files,
      tensors,
      read: async (name) => {
        const tensor = tensors.get(name);
        if (tensor === undefined) throw mismatch(name, `${directory} holds no tensor ${name}`);
        return await tensor.reader.read(name);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

function describe(tensor: TorchTensor, file: string): HfTensor {
  const { name, shape, begin, byteLength, contiguous, strides } = tensor;
  const dtype = TORCH_DTYPES.get(tensor.dtype)?.safetensors ?? tensor.dtype;
  return { name, dtype, shape, file, begin, byteLength, strides: contiguous ? null : strides };
}

interface TorchFiles {
  readonly files: readonly string[];
  /** Which file holds which tensor; null when there is one file. */
  readonly fileOf: ReadonlyMap<string, string> | null;
}

async function findFiles(directory: string, fileNames: readonly string[]): Promise<TorchFiles> {
  if (fileNames.includes(SINGLE_FILE)) {
    return { files: [join(directory, SINGLE_FILE)], fileOf: null };
  }
  if (fileNames.includes(INDEX_FILE)) return await readIndex(directory);
  const found = fileNames.filter((name) => WEIGHT_FILE.test(name)).sort();
  const [only] = found;
  if (found.length === 1 && only !== undefined && !/-of-\d+\.bin$/.test(only)) {
    return { files: [join(directory, only)], fileOf: null };
  }
  throw badIndex(
    join(directory, INDEX_FILE),
    `it is missing, and nothing else says which of ${found.slice(0, 4).join(', ')} belong together`,
  );
}

/** Reads `weight_map`; file names must be plain ones beside the index. */
async function readIndex(directory: string): Promise<TorchFiles> {
  const path = join(directory, INDEX_FILE);
  const index = await readJsonObject(path);
  const map = index?.['weight_map'];
  if (!isRawObject(map)) throw badIndex(path, 'weight_map must be an object');
  const fileOf = new Map<string, string>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== 'string' || !isPlainFileName(file)) {
      throw badIndex(path, `the file of tensor ${tensor} is not a plain file name`);
    }
    fileOf.set(tensor, join(directory, file));
  }
  const files = [...new Set(fileOf.values())].sort();
  if (files.length === 0) throw badIndex(path, 'weight_map is empty');
  return { files, fileOf };
}

/** A name that cannot lead out of the directory of the index. */
function isPlainFileName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\\\0]/.test(name);
}

function checkPlace(
  name: string,
  place: { readonly file: string; readonly fileOf: ReadonlyMap<string, string> | null },
): void {
  if (place.fileOf === null || place.fileOf.get(name) === place.file) return;
  throw mismatch(
    name,
    `${place.file} holds tensor ${name}, which ${INDEX_FILE} does not place there`,
  );
}

function checkAllFound(
  fileOf: ReadonlyMap<string, string> | null,
  tensors: ReadonlyMap<string, unknown>,
): void {
  for (const [name, file] of fileOf ?? []) {
    if (tensors.has(name)) continue;
    throw mismatch(
      name,
      `${INDEX_FILE} places tensor ${name} in ${basename(file)}, which does not hold it`,
    );
  }
}

function badIndex(path: string, reason: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_SHARD_INDEX,
    `The index ${path} cannot be used: ${reason}`,
    { details: { path } },
  );
}

function mismatch(tensor: string, message: string): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_SHARD_MISMATCH, message, {
    details: { tensor },
    hint: 'Files of two models may be mixed in this directory; copy the model again.',
  });
}

/**
 * Parts of tensors in safetensors files: which part of its tensor each one is, the file's own metadata say.
 *
 * Source: torch/distributed/checkpoint/{_hf_utils,hf_storage}.py of torch 2.13 (`DCP_SHARDING_INFO`).
 */
import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import { SafetensorsReader, type SafetensorsTensor } from '../safetensors/reader.js';
import { TORCH_DTYPES } from '../torch-pt/dtypes.js';
import type { DcpChunk, DcpTensor } from './checkpoint.js';

const SHARDING_KEY = 'DCP_SHARDING_INFO';

const TORCH_OF_SAFETENSORS = new Map(
  [...TORCH_DTYPES].flatMap(([name, { safetensors }]) =>
    safetensors === null ? [] : [[safetensors, name] as const],
  ),
);

/** A part of a tensor in one file. */
export interface ShardPart {
  readonly name: string;
  /** As torch spells it. */
  readonly dtype: string;
  readonly sizes: readonly number[];
  /** Null when the file does not say, which is so when it has whole tensors. */
  readonly offsets: readonly number[] | null;
  readonly file: string;
  readonly begin: number;
  readonly byteLength: number;
}

/** Reads the parts that one file has. Throws: `SAFETENSORS_…`, `DCP_BAD_METADATA`, `DCP_UNSUPPORTED`. */
export async function readShard(path: string): Promise<ReadonlyMap<string, ShardPart>> {
  await using reader = await SafetensorsReader.open(path);
  const places = parsePlaces(reader.metadata[SHARDING_KEY], path);
  const parts = new Map<string, ShardPart>();
  for (const tensor of reader.tensors.values()) {
    parts.set(tensor.name, partOf(tensor, places, path));
  }
  return parts;
}

/**
 * Puts the parts of all files together; a tensor is as large as its parts reach.
 *
 * Throws: `DCP_PARTS_DISAGREE`. Whether parts are missing in the middle is checked with all other tensors.
 */
export async function readShards(paths: readonly string[]): Promise<readonly DcpTensor[]> {
  const tensors = new Map<string, { dtype: string; shape: number[]; chunks: DcpChunk[] }>();
  for (const path of paths) {
    for (const part of (await readShard(path)).values()) {
      const offsets = part.offsets ?? part.sizes.map(() => 0);
      const known = tensors.get(part.name) ?? {
        dtype: part.dtype,
        shape: part.sizes.map(() => 0),
        chunks: [],
      };
      if (known.dtype !== part.dtype || known.shape.length !== part.sizes.length) {
        throw new TuneyardError(
          DCP_ERRORS.DCP_PARTS_DISAGREE,
          `${path}: the part of tensor ${quoteName(part.name)} differs in type or dimensions from the parts before`,
          { details: { tensor: part.name } },
        );
      }
      grow(known, { part, offsets });
      tensors.set(part.name, known);
    }
  }
  return [...tensors].map(([name, tensor]) => ({ name, ...tensor }));
}

/** Mutates: `tensor`. */
function grow(
  tensor: { readonly shape: number[]; readonly chunks: DcpChunk[] },
  found: { readonly part: ShardPart; readonly offsets: readonly number[] },
): void {
  const { sizes, file, begin, byteLength } = found.part;
  if (sizes.every((size) => size > 0)) {
    const item = { file, offset: begin, byteLength, form: 'raw' as const };
    tensor.chunks.push({ offsets: found.offsets, sizes, item });
    for (const [axis, size] of sizes.entries()) {
      tensor.shape[axis] = Math.max(tensor.shape[axis] ?? 0, (found.offsets[axis] ?? 0) + size);
    }
  } else if (tensor.chunks.length === 0) {
    // A tensor without elements still has the dimensions that are not zero.
    for (const [axis, size] of sizes.entries()) {
      tensor.shape[axis] = Math.max(tensor.shape[axis] ?? 0, size);
    }
  }
}

function partOf(
  tensor: SafetensorsTensor,
  places: ReadonlyMap<string, readonly number[]> | null,
  path: string,
): ShardPart {
  const { name, shape, file, begin, byteLength } = tensor;
  const dtype = TORCH_OF_SAFETENSORS.get(tensor.dtype);
  if (dtype === undefined) {
    throw new TuneyardError(
      DCP_ERRORS.DCP_UNSUPPORTED,
      `${path}: tensor ${quoteName(name)} has the element type ${tensor.dtype}, which torch does not have`,
      { details: { tensor: name } },
    );
  }
  const offsets = places?.get(name) ?? null;
  if (places !== null && (offsets === null || offsets.length !== shape.length)) {
    throw badPlaces(
      path,
      `it does not place tensor ${quoteName(name)} in ${shape.length} dimensions`,
    );
  }
  return { name, dtype, sizes: shape, offsets, file, begin, byteLength };
}

function parsePlaces(
  text: string | undefined,
  path: string,
): ReadonlyMap<string, readonly number[]> | null {
  if (text === undefined) return null;
  const value = parseJson(text, path);
  if (!isObject(value)) throw badPlaces(path, 'it is no object');
  const places = new Map<string, readonly number[]>();
  for (const [name, item] of Object.entries(value)) {
    const offsets = isObject(item) ? item['saved_offsets'] : undefined;
    if (!Array.isArray(offsets) || !offsets.every((n) => Number.isSafeInteger(n) && n >= 0)) {
      throw badPlaces(path, `the offsets of tensor ${quoteName(name)} are no counts`);
    }
    places.set(name, offsets);
  }
  return places;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badPlaces(path, error instanceof Error ? error.message : String(error));
  }
}

function isObject(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function badPlaces(path: string, reason: string): TuneyardError {
  return new TuneyardError(
    DCP_ERRORS.DCP_BAD_METADATA,
    `${path}: its ${SHARDING_KEY} cannot be used: ${reason}`,
    { details: { path } },
  );
}

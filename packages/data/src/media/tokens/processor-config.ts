/** The numbers of a model's image and sound processor, as its directory has them. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../../errors.js';
import { isJsonRecord, type JsonRecord } from '../../handlers/record-fields.js';

/**
 * Fields of `preprocessor_config.json` and `processor_config.json` (and the two numbers of `config.json` that some
 * processors take from there), in their spelling; later files win. Plain JSON, so it can go to a worker.
 */
export type ProcessorConfig = JsonRecord;

const FILES = ['config.json', 'preprocessor_config.json', 'processor_config.json'] as const;
/** Real ones are a few KB; `config.json` of the largest models is 200 KB. */
const MAX_CONFIG_BYTES = 8 * 1024 * 1024;
/** `config.json` describes a whole model; only these fields of it are a processor's. */
const MODEL_FIELDS = ['image_grid_pinpoints', 'image_seq_length', 'vision_feature_select_strategy'];

/**
 * Reads the processor's numbers from a model directory; a file that is missing adds none.
 *
 * Throws: `DATA_BAD_MEDIA_CONFIG` when a file is no JSON object.
 */
export async function readProcessorConfig(modelDir: string): Promise<ProcessorConfig> {
  let config: ProcessorConfig = {};
  for (const name of FILES) {
    const found = await readJson(join(modelDir, name));
    if (found === undefined) continue;
    config = { ...config, ...(name === 'config.json' ? modelFields(found) : flatten(found)) };
  }
  return config;
}

/** Newer models nest the two processors in one file. */
function flatten(found: JsonRecord): JsonRecord {
  let flat: JsonRecord = found;
  for (const part of ['feature_extractor', 'image_processor']) {
    const inner = found[part];
    if (isJsonRecord(inner)) flat = { ...flat, ...inner };
  }
  return flat;
}

function modelFields(found: JsonRecord): JsonRecord {
  return Object.fromEntries(
    MODEL_FIELDS.filter((key) => key in found).map((key) => [key, found[key]]),
  );
}

async function readJson(path: string): Promise<JsonRecord | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw badConfig(`${path} cannot be read`, error);
  }
  if (text.length > MAX_CONFIG_BYTES) throw badConfig(`${path} is larger than a configuration`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw badConfig(`${path} is not JSON`, error);
  }
  if (isJsonRecord(parsed)) return parsed;
  throw badConfig(`${path} is not a JSON object`);
}

/** An error about a processor's configuration. */
export function badConfig(message: string, cause?: unknown): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_MEDIA_CONFIG, message, {
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A positive whole number, or the default where the field is absent or null. Throws: `DATA_BAD_MEDIA_CONFIG`. */
export function countField(config: ProcessorConfig, key: string, fallback: number): number {
  const value = config[key] ?? fallback;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw badConfig(
    `'${key}' of the processor is ${JSON.stringify(value)}; expected a positive number`,
  );
}

/** Two sides in pixels, from `{height, width}`, `{shortest_edge}` or one number. Throws: `DATA_BAD_MEDIA_CONFIG`. */
export function sidesField(
  config: ProcessorConfig,
  key: string,
  fallback: number,
): { readonly height: number; readonly width: number } {
  const value = config[key] ?? fallback;
  if (!isJsonRecord(value)) {
    const side = countField(config, key, fallback);
    return { height: side, width: side };
  }
  const side = value['shortest_edge'] ?? value['longest_edge'];
  const inner = side === undefined ? value : { height: side, width: side };
  return {
    height: countField(inner, 'height', fallback),
    width: countField(inner, 'width', fallback),
  };
}

/** A list of [height, width]. Throws: `DATA_BAD_MEDIA_CONFIG`. */
export function pinpointsField(
  config: ProcessorConfig,
  key: string,
  fallback: readonly Resolution[],
): readonly Resolution[] {
  const value = config[key] ?? fallback;
  if (!Array.isArray(value) || value.length === 0 || !value.every(isResolution)) {
    throw badConfig(`'${key}' of the processor is no list of [height, width]`);
  }
  return value;
}

/** Height and width in pixels. */
export type Resolution = readonly [height: number, width: number];

function isResolution(value: unknown): value is Resolution {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every((side) => Number.isSafeInteger(side) && side > 0)
  );
}

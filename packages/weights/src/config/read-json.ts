/** Reads a small JSON file of a model or adapter directory. */
import { open } from 'node:fs/promises';
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';
import { isRawObject, type RawObject } from './fields.js';

/** Configurations are a few kilobytes; the largest known (with label maps) is below 1 MiB. */
export const MAX_JSON_BYTES = 16 * 2 ** 20;

/**
 * Reads an object, or null when the file does not exist.
 *
 * Throws: `WEIGHTS_JSON_INVALID` when it is larger than {@link MAX_JSON_BYTES}, not JSON, or not an object.
 */
export async function readJsonObject(path: string): Promise<RawObject | null> {
  const text = await readSmallText(path);
  if (text === null) return null;
  const value = parse(text, path);
  if (!isRawObject(value)) throw invalid(path, 'not a JSON object');
  return value;
}

async function readSmallText(path: string): Promise<string | null> {
  let file: Awaited<ReturnType<typeof open>>;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw cause;
  }
  try {
    const { size } = await file.stat();
    if (size > MAX_JSON_BYTES) throw invalid(path, `${size} bytes; at most ${MAX_JSON_BYTES}`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(path, `not JSON (${(cause as Error).message})`, cause);
  }
}

function invalid(path: string, what: string, cause?: unknown): TuneyardError {
  return new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_JSON_INVALID, `${path}: ${what}`, {
    details: { file: path },
    cause,
  });
}

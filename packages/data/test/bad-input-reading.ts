/** Reads damaged data files as preprocessing does. */

import { TuneyardError } from '@tuneyard/core';
import { expect } from 'vitest';
import { discoverDataFiles, planReadUnits, type ReadItem, readUnit } from '../src/index.js';

export const MIB = 1024 * 1024;
/** What reading may add to the resident memory, whatever the file claims. */
export const MEMORY_LIMIT = 400 * MIB;

/** A file that cannot be read: name, content, code, and what the message must say besides the path. */
export type Refused = readonly [
  what: string,
  name: string,
  content: () => string | Buffer,
  code: string,
  says: string | RegExp,
];

/** Everything that is read, in order. */
export async function collect(items: AsyncIterable<ReadItem>): Promise<ReadItem[]> {
  const all: ReadItem[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Reads a file in units: found, cut, read. */
export async function readInUnits(path: string, columns?: readonly string[]): Promise<ReadItem[]> {
  const options = columns === undefined ? {} : { columns };
  const files = await discoverDataFiles(path, { baseDir: '/' });
  const all: ReadItem[] = [];
  for await (const unit of planReadUnits(files, { unitBytes: MIB, ...options })) {
    all.push(...(await collect(readUnit(unit, options))));
  }
  return all;
}

/** The error that work ends in. */
export async function failure(work: Promise<unknown>): Promise<TuneyardError> {
  const result = await work.catch((error: unknown) => error);
  expect(result).toBeInstanceOf(TuneyardError);
  return result as TuneyardError;
}

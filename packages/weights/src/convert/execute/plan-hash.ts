/** Says whether a journal belongs to a plan: the same tensors, of the same files, unchanged. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { serialize } from 'node:v8';
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import type { ConversionPlan } from '../logical-model.js';
import { ELEMENT_BYTES } from './element-sizes.js';
import { ioError } from './file-table.js';

/**
 * Digest of a plan and of the sizes and times of its source files.
 *
 * Throws: `WEIGHTS_CONVERT_READ` when a source file is missing or shorter than its tensors need.
 */
export async function hashPlan(plan: ConversionPlan): Promise<string> {
  const hash = createHash('sha256');
  const ends = new Map<string, number>();
  for (const source of plan.sources) {
    const { file, begin, rows, cols, dtype } = source;
    hash.update(JSON.stringify(source));
    const end = begin + rows * cols * ELEMENT_BYTES[dtype];
    ends.set(file, Math.max(ends.get(file) ?? 0, end));
  }
  for (const [file, end] of ends) {
    const { size, mtimeMs } = await stat(file).catch((error: unknown) => {
      throw ioError('read', file, error);
    });
    if (size < end) throw tooShort(file, size, end);
    hash.update(JSON.stringify([file, size, mtimeMs]));
  }
  // What a file holds besides tensors may be more than JSON can say.
  for (const file of plan.files) hash.update(serialize(file));
  return hash.digest('hex');
}

function tooShort(file: string, size: number, end: number): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_READ,
    `${file} has ${size} bytes; its tensors need ${end}`,
    { details: { file, size, end }, hint: 'The file was cut; copy it again.' },
  );
}

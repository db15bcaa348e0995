/** Checks of what is already there before something is written. */
import { stat } from 'node:fs/promises';
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';

/** Throws `WEIGHTS_OUTPUT_EXISTS` when a file has the name. */
export async function requireAbsentFile(path: string): Promise<void> {
  try {
    await stat(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw cause;
  }
  throw new TuneyardError(WEIGHTS_ERRORS.WEIGHTS_OUTPUT_EXISTS, `${path} already exists`, {
    category: 'conflict',
    details: { path },
    hint: 'Choose another name, or remove the file first.',
  });
}

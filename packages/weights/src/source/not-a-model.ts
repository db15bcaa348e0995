import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';

/** The error for a directory that holds no model. */
export function notAModel(path: string, why: string, hint?: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MODEL_NOT_FOUND,
    `${path} is not a model directory: ${why}`,
    {
      category: 'not_found',
      details: { path },
      ...(hint === undefined ? {} : { hint }),
    },
  );
}

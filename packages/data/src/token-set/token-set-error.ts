import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** Makes the error of a token set that is damaged or of the wrong kind. */
export function badSet(where: string, what: string, cause?: unknown): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_TOKEN_SET, `${where}: ${what}`, {
    details: { where },
    hint: 'Remove the data set and prepare the data again.',
    cause,
  });
}

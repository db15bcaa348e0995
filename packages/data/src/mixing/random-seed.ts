/** What is a seed. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** Refuses a seed that is not a whole number in [0, max]. Throws: `DATA_BAD_OPTION`. */
export function checkSeed(seed: number, max: number): void {
  if (Number.isSafeInteger(seed) && seed >= 0 && seed <= max) return;
  throw new TuneyardError(
    DATA_ERRORS.DATA_BAD_OPTION,
    `seed is ${seed}; it is a whole number from 0 to ${max}`,
    { details: { seed } },
  );
}

import { TuneyardError } from '@tuneyard/core';
import { DCP_ERRORS } from '../errors.js';
import { quoteName } from '../io/quote-name.js';
import type { DistributedCheckpoint } from './open.js';

/** The error for a name that a checkpoint does not have. */
export function entryNotFound(checkpoint: DistributedCheckpoint, name: string): TuneyardError {
  return new TuneyardError(
    DCP_ERRORS.DCP_ENTRY_NOT_FOUND,
    `${checkpoint.directory} holds no entry ${quoteName(name)}; it has ${checkpoint.tensors.size} tensors and ${checkpoint.objects.size} objects`,
    { category: 'not_found', details: { entry: name } },
  );
}

/** The file that says which iteration of a checkpoint directory counts. */
import { TuneyardError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../errors.js';

/** Name of the tracker file. */
export const TRACKER_FILE = 'latest_checkpointed_iteration.txt';

/** A positive iteration, or the word for a checkpoint that was converted rather than trained. */
export type Iteration = number | 'release';

/** Parses the tracker's text; white space around it does not count. Throws: `WEIGHTS_MEGATRON_CHECKPOINT`. */
export function parseTracker(text: string, where: string): Iteration {
  const word = text.trim();
  if (word === 'release') return 'release';
  const iteration = /^\d{1,15}$/.test(word) ? Number(word) : 0;
  if (iteration > 0) return iteration;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_MEGATRON_CHECKPOINT,
    `${where} says ${JSON.stringify(word.slice(0, 40))}; it must hold an iteration above 0 or the word release`,
    { details: { file: where } },
  );
}

/** Directory of an iteration: `iter_0000001`, or `release`. */
export function iterationDirectory(iteration: Iteration): string {
  return iteration === 'release' ? 'release' : `iter_${String(iteration).padStart(7, '0')}`;
}

/** Text of the tracker, as the original writers have it. */
export function trackerText(iteration: Iteration): string {
  return iteration === 'release' ? 'release\n' : String(iteration);
}

/** Weights written behind names: `a.jsonl=0.7 b.jsonl=0.3`. */
import { TuneyardError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';

/** Names with the share of rows that each gives. */
export interface WeightedNames {
  readonly names: readonly string[];
  /** Sum 1; null = no weights were written. */
  readonly probabilities: readonly number[] | null;
}

const WEIGHTED = /^(?<name>.+)=(?<weight>\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)$/i;

/**
 * Takes weights off names and scales them to sum 1: `7` and `3` mean the same as `0.7` and `0.3`.
 *
 * A `=` before something that is no number belongs to the name; a folder such as `day=3` is written `day=3/`.
 * Throws: `DATA_BAD_OPTION` when only some names have a weight, or a weight is 0.
 */
export function parseWeightedNames(items: readonly string[]): WeightedNames {
  const parts = items.map((item) => {
    const groups = WEIGHTED.exec(item)?.groups;
    const weight = groups === undefined ? null : Number(groups['weight']);
    return { name: groups?.['name'] ?? item, weight };
  });
  const names = parts.map(({ name }) => name);
  const bare = parts.filter(({ weight }) => weight === null);
  if (bare.length === parts.length) return { names, probabilities: null };
  if (bare.length > 0) {
    const missing = bare.map(({ name }) => name).join(', ');
    throw badWeight(`${missing} has no weight and others have; write one behind every name`);
  }
  const weights = parts.map(({ weight }) => weight ?? 0);
  const zero = parts.find(({ weight }) => !(weight !== null && weight > 0 && weight < Infinity));
  if (zero !== undefined)
    throw badWeight(`the weight of ${zero.name} is ${zero.weight}, not above 0`);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return { names, probabilities: weights.map((weight) => weight / total) };
}

function badWeight(what: string): TuneyardError {
  return new TuneyardError(DATA_ERRORS.DATA_BAD_OPTION, `Weights of data sets: ${what}`, {
    hint: 'For example a.jsonl=0.7 b.jsonl=0.3.',
  });
}

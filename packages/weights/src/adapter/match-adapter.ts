/** Checks that an adapter fits a base model, before any weight is read. */
import { TuneyardError } from '@tuneyard/core';
import type { ParameterSpec } from '../config/parameter-table.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import type { LoraAdapter, LoraPair } from './adapter.js';

/** The part of a model that adapters are matched against. */
export interface AdapterBase {
  readonly path: string;
  readonly config: { readonly tieWordEmbeddings: boolean };
  readonly parameters: readonly ParameterSpec[];
}

/**
 * Maps parameter names (`….q_proj.weight`) to the pairs that adapt them.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` when a module does not exist, is not linear, shares the embedding, has
 * another shape, or is adapted twice.
 */
export function matchAdapter(
  base: AdapterBase,
  adapter: Pick<LoraAdapter, 'pairs'>,
): ReadonlyMap<string, LoraPair> {
  const byName = new Map(base.parameters.map((parameter) => [parameter.name, parameter]));
  const matched = new Map<string, LoraPair>();
  for (const pair of adapter.pairs) {
    const name = `${pair.module}.weight`;
    if (matched.has(name)) throw mismatch(base, pair, 'is adapted twice');
    checkPair(base, pair, byName.get(name));
    matched.set(name, pair);
  }
  return matched;
}

function checkPair(base: AdapterBase, pair: LoraPair, parameter: ParameterSpec | undefined): void {
  if (parameter === undefined) {
    const isTiedHead = pair.module === 'lm_head' && base.config.tieWordEmbeddings;
    throw mismatch(
      base,
      pair,
      isTiedHead
        ? 'shares its matrix with the embedding, so it cannot be adapted alone'
        : 'does not exist in the base model',
    );
  }
  if (parameter.role !== 'linear' && parameter.role !== 'head') {
    throw mismatch(base, pair, `is not a linear module but ${parameter.role}`);
  }
  const [out, input] = parameter.shape;
  if (pair.outFeatures !== out || pair.inFeatures !== input) {
    throw mismatch(
      base,
      pair,
      `is [${out}, ${input}] in the base model; the adapter was trained on [${pair.outFeatures}, ${pair.inFeatures}]`,
    );
  }
}

function mismatch(base: AdapterBase, pair: LoraPair, what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `Adapter does not fit ${base.path}: ${pair.module} ${what}`,
    {
      details: { model: base.path, module: pair.module },
      hint: 'Was the adapter trained on this base model?',
    },
  );
}

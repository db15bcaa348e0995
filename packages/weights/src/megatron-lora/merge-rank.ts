/**
 * What merging does to the tensors of one rank's file.
 *
 * A rank's shard of B·A is the product of its shards: column-parallel layers divide B's rows and the weight's alike,
 * row-parallel ones A's columns. So each rank merges by itself, and no copy on another rank has to be equal.
 */
import { TuneyardError } from '@tuneyard/core';
import { shown } from '../adapter/factors/factor-layout.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { isFactorName, parseFactorName, unwrappedName, wrappedName } from './factor-names.js';

/** A tensor of a rank's file. */
export interface RankTensor {
  /** Key path below the root, parted by U+001F. */
  readonly name: string;
  readonly shape: readonly number[];
}

/** One weight to be merged: names of key paths. */
export interface RankUpdate {
  readonly base: string;
  readonly a: string;
  readonly b: string;
  readonly rank: number;
}

/**
 * Pairs factors with weights. `adapter` is the same list for a file that holds both.
 *
 * Throws: `WEIGHTS_ADAPTER_TENSOR` for unpaired factors or ranks that are not the stated one;
 * `WEIGHTS_ADAPTER_MISMATCH` when a weight is missing or has another shape.
 */
export function planRankMerge(
  base: readonly RankTensor[],
  adapter: readonly RankTensor[],
  context: { readonly where: string; readonly rank: number },
): readonly RankUpdate[] {
  const weights = new Map(base.map((tensor) => [tensor.name, tensor]));
  const updates: RankUpdate[] = [];
  for (const [weight, { a, b }] of pairFactors(adapter)) {
    if (a === undefined || b === undefined) {
      const side = a === undefined ? 'lora_B' : 'lora_A';
      throw tensorError(context.where, weight, `has only ${side}`);
    }
    const found = weights.get(wrappedName(weight)) ?? weights.get(weight);
    if (found === undefined) throw mismatch(context.where, weight, 'is not in the base checkpoint');
    updates.push(checkedUpdate({ weight, base: found, a, b }, context));
  }
  return updates;
}

/** Key of a tensor in the merged file; null for what only the adapter had. */
export function mergedKey(key: string): string | null {
  return isFactorName(key) ? null : unwrappedName(key);
}

function pairFactors(
  adapter: readonly RankTensor[],
): ReadonlyMap<string, { a?: RankTensor; b?: RankTensor }> {
  const pairs = new Map<string, { a?: RankTensor; b?: RankTensor }>();
  for (const tensor of adapter) {
    const factor = parseFactorName(tensor.name);
    if (factor === null) continue;
    const pair = pairs.get(factor.weight) ?? {};
    pair[factor.side] = tensor;
    pairs.set(factor.weight, pair);
  }
  return pairs;
}

function checkedUpdate(
  pair: { weight: string; base: RankTensor; a: RankTensor; b: RankTensor },
  context: { where: string; rank: number },
): RankUpdate {
  const { weight, base, a, b } = pair;
  const [rank = 0, columns = 0] = a.shape;
  const [rows = 0, rankOfB = 0] = b.shape;
  if (a.shape.length !== 2 || b.shape.length !== 2 || rank !== rankOfB) {
    throw tensorError(
      context.where,
      weight,
      `has A of [${a.shape.join(', ')}] and B of [${b.shape.join(', ')}], which do not multiply`,
    );
  }
  if (rank !== context.rank) {
    throw tensorError(
      context.where,
      weight,
      `has rank ${rank}; the checkpoint's arguments state lora_r ${context.rank}`,
    );
  }
  if (base.shape.length !== 2 || base.shape[0] !== rows || base.shape[1] !== columns) {
    throw mismatch(
      context.where,
      weight,
      `is [${base.shape.join(', ')}] in the base checkpoint; the adapter is for [${rows}, ${columns}]`,
    );
  }
  return { base: base.name, a: a.name, b: b.name, rank };
}

function tensorError(where: string, weight: string, what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_TENSOR,
    `${where}: the adapter of ${shown(weight)} ${what}`,
    { details: { file: where, tensor: shown(weight) } },
  );
}

function mismatch(where: string, weight: string, what: string): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `${where}: ${shown(weight)} ${what}`,
    {
      details: { file: where, tensor: shown(weight) },
      hint: 'Base and adapter must be of one model in one parallel layout.',
    },
  );
}

/**
 * What merging does to each parameter, settled before any weight is read.
 *
 * Adapters are merged in turn: each sees the sum of the base and those before it, in f32.
 */
import { TuneyardError } from '@tuneyard/core';
import type { AdapterAdditions, LoraAdapter, LoraPair } from '../adapter/adapter.js';
import { sameNumbers } from '../adapter/factors/kernels/factor-blocks.js';
import { type AdapterBase, matchAdapter } from '../adapter/match-adapter.js';
import { moduleScale } from '../adapter/module-pattern.js';
import type { ParameterSpec } from '../config/parameter-table.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { type Magnitude, transposed } from './kernels/magnitude-update.js';

/** One change of a parameter. */
export type MergeStep =
  | { readonly kind: 'replace'; readonly values: Float32Array }
  | { readonly kind: 'add'; readonly values: Float32Array; readonly scale: number }
  | {
      readonly kind: 'low_rank';
      /** In the orientation of the weight: a [rank, columns], b [rows, rank]. */
      readonly a: Float32Array;
      readonly b: Float32Array;
      readonly rank: number;
      readonly scale: number;
      readonly magnitude: Magnitude | null;
    };

/** An adapter that may hold more than plain factors. */
export type MergeableAdapter = LoraAdapter & { readonly additions?: AdapterAdditions };

/** The changes, by parameter name. */
export interface MergePlan {
  readonly steps: ReadonlyMap<string, readonly MergeStep[]>;
  /** The base shares one matrix between embedding and head, and the merged model cannot. */
  readonly unties: boolean;
}

const HEAD = 'lm_head.weight';

/**
 * Plans a merge.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` when a module or tensor has no counterpart in the base or another shape;
 * `WEIGHTS_ADAPTER_UNSUPPORTED` when a tie is to be kept that the adapter breaks.
 */
export function planMerge(base: AdapterBase, adapters: readonly MergeableAdapter[]): MergePlan {
  const unties = base.config.tieWordEmbeddings && adapters.some((a) => breaksTie(base, a));
  const seen = unties ? untiedBase(base) : base;
  const steps = new Map<string, MergeStep[]>();
  for (const adapter of adapters) {
    for (const [name, step] of adapterSteps(seen, adapter)) {
      const list = steps.get(name) ?? [];
      list.push(step);
      steps.set(name, list);
    }
  }
  return { steps, unties };
}

function breaksTie(base: AdapterBase, adapter: MergeableAdapter): boolean {
  const { additions } = adapter;
  if (replacesBothAlike(base, adapter)) return false;
  const touchesHead =
    adapter.pairs.some(({ module }) => module === 'lm_head') ||
    additions?.replacements.has(HEAD) === true;
  const embedding = embeddingOf(base)?.name ?? '';
  const touchesEmbedding =
    (additions?.embeddings.length ?? 0) > 0 || additions?.replacements.has(embedding) === true;
  if (additions?.keepsTie !== true) return touchesHead || touchesEmbedding;
  if (!touchesHead) return false;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
    `Adapter for ${base.path}: ensure_weight_tying is set and yet lm_head has tensors of its own`,
    { details: { model: base.path, module: 'lm_head' } },
  );
}

/** The base as the merged model sees it: with a head of its own. */
function untiedBase(base: AdapterBase): AdapterBase {
  const embedding = embeddingOf(base);
  const parameters =
    embedding === undefined ? base.parameters : [...base.parameters, untiedHead(embedding)];
  return { path: base.path, config: { tieWordEmbeddings: false }, parameters };
}

/** PEFT stores the shared matrix of a resized model twice. */
function replacesBothAlike(base: AdapterBase, { pairs, additions }: MergeableAdapter): boolean {
  const embedding = additions?.replacements.get(embeddingOf(base)?.name ?? '');
  const head = additions?.replacements.get(HEAD);
  if (embedding === undefined || head === undefined) return false;
  const isAdapted =
    (additions?.embeddings.length ?? 0) > 0 || pairs.some(({ module }) => module === 'lm_head');
  return !isAdapted && sameNumbers(embedding.values, head.values);
}

function embeddingOf({ parameters }: AdapterBase): ParameterSpec | undefined {
  return parameters.find(({ role }) => role === 'embedding');
}

/** The head that an embedding becomes when the two part. */
export function untiedHead<T extends ParameterSpec>(embedding: T): T {
  return { ...embedding, name: HEAD, role: 'head', module: 'lm_head' };
}

/** Replacements first: PEFT keeps a copy of an adapted embedding's base beside its factors. */
function* adapterSteps(
  base: AdapterBase,
  adapter: MergeableAdapter,
): Generator<readonly [string, MergeStep]> {
  const { additions } = adapter;
  const byName = new Map(base.parameters.map((parameter) => [parameter.name, parameter]));
  for (const [name, { shape, values }] of additions?.replacements ?? []) {
    if (name === HEAD && base.config.tieWordEmbeddings) continue;
    checkReplacement(base, name, { found: shape, parameter: byName.get(name) });
    yield [name, { kind: 'replace', values }];
  }
  for (const [name, pair] of matchAdapter(base, adapter)) {
    const { a, b, rank, module } = pair;
    const values = additions?.magnitudes.get(module);
    const magnitude = values === undefined ? null : ({ values, axis: 'row' } as const);
    const scale = moduleScale(adapter.config, module);
    yield [name, { kind: 'low_rank', a, b, rank, scale, magnitude }];
  }
  for (const [module, values] of additions?.factorBiases ?? []) {
    const name = `${module}.bias`;
    if (!byName.has(name)) throw mismatch(base, module, 'has no bias that lora_bias could add to');
    yield [name, { kind: 'add', values, scale: moduleScale(adapter.config, module) }];
  }
  for (const pair of additions?.embeddings ?? []) {
    const name = `${pair.module}.weight`;
    checkEmbedding(base, pair, byName.get(name));
    yield [name, embeddingStep(pair, adapter)];
  }
}

function embeddingStep(pair: LoraPair, adapter: MergeableAdapter): MergeStep {
  const { rank, inFeatures, outFeatures, module } = pair;
  const values = adapter.additions?.magnitudes.get(module);
  return {
    kind: 'low_rank',
    a: transposed(pair.b, { rows: outFeatures, columns: rank }),
    b: transposed(pair.a, { rows: rank, columns: inFeatures }),
    rank,
    scale: moduleScale(adapter.config, module),
    magnitude: values === undefined ? null : { values, axis: 'column' },
  };
}

function checkReplacement(
  base: AdapterBase,
  name: string,
  { found, parameter }: { found: readonly number[]; parameter: ParameterSpec | undefined },
): void {
  if (parameter === undefined) throw mismatch(base, name, 'does not exist in the base model');
  const { shape, role } = parameter;
  if (shape.length === found.length && shape.every((n, i) => n === found[i])) return;
  const isVocabulary = role === 'embedding' || role === 'head';
  throw mismatch(
    base,
    name,
    `is [${shape.join(', ')}] in the base model and [${found.join(', ')}] in the adapter`,
    isVocabulary
      ? 'The vocabulary was resized for training: resize the base model in the same way first.'
      : undefined,
  );
}

function checkEmbedding(
  base: AdapterBase,
  pair: LoraPair,
  parameter: ParameterSpec | undefined,
): void {
  if (parameter?.role !== 'embedding') {
    throw mismatch(base, pair.module, 'is not an embedding of the base model');
  }
  const [rows, columns] = parameter.shape;
  if (rows === pair.inFeatures && columns === pair.outFeatures) return;
  throw mismatch(
    base,
    pair.module,
    `is [${rows}, ${columns}] in the base model; the adapter was trained on [${pair.inFeatures}, ${pair.outFeatures}]`,
  );
}

function mismatch(
  base: AdapterBase,
  module: string,
  what: string,
  hint = 'Was the adapter trained on this base model?',
): TuneyardError {
  return new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `Adapter does not fit ${base.path}: ${module} ${what}`,
    { details: { model: base.path, module }, hint },
  );
}

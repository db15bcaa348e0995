/**
 * PEFT adapters ⇄ adapters of Megatron checkpoints, and between parallel layouts, in memory.
 *
 * Megatron joins q, k, v (gate, up) into one module with one A; PEFT has an A for each. Megatron states one rank and one
 * alpha for all modules. So towards Megatron different A's are stacked, ranks are filled up with zeros, and odd scales go
 * into B; back, ranks that do nothing are left away. The effective update is the same to the last bit, but for scales
 * whose ratio is not a power of two.
 */
import { TuneyardError } from '@tuneyard/core';
import type { AdapterConfig, LoraAdapter, LoraPair } from '../adapter/adapter.js';
import {
  type DifferentFactors,
  type Factors,
  gatherFactors,
  type LogicalFactors,
  padRank,
  type ScatterReport,
  type StoredFactors,
  scatterFactors,
  shown,
  withScale,
} from '../adapter/factors/factor-layout.js';
import { livingRanks } from '../adapter/factors/kernels/factor-blocks.js';
import { alphaOf, mostCommon, settlePeftConfig } from '../adapter/factors/settle-peft-config.js';
import { moduleScale } from '../adapter/module-pattern.js';
import type { LogicalModel, StoredSpec, TensorRole } from '../convert/logical-model.js';
import { WEIGHTS_ERRORS } from '../errors.js';
import { moduleOf, targetOf } from './factor-names.js';

/** An adapter of a Megatron checkpoint: one rank and alpha for all modules. */
export interface MegatronAdapter {
  readonly rank: number;
  readonly alpha: number;
  /** Names that `--lora-target-modules` takes, sorted. */
  readonly targetModules: readonly string[];
  readonly factors: readonly StoredFactors[];
}

/** A model and the two layouts that an adapter goes between. */
export interface AdapterLayouts {
  readonly model: LogicalModel;
  readonly hf: readonly StoredSpec[];
  readonly megatron: readonly StoredSpec[];
}

/** What a conversion to Megatron had to do. */
export interface ToMegatronReport extends ScatterReport {
  /** Rank and alpha of the result; the rank of the input times the number of stacked A's, where any were stacked. */
  readonly rank: number;
  readonly alpha: number;
  /** Modules that the adapter leaves alone and Megatron cannot: their factors are zero. */
  readonly zeroFilled: number;
}

/** Settings of {@link toMegatronAdapter}. */
export interface ToMegatronOptions {
  /** Different A's of joined modules: `stack` (exact, larger rank) or `refuse`. Default: `stack`. */
  readonly different?: DifferentFactors;
}

/** Modules that Megatron's tensor-parallel layers are, so that PEFT can wrap them there. */
const ADAPTABLE: ReadonlySet<TensorRole> = new Set<TensorRole>([
  'q',
  'k',
  'v',
  'o',
  'gate',
  'up',
  'down',
  'expert_gate',
  'expert_up',
  'expert_down',
  'shared_gate',
  'shared_up',
  'shared_down',
  'q_a',
  'q_b',
  'kv_a',
  'kv_b',
  'head',
]);

/**
 * Converts a PEFT adapter.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` when a module or shape is not the model's; `WEIGHTS_ADAPTER_NOT_SHARED` when A's
 * differ and may not be stacked; `WEIGHTS_ADAPTER_UNSUPPORTED` for modules that Megatron cannot adapt.
 */
export function toMegatronAdapter(
  adapter: LoraAdapter,
  layouts: AdapterLayouts,
  options: ToMegatronOptions = {},
): { readonly adapter: MegatronAdapter; readonly report: ToMegatronReport } {
  const logical = gatherFactors(layouts.hf, pairFactors(adapter), shapesOf(layouts.model));
  return placeInMegatron(logical, layouts, options.different ?? 'stack');
}

/**
 * Converts an adapter of a Megatron checkpoint into a PEFT adapter; q, k and v each get a copy of the A they shared.
 *
 * Throws: `WEIGHTS_ADAPTER_MISMATCH` when ranks are missing or hold different copies.
 */
export function toPeftAdapter(
  adapter: MegatronAdapter,
  layouts: AdapterLayouts,
  options: { readonly baseModel?: string | null } = {},
): { readonly adapter: LoraAdapter; readonly report: { readonly dropped: readonly string[] } } {
  const shapes = shapesOf(layouts.model);
  const all = gatherFactors(layouts.megatron, adapter.factors, shapes);
  const { kept, dropped } = withoutIdleRanks(all);
  const { stored } = scatterFactors(layouts.hf, kept, 'stack');
  const pairs = stored.map(toPair);
  const scales = stored.map(({ name, rank, scale }) => ({ module: moduleOf(name), rank, scale }));
  const config: AdapterConfig = settlePeftConfig(scales, options.baseModel ?? null);
  return { adapter: { config, pairs }, report: { dropped } };
}

/**
 * Converts an adapter between two Megatron layouts of one model. Rank and alpha stay, unless the target joins modules
 * that the source holds apart.
 *
 * Throws: as {@link toPeftAdapter} and {@link toMegatronAdapter}.
 */
export function reshardMegatronAdapter(
  adapter: MegatronAdapter,
  model: LogicalModel,
  layouts: {
    readonly from: readonly StoredSpec[];
    readonly to: readonly StoredSpec[];
    readonly different?: DifferentFactors;
  },
): { readonly adapter: MegatronAdapter; readonly report: ToMegatronReport } {
  const logical = gatherFactors(layouts.from, adapter.factors, shapesOf(model));
  return placeInMegatron(logical, { model, megatron: layouts.to }, layouts.different ?? 'stack');
}

function placeInMegatron(
  logical: LogicalFactors,
  layouts: Omit<AdapterLayouts, 'hf'>,
  different: DifferentFactors,
): { adapter: MegatronAdapter; report: ToMegatronReport } {
  requireAdaptable(logical, layouts.model);
  requireEverything(logical, layouts.megatron);
  const usual = mostCommon([...logical.values()].map((factors) => factors.scale)) ?? 1;
  const common = new Map([...logical].map(([id, factors]) => [id, withScale(factors, usual)]));
  const { stored, report } = scatterFactors(layouts.megatron, common, different);
  for (const { name } of stored) requireModuleName(name);
  const rank = stored.reduce((most, factors) => Math.max(most, factors.rank), 1);
  const alpha = wholeAlpha(usual, rank);
  const scale = alpha / rank;
  const targets = new Set(stored.map(({ name }) => targetOf(name)));
  const zeros = zeroFactors(layouts.megatron, { stored, targets, rank, scale });
  const factors = [...stored.map((entry) => padRank(withScale(entry, scale), rank)), ...zeros];
  const rescaled = [...logical].filter(([, entry]) => entry.scale !== scale).map(([id]) => id);
  return {
    adapter: { rank, alpha, targetModules: [...targets].sort(), factors },
    report: { ...report, rescaled, rank, alpha, zeroFilled: zeros.length },
  };
}

/** `--lora-alpha` takes whole numbers only; what is left of a scale goes into B. */
function wholeAlpha(scale: number, rank: number): number {
  return Math.max(1, Math.round(alphaOf({ scale, rank })));
}

/** PEFT wraps by name, so every module of a name gets factors. */
function zeroFactors(
  layout: readonly StoredSpec[],
  given: {
    stored: readonly StoredFactors[];
    targets: ReadonlySet<string>;
    rank: number;
    scale: number;
  },
): StoredFactors[] {
  const { rank, scale, targets } = given;
  const there = new Set(given.stored.map(({ shard, name }) => `${shard}\n${name}`));
  return layout
    .filter(
      ({ shard, name, shape }) =>
        shape.length === 2 &&
        name.endsWith('.weight') &&
        targets.has(targetOf(name)) &&
        !there.has(`${shard}\n${name}`),
    )
    .map(({ shard, name, shape: [rows = 0, columns = 0] }) => {
      const a = new Float32Array(rank * columns);
      return { shard, name, rank, rows, columns, a, b: new Float32Array(rows * rank), scale };
    });
}

function pairFactors(adapter: LoraAdapter): StoredFactors[] {
  return adapter.pairs.map(({ module, a, b, rank, inFeatures, outFeatures }) => ({
    shard: '',
    name: `${module}.weight`,
    rank,
    rows: outFeatures,
    columns: inFeatures,
    a,
    b,
    scale: moduleScale(adapter.config, module),
  }));
}

function toPair({ name, a, b, rank, rows, columns }: StoredFactors): LoraPair {
  return { module: moduleOf(name), a, b, rank, inFeatures: columns, outFeatures: rows };
}

/** Leaves away ranks whose row of A or column of B is zero, unless nothing would be left at all. */
function withoutIdleRanks(all: LogicalFactors): { kept: LogicalFactors; dropped: string[] } {
  const kept = new Map<string, Factors>();
  const dropped: string[] = [];
  for (const [id, factors] of all) {
    const living = livingRanks(factors.a, factors.b, factors.rank);
    if (living.length === 0) dropped.push(id);
    else kept.set(id, pickRanks(factors, living));
  }
  return kept.size === 0 ? { kept: all, dropped: [] } : { kept, dropped };
}

function pickRanks(factors: Factors, ranks: readonly number[]): Factors {
  if (ranks.length === factors.rank) return factors;
  const { rows, columns } = factors;
  const a = new Float32Array(ranks.length * columns);
  const b = new Float32Array(rows * ranks.length);
  ranks.forEach((from, to) => {
    a.set(factors.a.subarray(from * columns, (from + 1) * columns), to * columns);
    for (let row = 0; row < rows; row++) {
      b[row * ranks.length + to] = factors.b[row * factors.rank + from] ?? 0;
    }
  });
  return { ...factors, rank: ranks.length, a, b };
}

function shapesOf(model: LogicalModel): ReadonlyMap<string, readonly number[]> {
  return new Map(model.tensors.map(({ id, shape }) => [id, shape]));
}

function requireAdaptable(logical: LogicalFactors, model: LogicalModel): void {
  const roles = new Map(model.tensors.map(({ id, role }) => [id, role]));
  for (const id of logical.keys()) {
    const role = roles.get(id);
    if (role !== undefined && ADAPTABLE.has(role)) continue;
    throw new TuneyardError(
      WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
      `${id} (${role ?? 'unknown'}) cannot carry an adapter in Megatron: it is not one of its parallel linear layers`,
      { details: { tensor: id } },
    );
  }
}

/** Weights that are not a module's `weight` (numbered experts, nested dictionaries) have no place for factors. */
function requireModuleName(name: string): void {
  if (name.endsWith('.weight')) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_UNSUPPORTED,
    `${shown(name)} is not the weight of a module of its own, so it cannot carry an adapter in this layout`,
    {
      details: { tensor: shown(name) },
      hint: 'Experts carry adapters without --moe-grouped-gemm.',
    },
  );
}

function requireEverything(logical: LogicalFactors, layout: readonly StoredSpec[]): void {
  const placed = new Set(layout.flatMap((spec) => spec.rectangles.map((r) => r.logical)));
  const left = [...logical.keys()].find((id) => !placed.has(id));
  if (left === undefined) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_ADAPTER_MISMATCH,
    `The Megatron layout has no place for the adapter of ${shown(left)}`,
    { details: { tensor: left } },
  );
}

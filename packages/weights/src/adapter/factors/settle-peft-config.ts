/** The settings of a PEFT adapter whose modules have the ranks and scales at hand. */
import type { AdapterConfig } from '../adapter.js';
import { leafOf } from '../peft-keys.js';

/** Rank and scale of one module. */
export interface ModuleScale {
  readonly module: string;
  readonly rank: number;
  readonly scale: number;
}

/** Most common rank and alpha as defaults, the others as patterns under the modules' full paths. */
export function settlePeftConfig(
  modules: readonly ModuleScale[],
  baseModel: string | null,
): AdapterConfig {
  const rank = mostCommon(modules.map((module) => module.rank)) ?? 1;
  const alphas = modules.map(alphaOf);
  const alpha = mostCommon(alphas) ?? rank;
  const odd = <T>(values: readonly T[], usual: T): Record<string, T> =>
    Object.fromEntries(
      modules
        .map(({ module }, i) => [module, values[i] ?? usual] as const)
        .filter(([, value]) => value !== usual),
    );
  return {
    rank,
    alpha,
    rslora: false,
    dropout: 0,
    targetModules: [...new Set(modules.map(({ module }) => leafOf(module)))].sort(),
    baseModel,
    rankPattern: odd(
      modules.map((module) => module.rank),
      rank,
    ),
    alphaPattern: odd(alphas, alpha),
  };
}

/** Alpha of a scale; a whole number where one gives the very same scale. */
export function alphaOf({ rank, scale }: Pick<ModuleScale, 'rank' | 'scale'>): number {
  const alpha = scale * rank;
  const whole = Math.round(alpha);
  return whole / rank === scale ? whole : alpha;
}

/** The value that appears most often; the first of several. */
export function mostCommon<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  let best: T | undefined;
  for (const [value, count] of counts) {
    if (best === undefined || count > (counts.get(best) ?? 0)) best = value;
  }
  return best;
}

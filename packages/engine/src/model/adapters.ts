/** Low-rank adapters: which layers get one, and what it starts from. */
import { createRng, TuneyardError } from '@tuneyard/core';
import {
  type AdapterConfig,
  type LoraPair,
  moduleRank,
  moduleScale,
  type ParameterSpec,
} from '@tuneyard/weights';
import { MODEL_ERRORS } from './errors.js';

/** The adapter that a run trains or a model carries. */
export interface AdapterPlan {
  readonly config: AdapterConfig;
  readonly layers: readonly AdapterLayerPlan[];
}

/** One adapted linear layer. */
export interface AdapterLayerPlan {
  /** Module path: `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly rank: number;
  readonly scale: number;
}

/**
 * Finds the layers that `targetModules` names: `all`, or module names such as `q_proj`.
 *
 * Throws: `MODEL_UNKNOWN_TARGET` for a name that no layer has, listing those that exist.
 */
export function planAdapter(
  parameters: readonly ParameterSpec[],
  config: AdapterConfig,
): AdapterPlan {
  const linear = parameters.filter((p) => p.role === 'linear');
  const known = [...new Set(linear.map((p) => p.module))];
  const wanted = config.targetModules;
  const unknown = wanted.find((t) => t !== 'all' && !linear.some((p) => matches(p, t)));
  if (unknown !== undefined) {
    throw new TuneyardError(
      MODEL_ERRORS.MODEL_UNKNOWN_TARGET,
      `No linear layer is called "${unknown}"; the model has ${known.join(', ')}`,
      {
        details: { target: unknown, known },
        hint: 'Use lora_target: all, or names from this list.',
      },
    );
  }
  const layers = linear
    .filter((p) => wanted.some((t) => t === 'all' || matches(p, t)))
    .map((p) => layerPlan(p, config));
  return { config, layers };
}

/**
 * Fresh pairs: A uniform in ±1/sqrt(in) (Kaiming with a = sqrt 5, as PEFT), B zero.
 *
 * The same seed gives the same bytes; each layer draws from a stream of its own.
 */
export function initialPairs(plan: AdapterPlan, seed: number): LoraPair[] {
  return plan.layers.map((layer, index) => {
    const rng = createRng(seed * 1_000_003 + index);
    const bound = 1 / Math.sqrt(layer.inFeatures);
    const { rank, inFeatures, outFeatures, path } = layer;
    const a = Float32Array.from({ length: rank * inFeatures }, () => (2 * rng.next() - 1) * bound);
    return {
      module: path,
      a,
      b: new Float32Array(outFeatures * rank),
      rank,
      inFeatures,
      outFeatures,
    };
  });
}

function layerPlan(p: ParameterSpec, config: AdapterConfig): AdapterLayerPlan {
  const path = p.name.replace(/\.weight$/, '');
  const [outFeatures = 0, inFeatures = 0] = p.shape;
  return {
    path,
    inFeatures,
    outFeatures,
    rank: moduleRank(config, path),
    scale: moduleScale(config, path),
  };
}

function matches(p: ParameterSpec, target: string): boolean {
  const path = p.name.replace(/\.weight$/, '');
  return p.module === target || path === target || path.endsWith(`.${target}`);
}

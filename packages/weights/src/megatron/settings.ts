/** How a Megatron checkpoint divides a model among its ranks and names the parts. */

/**
 * Names of parameters.
 *
 * * `local`, `transformer_engine`: Megatron core, by its layer specification.
 * * `legacy`: Megatron before core, as ModelLink writes it: nested dictionaries.
 * * `ascendspeed`: the oldest form, in a directory `release`.
 */
export type MegatronSpec = 'local' | 'transformer_engine' | 'legacy' | 'ascendspeed';

/** What rows beyond the true vocabulary hold. */
export type VocabularyPadding = 'none' | 'last_row' | 'tail_rows';

/** Layout of a Megatron checkpoint. */
export interface MegatronSettings {
  readonly spec: MegatronSpec;
  readonly tensorParallel: number;
  readonly pipelineParallel: number;
  readonly expertParallel: number;
  /** Layers of one virtual stage; null without virtual stages. */
  readonly layersPerVirtualStage: number | null;
  /** Layers of each pipeline stage; null divides evenly. */
  readonly numLayerList: readonly number[] | null;
  /** Positions, counted with themselves, of layers that exist in Megatron and have no weights. */
  readonly noopLayers: readonly number[];
  /** `dualpipev` gives each stage a block from the front and one from the back. */
  readonly schedule: 'standard' | 'dualpipev';
  /** Experts of a rank in one tensor (`local`) or numbered tensors (`transformer_engine`). */
  readonly groupedGemm: boolean;
  /** Experts are divided among tensor-parallel ranks, each whole (`--moe-tp-extend-ep`). */
  readonly expertsOverTensorRanks: boolean;
  /** Latent attention: up projections in four tensors instead of two (`--mla-mm-split`). */
  readonly splitLatent: boolean;
  readonly vocabularyPadding: VocabularyPadding;
  /** `--make-vocab-size-divisible-by`; without effect when the padding is `none`. */
  readonly vocabularyDivisibleBy: number;
  /** AscendSpeed only: gate and up are two tensors. */
  readonly separateGate: boolean;
}

/** One rank, core names, nothing padded: what settings start from. */
export const DEFAULT_MEGATRON_SETTINGS: MegatronSettings = {
  spec: 'local',
  tensorParallel: 1,
  pipelineParallel: 1,
  expertParallel: 1,
  layersPerVirtualStage: null,
  numLayerList: null,
  noopLayers: [],
  schedule: 'standard',
  groupedGemm: false,
  expertsOverTensorRanks: false,
  splitLatent: false,
  vocabularyPadding: 'none',
  vocabularyDivisibleBy: 128,
  separateGate: false,
};

/** Layers as Megatron counts them: with those that have no weights. */
export function megatronLayers(layers: number, settings: MegatronSettings): number {
  return layers + settings.noopLayers.length;
}

/** Virtual chunks per pipeline stage; 1 without virtual stages. */
export function virtualChunks(layers: number, settings: MegatronSettings): number {
  if (settings.schedule === 'dualpipev') return 2;
  if (settings.layersPerVirtualStage === null) return 1;
  const perStage = megatronLayers(layers, settings) / settings.pipelineParallel;
  return perStage / settings.layersPerVirtualStage;
}

/** Rows of embedding and head after padding: all tensor-parallel ranks together. */
export function paddedVocabulary(vocabulary: number, settings: MegatronSettings): number {
  if (settings.vocabularyPadding === 'none') return vocabulary;
  const multiple = settings.vocabularyDivisibleBy * settings.tensorParallel;
  return Math.ceil(vocabulary / multiple) * multiple;
}

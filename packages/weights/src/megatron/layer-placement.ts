/**
 * Which layers a pipeline stage holds, and under which local numbers.
 *
 * Positions count layers without weights (no-op layers) too; model layers are numbered without them. Checked against
 * the placement of MindSpeed-LLM's converter (test/fixtures/megatron).
 */
import { type MegatronSettings, megatronLayers, virtualChunks } from './settings.js';

/** A layer of a stage. */
export interface PlacedLayer {
  /** Number in the file. */
  readonly local: number;
  /** Number in the model. */
  readonly layer: number;
}

/** What one chunk of one pipeline stage holds. */
export interface StageChunk {
  readonly stage: number;
  readonly chunk: number;
  readonly layers: readonly PlacedLayer[];
  readonly holdsEmbedding: boolean;
  /** Final norm and head. */
  readonly holdsHead: boolean;
}

/** Places the layers of a model; settings must have passed the checks. By stage, then chunk. */
export function placeLayers(layers: number, settings: MegatronSettings): readonly StageChunk[] {
  const total = megatronLayers(layers, settings);
  const { pipelineParallel: stages, schedule } = settings;
  const chunks = virtualChunks(layers, settings);
  const layerAt = layersByPosition(total, settings.noopLayers);
  const placed: StageChunk[] = [];
  for (let stage = 0; stage < stages; stage++) {
    for (let chunk = 0; chunk < chunks; chunk++) {
      const { begin, count } = positions(stage, chunk, chunks, total, settings);
      const headStage = schedule === 'dualpipev' ? 0 : stages - 1;
      placed.push({
        stage,
        chunk,
        layers: placedBetween(layerAt, begin, count),
        holdsEmbedding: stage === 0 && chunk === 0,
        holdsHead: stage === headStage && chunk === chunks - 1,
      });
    }
  }
  return placed;
}

/** For each position, the model's layer, or null where there are no weights. */
function layersByPosition(total: number, noop: readonly number[]): readonly (number | null)[] {
  const skipped = new Set(noop);
  let layer = 0;
  return Array.from({ length: total }, (_, position) => (skipped.has(position) ? null : layer++));
}

function positions(
  stage: number,
  chunk: number,
  chunks: number,
  total: number,
  settings: MegatronSettings,
): { readonly begin: number; readonly count: number } {
  const { pipelineParallel, numLayerList, schedule } = settings;
  if (numLayerList !== null) {
    const begin = numLayerList.slice(0, stage).reduce((sum, count) => sum + count, 0);
    return { begin, count: numLayerList[stage] ?? 0 };
  }
  const count = total / pipelineParallel / chunks;
  if (schedule === 'dualpipev') {
    return { begin: chunk === 0 ? stage * count : total - (stage + 1) * count, count };
  }
  return { begin: (chunk * pipelineParallel + stage) * count, count };
}

function placedBetween(
  layerAt: readonly (number | null)[],
  begin: number,
  count: number,
): readonly PlacedLayer[] {
  return layerAt
    .slice(begin, begin + count)
    .map((layer, local) => ({ local, layer }))
    .filter((placed): placed is PlacedLayer => placed.layer !== null);
}

/**
 * What a training run needs in memory, from an allocate-only pass: nothing is read and nothing allocated.
 *
 * The graphs of the largest micro-batch are built over tensors without memory and measured by ggml's own
 * allocator, so the numbers are those of the run itself.
 */
import type { PackedRow } from '@tuneyard/data';
import { CpuBackend, measureGraph } from '@tuneyard/ggml';
import type { ModelSource } from '@tuneyard/weights';
import { countLearned, planBatchShape } from './batch.js';
import { planTraining, type TrainingModelOptions } from './graph-training-model.js';
import { pretendWeights, trainedBytes } from './place-weights.js';
import { LossGraph } from './training-graph.js';

/** Bytes by purpose. */
export interface MemoryPlan {
  /** Base weights as they are kept. */
  readonly weights: number;
  /** Stored transposes of frozen weights. */
  readonly transposes: number;
  /** Trained values, gradients and both moments. */
  readonly trained: number;
  /** Intermediate results of the largest training step. */
  readonly activations: number;
  /** Intermediate results of the largest evaluation. */
  readonly evaluation: number;
  /** State that is copied out when a checkpoint is written. */
  readonly saving: number;
  /** Code, heap and everything else of the process. */
  readonly process: number;
  /** Largest sum at any one time. */
  readonly peak: number;
}

/** A memory plan with what it is about. */
export interface TrainingMemory {
  readonly memory: MemoryPlan;
  readonly trainedParameters: number;
  readonly totalParameters: number;
}

/** Resident size of a Node process with the libraries loaded, measured on linux-x64. */
const PROCESS_BYTES = 90e6;

/**
 * Plans the memory of a run whose micro-batches hold `batchSize` of `rows`.
 *
 * Cost: builds two graphs, some tens of milliseconds for thirty layers.
 */
export function planMemory(
  source: Pick<ModelSource, 'config' | 'parameters'>,
  options: Pick<TrainingModelOptions, 'adapter' | 'baseType' | 'seed' | 'recompute' | 'replicas'>,
  { rows, batchSize }: { rows: readonly PackedRow[]; batchSize: number },
): TrainingMemory {
  const { placement, adapter } = planTraining(source, options);
  using backend = new CpuBackend(1);
  using placed = pretendWeights(source.config, {
    backend,
    placement,
    use: adapter === null ? 'full' : 'lora',
    adapter,
  });
  const replicas = Math.min(options.replicas ?? 1, batchSize);
  const share = largestBatch(rows, Math.ceil(batchSize / replicas));
  const shape = planBatchShape(share, source.config.vocabSize);
  const measure = (backward: boolean): number => {
    using graph = new LossGraph(
      shape,
      {
        config: source.config,
        weights: placed.weights,
        attentionType: placement.attentionType,
        trainsWeights: adapter === null,
        backward,
        recompute: options.recompute,
      },
      placement.lossScale,
    );
    return measureGraph(backend, graph.graph) * replicas;
  };
  const trainedParameters = placed.trained.reduce((sum, t) => sum + t.value.elements, 0);
  const parts = {
    weights: adapter === null ? 0 : placement.bytes - placement.transposeBytes,
    transposes: placement.transposeBytes,
    trained: trainedBytes(trainedParameters, replicas),
    activations: measure(true),
    evaluation: measure(false),
    saving: trainedBytes(trainedParameters, 0),
    process: PROCESS_BYTES,
  };
  const steady = parts.weights + parts.transposes + parts.trained + parts.process;
  const peak = steady + Math.max(parts.activations, parts.evaluation) + parts.saving;
  const total = source.parameters.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0);
  return { memory: { ...parts, peak }, trainedParameters, totalParameters: total };
}

/** The longest rows together, with the most learned tokens: no batch of the run is larger. */
function largestBatch(rows: readonly PackedRow[], batchSize: number): PackedRow[] {
  const byLearned = rows.toSorted((a, b) => countLearned(b) - countLearned(a)).slice(0, batchSize);
  const longest = rows.reduce((max, row) => Math.max(max, row.ids.length), 1);
  const [first, ...others] = byLearned;
  if (first === undefined) return [];
  const ids = new Int32Array(longest);
  const learned = new Uint8Array(longest);
  learned.set(first.learned);
  return [{ ids, learned, segmentLengths: [longest] }, ...others];
}

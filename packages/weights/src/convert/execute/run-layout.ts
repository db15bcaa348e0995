/** What writing and verifying a conversion share: numbers of files, places of tensors, batches of tasks. */
import { defined } from '@tuneyard/core';
import type { ConversionPlan, TargetTensor } from '../logical-model.js';
import { ELEMENT_BYTES } from './element-sizes.js';
import type { MoveTask, TensorPlace } from './move-task.js';

/** Bytes of tasks in one batch; messages cost little against that. */
const BATCH_BYTES = 16 * 1024 * 1024;
const BATCH_TASKS = 256;

/** Numbers the source files in the order of their first tensors. */
export function sourceFiles(plan: ConversionPlan): {
  readonly paths: readonly string[];
  readonly fileOf: (path: string) => number;
} {
  const numbers = new Map<string, number>();
  for (const { file } of plan.sources) if (!numbers.has(file)) numbers.set(file, numbers.size);
  return {
    paths: [...numbers.keys()],
    fileOf: (path) => defined(numbers.get(path), path),
  };
}

/** Places of all target tensors; null where `beginOf` gives null. */
export function targetPlaces(
  plan: ConversionPlan,
  beginOf: (file: number, tensor: TargetTensor) => number | null,
): (TensorPlace | null)[] {
  return plan.files.flatMap(({ tensors }, file) =>
    tensors.map((tensor) => {
      const begin = beginOf(file, tensor);
      const { rows, cols, dtype } = tensor;
      return begin === null ? null : { file, begin, rows, cols, size: ELEMENT_BYTES[dtype] };
    }),
  );
}

/**
 * Collects small tasks, so that a model of many small tensors is not all messages. A batch ends where another target
 * file begins: one that fails holds up no file before its own.
 */
export function* batchesOf(tasks: Iterable<MoveTask>): Generator<readonly MoveTask[]> {
  let batch: MoveTask[] = [];
  let bytes = 0;
  for (const task of tasks) {
    const isNewFile = batch[0] !== undefined && firstFile(batch[0]) !== firstFile(task);
    if (isNewFile || bytes >= BATCH_BYTES || batch.length >= BATCH_TASKS) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(task);
    bytes += task.extent.rows * task.extent.cols * task.place.size;
  }
  if (batch.length > 0) yield batch;
}

function firstFile({ moves }: MoveTask): number | undefined {
  return moves[0]?.target.file;
}

/**
 * Reads the output of a conversion back and compares it with the source, element by element.
 *
 * Places of tensors come from the readers of the written formats. Every target tensor is compared, so that copies of
 * one source on several ranks are too.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defined, throwIfAborted } from '@tuneyard/core';
import type { ConversionPlan, TargetTensor } from '../logical-model.js';
import type { BatchResult } from './batch-runner.js';
import { checkPlan } from './check-plan.js';
import { earlierMismatch, type Mismatch } from './compare-sink.js';
import { shareMemory } from './memory-budget.js';
import type { TensorPlace } from './move-task.js';
import { planTasks } from './plan-tasks.js';
import { batchesOf, sourceFiles, targetPlaces } from './run-layout.js';
import { readStoredLayout, type StoredTensor } from './stored-layout.js';
import { runBatches } from './worker-pool.js';

/** Options of {@link verifyConversion}. */
export interface VerifyConversionOptions {
  /** Resident memory of the whole process to stay within; default 250 MB. */
  readonly memoryBytes?: number;
  /** Threads; 0 = the calling one. Default: as many as there are processors, at most four. */
  readonly workers?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: { comparedBytes: number; totalBytes: number }) => void;
}

/** What a verification found. */
export interface VerificationResult {
  /** Bytes of target tensors that were compared. */
  readonly comparedBytes: number;
  readonly tensors: number;
  /** The first difference in the order of the plan; null when there is none. */
  readonly mismatch: VerificationMismatch | null;
}

/** A target that is not what its plan says. */
export interface VerificationMismatch {
  readonly file: string;
  readonly tensor: string;
  /** In words: what is there and what should be. */
  readonly problem: string;
}

const MEMORY_BYTES = 250e6;
const WORKERS_MAX = 4;

/**
 * Compares the files of a plan in a directory with the plan's sources.
 *
 * Throws: what reading throws, `CANCELLED`; a difference is returned, not thrown.
 */
export async function verifyConversion(
  plan: ConversionPlan,
  outDir: string,
  options: VerifyConversionOptions = {},
): Promise<VerificationResult> {
  throwIfAborted(options.signal);
  checkPlan(plan);
  const tensors = plan.files.reduce((sum, file) => sum + file.tensors.length, 0);
  const layouts: ReadonlyMap<string, StoredTensor>[] = [];
  for (const { path, format, tensors: wanted } of plan.files) {
    const stored = await readStoredLayout(join(outDir, path), format);
    const mismatch = compareLayout(path, wanted, stored);
    if (mismatch !== null) return { comparedBytes: 0, tensors, mismatch };
    layouts.push(stored);
  }
  const places = targetPlaces(plan, (file, { name }) => {
    return defined(layouts[file]?.get(name), name).begin;
  });
  const paths = plan.files.map(({ path }) => join(outDir, path));
  return await compareNumbers(plan, { paths, places }, options);
}

function compareLayout(
  file: string,
  wanted: readonly TargetTensor[],
  stored: ReadonlyMap<string, StoredTensor>,
): VerificationMismatch | null {
  for (const { name, dtype, shape } of wanted) {
    const found = stored.get(name);
    if (found === undefined) return { file, tensor: name, problem: 'is missing' };
    const is = `${found.dtype} [${found.shape}]`;
    const shouldBe = `${dtype} [${shape}]`;
    if (is !== shouldBe) {
      return { file, tensor: name, problem: `is ${is} and should be ${shouldBe}` };
    }
  }
  const names = new Set(wanted.map(({ name }) => name));
  const extra = [...stored.keys()].find((name) => !names.has(name));
  return extra === undefined ? null : { file, tensor: extra, problem: 'should not be there' };
}

/**
 * Compares what lies at given places with what the pieces of a plan say; a place that is null is left out.
 *
 * Throws: as {@link verifyConversion}.
 */
export async function compareNumbers(
  plan: ConversionPlan,
  target: { readonly paths: readonly string[]; readonly places: readonly (TensorPlace | null)[] },
  { signal, memoryBytes = MEMORY_BYTES, workers: wanted, onProgress }: VerifyConversionOptions,
): Promise<VerificationResult> {
  const { workers, limits } = shareMemory(memoryBytes, {
    workers: wanted ?? Math.min(availableParallelism(), WORKERS_MAX),
    isCompared: true,
    residentBytes: process.memoryUsage.rss(),
  });
  const { paths, places } = target;
  const totalBytes = places.reduce((sum, p) => sum + (p ? p.rows * p.cols * p.size : 0), 0);
  const stop = new SharedArrayBuffer(4);
  const onAbort = (): void => void Atomics.store(new Int32Array(stop), 0, 1);
  signal?.addEventListener('abort', onAbort);
  let comparedBytes = 0;
  let mismatch: Mismatch | null = null;
  const onResult = (result: BatchResult): void => {
    for (const bytes of result.written.values()) comparedBytes += bytes;
    mismatch = earlierMismatch(mismatch, result.mismatch);
    onProgress?.({ comparedBytes, totalBytes });
  };
  const sources = sourceFiles(plan);
  const tasks = planTasks(plan, { ...sources, layOut: (index) => places[index] ?? null }, limits);
  try {
    await runBatches(
      {
        mode: 'compare',
        sourcePaths: sources.paths,
        targetPaths: paths,
        hasCrc: [],
        isSparse: false,
        stop,
      },
      { workers, batches: untilFound(batchesOf(tasks), () => mismatch !== null), onResult },
    );
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
  throwIfAborted(signal);
  const problem = mismatch === null ? null : describe(plan, mismatch);
  return { comparedBytes, tensors: places.length, mismatch: problem };
}

/** No new work once there is something to report. */
function* untilFound<T>(items: Iterable<T>, isFound: () => boolean): Generator<T> {
  for (const item of items) {
    if (isFound()) return;
    yield item;
  }
}

function describe(plan: ConversionPlan, mismatch: Mismatch): VerificationMismatch {
  const all = plan.files.flatMap(({ path, tensors }) =>
    tensors.map(({ name, dtype }) => ({ file: path, tensor: name, dtype })),
  );
  const { file, tensor, dtype } = defined(all[mismatch.index], `tensor ${mismatch.index}`);
  const { row, col, expected, found } = mismatch;
  const problem = `element [${row}, ${col}] is ${found} and should be ${expected} (bytes of ${dtype})`;
  return { file, tensor, problem };
}

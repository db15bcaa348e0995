/**
 * Runs a conversion: every source byte is read once, every target byte is written once, in blocks, by several threads,
 * within a budget of memory that does not depend on the model's size.
 */
import { statfs } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { defined, formatBytes, TuneyardError, throwIfAborted } from '@tuneyard/core';
import type { FileSkeleton } from '@tuneyard/formats';
import { WEIGHTS_ERRORS } from '../../errors.js';
import type { ConversionPlan } from '../logical-model.js';
import type { BatchResult } from './batch-runner.js';
import { checkPlan } from './check-plan.js';
import { planSkeleton } from './file-skeleton.js';
import { shareMemory } from './memory-budget.js';
import { hashPlan } from './plan-hash.js';
import { type LayOut, planTasks } from './plan-tasks.js';
import { batchesOf, sourceFiles, targetPlaces } from './run-layout.js';
import { withStageLock } from './stage-lock.js';
import { Stage } from './staging.js';
import { runBatches } from './worker-pool.js';

/** How far a conversion is. */
export interface ConversionProgress {
  /** Bytes of tensors written so far, those of files finished by an earlier run included. */
  readonly writtenBytes: number;
  readonly totalBytes: number;
  readonly finishedFiles: number;
  readonly totalFiles: number;
}

/** Options of {@link executeConversion}. */
export interface ExecuteOptions {
  /** Resident memory of the whole process to stay within; default 250 MB. */
  readonly memoryBytes?: number;
  /** Threads; 0 = the calling one. Default: as many as there are processors, at most four; none for small models. */
  readonly workers?: number;
  /** Stops at the next block; what is finished is kept for another run. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ConversionProgress) => void;
  /** For unfinished output, on the filesystem of `outDir`; default a directory inside it. */
  readonly workDir?: string;
  /** Wait until every file is on the disk. Default true; false leaves that to the system, as copying does. */
  readonly isDurable?: boolean;
  /** Leave blocks of zeros as holes of the target files. Default false. */
  readonly isSparse?: boolean;
  /** Replace files that are there under the final names. Default false: they are refused. */
  readonly isOverwriting?: boolean;
  /**
   * Writes what belongs to the files, once they have their final names. When it fails or the process ends in it, the
   * same plan goes on with it.
   */
  readonly finish?: () => Promise<void>;
}

/** What a conversion did. */
export interface ConversionResult {
  /** Bytes of tensors read, and written, by this run. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Relative paths with their sizes in bytes, in the order of the plan. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  /** Files that an earlier, interrupted run had finished. */
  readonly resumedFiles: number;
  /** Tensors in which finite values became infinite by a cast. */
  readonly overflows: readonly ConversionOverflow[];
}

/** Values of one tensor that the target's type cannot hold. */
export interface ConversionOverflow {
  readonly file: string;
  readonly tensor: string;
  readonly count: number;
}

const MEMORY_BYTES = 250e6;
const WORKERS_MAX = 4;
/** Starting threads takes longer than copying less than this. */
const INLINE_BYTES = 32 * 1024 * 1024;

/**
 * Writes the files of a plan into a directory.
 *
 * Files get their final names together, when all are whole. A run that fails, is stopped or killed leaves none of them,
 * only a work directory, from which the same plan goes on with the files that are missing.
 *
 * Throws: `WEIGHTS_CONVERT_…`, `WEIGHTS_OUTPUT_EXISTS`, `CANCELLED`.
 * Cost: at most `memoryBytes` resident.
 */
export async function executeConversion(
  plan: ConversionPlan,
  outDir: string,
  options: ExecuteOptions = {},
): Promise<ConversionResult> {
  throwIfAborted(options.signal);
  checkPlan(plan);
  const skeletons = plan.files.map(planSkeleton);
  const planHash = await hashPlan(plan);
  const directory = options.workDir ?? join(outDir, '.conversion');
  return await withStageLock(`${directory}.lock`, async () => {
    const stage = await Stage.open({
      directory,
      outDir,
      paths: plan.files.map(({ path }) => path),
      planHash,
      isDurable: options.isDurable ?? true,
      isOverwriting: options.isOverwriting ?? false,
    });
    try {
      const run = new ConversionRun({ plan, skeletons, stage, options });
      const resumedFiles = stage.finished.size;
      if (options.isSparse !== true) await checkSpace(directory, run.missingBytes);
      const counts = await run.execute();
      throwIfAborted(options.signal);
      const result = { ...counts, resumedFiles, ...describeOutput(plan, stage) };
      await stage.commit(options.finish);
      return result;
    } catch (error) {
      await stage.abandon();
      throwIfAborted(options.signal);
      throw error;
    }
  });
}

/** The moving state of one run. */
class ConversionRun {
  /** Bytes of the files that this run has to write. */
  readonly missingBytes: number;
  readonly #plan: ConversionPlan;
  readonly #skeletons: readonly FileSkeleton[];
  readonly #stage: Stage;
  readonly #options: ExecuteOptions;
  /** By file: bytes of tensors that are not written yet; without files that are finished. */
  readonly #remaining = new Map<number, number>();
  readonly #totalBytes: number;
  /** By target tensor. */
  readonly #crcs = new Map<number, number>();
  readonly #overflows = new Map<number, number>();
  readonly #firstTensor: readonly number[];
  readonly #finishing: Promise<void>[] = [];
  #failure: unknown = null;
  #readBytes = 0;
  #writtenBytes = 0;
  #resumedBytes = 0;

  constructor(parts: {
    plan: ConversionPlan;
    skeletons: readonly FileSkeleton[];
    stage: Stage;
    options: ExecuteOptions;
  }) {
    this.#plan = parts.plan;
    this.#skeletons = parts.skeletons;
    this.#stage = parts.stage;
    this.#options = parts.options;
    let missing = 0;
    let first = 0;
    this.#firstTensor = parts.plan.files.map(({ tensors }) => {
      first += tensors.length;
      return first - tensors.length;
    });
    for (const [file, skeleton] of parts.skeletons.entries()) {
      const bytes = [...skeleton.tensors.values()].reduce((sum, t) => sum + t.byteLength, 0);
      if (parts.stage.finished.has(file)) this.#resumedBytes += bytes;
      else {
        this.#remaining.set(file, bytes);
        missing += skeleton.size;
      }
    }
    this.missingBytes = missing;
    this.#totalBytes =
      this.#resumedBytes + [...this.#remaining.values()].reduce((a, b) => a + b, 0);
  }

  async execute(): Promise<{ readBytes: number; writtenBytes: number }> {
    const { signal, memoryBytes = MEMORY_BYTES, workers: wanted } = this.#options;
    const isSmall = this.missingBytes < INLINE_BYTES;
    const { workers, limits } = shareMemory(memoryBytes, {
      workers: wanted ?? (isSmall ? 0 : Math.min(availableParallelism(), WORKERS_MAX)),
      isCompared: false,
      residentBytes: process.memoryUsage.rss(),
    });
    for (const file of this.#remaining.keys()) {
      await this.#stage.createFile(file, defined(this.#skeletons[file], 'a skeleton').size);
    }
    const stop = new SharedArrayBuffer(4);
    const onAbort = (): void => void Atomics.store(new Int32Array(stop), 0, 1);
    signal?.addEventListener('abort', onAbort);
    if (signal?.aborted) onAbort();
    try {
      for (const [file, bytes] of this.#remaining) if (bytes === 0) this.#finish(file);
      const sources = sourceFiles(this.#plan);
      const tasks = planTasks(this.#plan, { ...sources, layOut: this.#layOut() }, limits);
      await runBatches(
        {
          mode: 'write',
          sourcePaths: sources.paths,
          targetPaths: this.#stage.partialPaths,
          hasCrc: this.#plan.files.map(({ format }) => format === 'torch'),
          isSparse: this.#options.isSparse ?? false,
          stop,
        },
        { workers, batches: batchesOf(tasks), onResult: (result) => this.#take(result) },
      );
    } finally {
      signal?.removeEventListener('abort', onAbort);
      await Promise.all(this.#finishing);
    }
    if (this.#failure !== null) throw this.#failure;
    this.#report();
    return { readBytes: this.#readBytes, writtenBytes: this.#writtenBytes };
  }

  #layOut(): LayOut {
    const places = targetPlaces(this.#plan, (file, tensor) =>
      this.#remaining.has(file)
        ? defined(this.#skeletons[file]?.tensors.get(tensor.name), tensor.name).begin
        : null,
    );
    return (index) => places[index] ?? null;
  }

  #take(result: BatchResult): void {
    if (this.#failure !== null) throw this.#failure;
    this.#readBytes += result.readBytes;
    for (const [index, crc] of result.crcs) {
      this.#crcs.set(index, ((this.#crcs.get(index) ?? 0) ^ crc) >>> 0);
    }
    for (const [index, count] of result.overflows) {
      this.#overflows.set(index, (this.#overflows.get(index) ?? 0) + count);
    }
    for (const [file, bytes] of result.written) {
      this.#writtenBytes += bytes;
      const rest = defined(this.#remaining.get(file), `file ${file}`) - bytes;
      this.#remaining.set(file, rest);
      if (rest === 0) this.#finish(file);
    }
    this.#report();
  }

  #report(): void {
    this.#options.onProgress?.({
      writtenBytes: this.#resumedBytes + this.#writtenBytes,
      totalBytes: this.#totalBytes,
      finishedFiles: this.#stage.finished.size,
      totalFiles: this.#plan.files.length,
    });
  }

  /** Runs beside the threads: waiting for the disk must not hold them up. */
  #finish(file: number): void {
    const first = defined(this.#firstTensor[file], `file ${file}`);
    const tensors = defined(this.#plan.files[file], `file ${file}`).tensors;
    const crcs = new Map(tensors.map(({ name }, i) => [name, this.#crcs.get(first + i) ?? 0]));
    const overflows = tensors.flatMap((_, i) => {
      const count = this.#overflows.get(first + i);
      return count === undefined ? [] : [[first + i, count] as const];
    });
    const fixed = defined(this.#skeletons[file], `file ${file}`).fixed(crcs);
    const finished = this.#stage.finishFile(file, fixed, overflows).catch((error: unknown) => {
      this.#failure ??= error;
    });
    this.#finishing.push(finished);
  }
}

function describeOutput(
  plan: ConversionPlan,
  stage: Stage,
): Pick<ConversionResult, 'files' | 'overflows'> {
  const tensors = plan.files.flatMap(({ path, tensors: own }) =>
    own.map(({ name }) => ({ file: path, tensor: name })),
  );
  const finished = [...stage.finished.values()].sort((a, b) => a.file - b.file);
  const overflows = finished.flatMap(({ overflows: own }) =>
    own.map(([index, count]) => ({ ...defined(tensors[index], `tensor ${index}`), count })),
  );
  const files = finished.map(({ file, size }) => ({
    path: defined(plan.files[file], `file ${file}`).path,
    bytes: size,
  }));
  return { files, overflows };
}

async function checkSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (bytes <= free) return;
  throw new TuneyardError(
    WEIGHTS_ERRORS.WEIGHTS_CONVERT_DISK_FULL,
    `The output needs ${formatBytes(bytes)}; ${directory} has ${formatBytes(free)} free`,
    {
      category: 'resource_exhausted',
      details: { needed: bytes, free },
      hint: 'Free some space or choose another output directory.',
    },
  );
}

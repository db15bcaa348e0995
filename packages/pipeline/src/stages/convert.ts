/** Converts a model to the layout of a Megatron trainer; one conversion serves every run of the same base and layout. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { formatBytes, formatCount, TuneyardError } from '@tuneyard/core';
import {
  type MegatronSettings,
  planConversion,
  runConversion,
  verifyConversion,
} from '@tuneyard/weights';
import { PIPELINE_ERRORS } from '../errors.js';
import { flagOf, inputPath, optionalNumber } from './job-values.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo, StageJob } from './stage.js';

/** Writes a Megatron checkpoint and, unless told otherwise, reads it back and compares. */
export const convertStage: StageFunction = async (job, io) => {
  const planned = await planConversion({
    source: inputPath(job, 'model'),
    to: 'megatron',
    target: settingsOf(job),
    dtype: null,
    naming: 'shards',
    maxShardBytes: 5e9,
  });
  const { plan, model, targetSettings } = planned;
  io.emit({
    type: 'stage_plan',
    facts: [
      { label: 'Model', value: `${model.family}, ${formatCount(model.tensors.length)} tensors` },
      { label: 'Ranks', value: formatCount(plan.files.length) },
      { label: 'Names', value: targetSettings?.spec ?? 'local' },
    ],
  });
  const workers = optionalNumber(job, 'train.threads');
  const threads = workers === undefined ? {} : { workers };
  const workDir = path.join(io.workDir, 'conversion');
  await mkdir(io.workDir, { recursive: true });
  const result = await runConversion(planned, io.dir, {
    ...threads,
    workDir,
    signal: io.signal,
    onProgress: progressOf(io),
  });
  if (flagOf(job, 'megatron.verify')) {
    const { mismatch } = await verifyConversion(plan, io.dir, { ...threads, signal: io.signal });
    if (mismatch !== null) throw differs(mismatch);
  }
  io.emit({
    type: 'stage_log',
    level: 'info',
    message: `${formatBytes(result.writtenBytes)} in ${formatCount(result.files.length)} files`,
  });
  return { files: result.files.length, bytes: result.writtenBytes };
};

function settingsOf(job: StageJob): Partial<MegatronSettings> {
  return job.parameters['megatron.layout'] as unknown as Partial<MegatronSettings>;
}

function progressOf(
  io: StageIo,
): (progress: { readonly writtenBytes: number; readonly totalBytes: number }) => void {
  let report: ((done: number) => void) | null = null;
  return ({ writtenBytes, totalBytes }) => {
    report ??= createProgressMeter({ unit: 'bytes', total: totalBytes, emit: io.emit });
    report(writtenBytes);
  };
}

function differs({ file, tensor, problem }: { file: string; tensor: string; problem: string }) {
  return new TuneyardError(
    PIPELINE_ERRORS.CONVERT_VERIFICATION_FAILED,
    `${file}, ${tensor}: ${problem}`,
    { category: 'internal', details: { file, tensor } },
  );
}

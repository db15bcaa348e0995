/** Writes the trained weights as one Hugging Face directory: base plus adapter, or converted. */
import { formatBytes, formatCount } from '@tuneyard/core';
import { ggmlCodec } from '@tuneyard/ggml';
import {
  exportHf,
  type HfWriteOptions,
  type HfWriteReport,
  type MergeReport,
  type ModelSource,
  mergeAdapter,
  openModel,
  readPeftAdapter,
} from '@tuneyard/weights';
import type { Facts } from '../executor/run-event.js';
import { inputPath, textOf } from './job-values.js';
import { tokenizerFilesOf } from './model-files.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo } from './stage.js';

/** Share of unchanged elements above which an update is said to round away. */
const ROUNDED_AWAY = 0.5;

/** Merges, or converts when there is no adapter. */
export const mergeStage: StageFunction = async (job, io) => {
  const dtype = textOf(job, 'merge.dtype') as 'f32' | 'f16' | 'bf16';
  const adapterDir = job.inputs['adapter'];
  const source = await openModel(inputPath(job, 'model'));
  try {
    const options = await writeOptions(source, dtype, io);
    if (adapterDir === undefined) return metricsOf(await exportHf(source, io.dir, options));
    const report = await mergeAdapter(source, await readPeftAdapter(adapterDir), io.dir, options);
    return { ...metricsOf(report), ...changeMetrics(report, dtype, io) };
  } finally {
    await source.close();
  }
};

async function writeOptions(
  source: ModelSource,
  dtype: 'f32' | 'f16' | 'bf16',
  io: StageIo,
): Promise<HfWriteOptions> {
  const total = source.parameters.length;
  io.emit({
    type: 'stage_plan',
    facts: [
      { label: 'Tensors', value: formatCount(total) },
      { label: 'Element type', value: dtype },
    ],
  });
  const report = createProgressMeter({ unit: 'tensors', total, emit: io.emit });
  return {
    dtype,
    codec: ggmlCodec,
    extraFiles: await tokenizerFilesOf(source.path),
    signal: io.signal,
    onProgress: ({ done }) => report(done),
  };
}

function metricsOf(report: HfWriteReport): Facts {
  return { tensors: report.tensors, tensorBytes: report.tensorBytes };
}

/** A type with coarse steps can swallow small updates; the share that survived is worth a line. */
function changeMetrics(report: MergeReport, dtype: string, io: StageIo): Facts {
  const elements = report.merged.reduce((sum, tensor) => sum + tensor.elements, 0);
  const changed = report.merged.reduce((sum, tensor) => sum + tensor.changedElements, 0);
  const share = elements === 0 ? 0 : changed / elements;
  const level = share < 1 - ROUNDED_AWAY ? 'warn' : 'info';
  const percent = (100 * share).toFixed(1);
  io.emit({
    type: 'stage_log',
    level,
    message:
      `${report.merged.length} tensors merged (${formatBytes(report.tensorBytes)}); ` +
      `${percent} % of their elements changed` +
      (level === 'warn' ? `: the rest of the update is below the steps of ${dtype}` : ''),
  });
  return { mergedTensors: report.merged.length, changedShare: share };
}

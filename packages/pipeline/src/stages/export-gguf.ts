/** Writes one GGUF file and proves that llama.cpp continues text from it as this engine does. */
import path from 'node:path';
import { planGgufTokenizerFields } from '@tuneyard/data';
import { ggmlCodec } from '@tuneyard/ggml';
import {
  exportGguf,
  type GgufExportReport,
  type GgufExportType,
  openModel,
} from '@tuneyard/weights';
import type { Facts } from '../executor/run-event.js';
import { flagOf, inputPath, textOf } from './job-values.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageFunction, StageIo, StageJob } from './stage.js';
import { verifyGguf } from './verify-gguf.js';

/** Exports the model in the job's element type. */
export const exportGgufStage: StageFunction = async (job, io) => {
  const type = textOf(job, 'export.gguf') as GgufExportType;
  const file = path.join(io.dir, `${textOf(job, 'name')}-${type}.gguf`);
  io.emit({ type: 'stage_plan', facts: [{ label: 'Element type', value: type }] });
  const report = await writeFile(job, io, { type, file });
  const { differences, ...written } = report;
  if (!flagOf(job, 'export.verify')) return written;
  if (differences > 0) {
    const message = 'not compared with llama.cpp, whose tokenizer reads some text differently';
    io.emit({ type: 'stage_log', level: 'warn', message });
    return written;
  }
  return { ...written, ...(await verify(job, io, file)) };
};

async function writeFile(
  job: StageJob,
  io: StageIo,
  { type, file }: { readonly type: GgufExportType; readonly file: string },
): Promise<{ bytes: number; tensors: number; differences: number }> {
  const modelPath = inputPath(job, 'model');
  const source = await openModel(modelPath);
  try {
    const { vocabSize } = source.config;
    const tokenizer = await planGgufTokenizerFields(modelPath, { vocabSize });
    for (const difference of tokenizer.differences) {
      io.emit({ type: 'stage_log', level: 'warn', message: difference });
    }
    const total = source.parameters.length;
    const progress = createProgressMeter({ unit: 'tensors', total, emit: io.emit });
    const report = await exportGguf(source, file, {
      type,
      codec: ggmlCodec,
      tokenizer: tokenizer.fields,
      name: textOf(job, 'name'),
      signal: io.signal,
      onProgress: ({ done }) => progress(done),
    });
    tellFallbacks(report, io);
    const { bytes, tensors } = report;
    return { bytes, tensors, differences: tokenizer.differences.length };
  } finally {
    await source.close();
  }
}

/** Rows that do not divide into blocks have another type than was asked for. */
function tellFallbacks({ fallbacks }: GgufExportReport, io: StageIo): void {
  const [first] = fallbacks;
  if (first === undefined) return;
  const message =
    `${fallbacks.length} matrices are ${first.used}, since their rows do not divide into blocks of ` +
    `${first.asked}; first: ${first.tensor} with rows of ${first.rowElements}`;
  io.emit({ type: 'stage_log', level: 'info', message });
}

async function verify(job: StageJob, io: StageIo, file: string): Promise<Facts> {
  const result = await verifyGguf(file, job, io);
  const ties = result.ties === 0 ? '' : `, ${result.ties} parted at a tie`;
  io.emit({
    type: 'stage_log',
    level: 'info',
    message:
      `llama.cpp and this engine chose the same ${result.equalTokens} tokens after ` +
      `${result.prompts} prompts${ties}`,
  });
  return { verifiedPrompts: result.prompts, equalTokens: result.equalTokens, ties: result.ties };
}

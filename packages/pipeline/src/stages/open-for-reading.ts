/** Opens a model for evaluating or verifying, with as many threads as its size can use. */
import { openTextModel, type TextModel, type TextModelOptions } from '@tuneyard/engine';
import { openModel } from '@tuneyard/weights';
import { optionalNumber } from './job-values.js';
import { inferenceThreads } from './machine.js';
import type { StageJob } from './stage.js';

/** An open model and the threads it was opened with. */
export interface OpenedModel {
  readonly model: TextModel;
  readonly threads: number;
}

/** Opens a model; `train.threads` of the recipe counts where it is given. */
export async function openForReading(
  job: StageJob,
  options: Omit<TextModelOptions, 'threads'>,
): Promise<OpenedModel> {
  const threads =
    optionalNumber(job, 'train.threads') ?? inferenceThreads(await countParameters(options.path));
  return { model: await openTextModel({ ...options, threads }), threads };
}

async function countParameters(path: string): Promise<number> {
  const source = await openModel(path);
  const count = source.parameters.reduce((sum, p) => sum + p.shape.reduce((a, b) => a * b, 1), 0);
  await source.close();
  return count;
}

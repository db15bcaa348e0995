/** Opens a model for evaluating or verifying, with as many threads as its size can use. */
import {
  openTextModel,
  type TextModel,
  type TextModelOptions,
  worthwhileThreads,
} from '@tuneyard/engine';
import { optionalNumber } from './job-values.js';
import { defaultThreads } from './machine.js';
import type { StageJob } from './stage.js';

/** An open model and the threads that graphs over its weights are worth. */
export interface OpenedModel {
  readonly model: TextModel;
  readonly threads: number;
}

/** Opens a model; `train.threads` of the recipe bounds its threads where it is given. */
export async function openForReading(
  job: StageJob,
  options: Omit<TextModelOptions, 'threads'>,
): Promise<OpenedModel> {
  const offered = optionalNumber(job, 'train.threads') ?? defaultThreads();
  const model = await openTextModel({ ...options, threads: offered });
  return { model, threads: worthwhileThreads(model.model.weightBytes, offered) };
}

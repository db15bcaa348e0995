/** Writes the adapter as a directory that PEFT loads, naming its base model. */
import { formatCount } from '@tuneyard/core';
import { readPeftAdapter, writePeftAdapter } from '@tuneyard/weights';
import { inputPath, textOf } from './job-values.js';
import type { StageFunction } from './stage.js';

/** Reads the trained adapter and writes PEFT's own two files, nothing of the training beside them. */
export const exportPeftStage: StageFunction = async (job, io) => {
  const adapter = await readPeftAdapter(inputPath(job, 'adapter'));
  io.emit({
    type: 'stage_plan',
    facts: [
      { label: 'Modules', value: formatCount(adapter.pairs.length) },
      { label: 'Rank', value: String(adapter.config.rank) },
    ],
  });
  const baseModel = textOf(job, 'base');
  await writePeftAdapter(io.dir, adapter, {
    config: { ...adapter.config, baseModel },
    signal: io.signal,
  });
  return { modules: adapter.pairs.length, rank: adapter.config.rank };
};

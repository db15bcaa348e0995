/** The functions of all stages that run in a process, by kind. */
import { convertStage } from './convert.js';
import { evaluateStage } from './evaluate.js';
import { exportGgufStage } from './export-gguf.js';
import { exportPeftStage } from './export-peft.js';
import { mergeStage } from './merge.js';
import { preprocessStage } from './preprocess.js';
import type { StageTable } from './stage.js';
import { trainStage } from './train.js';

/** Read by the stage process. */
export const stages: StageTable = {
  preprocess: preprocessStage,
  convert: convertStage,
  train: trainStage,
  evaluate: evaluateStage,
  merge: mergeStage,
  'export-peft': exportPeftStage,
  'export-gguf': exportGgufStage,
};

/** A fine-tuning of the tiny Llama in a process of its own, for tests that kill it: WORK_DIR OUT_DIR STEP_DELAY_MS. */
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import type { PackedRow } from '@tuneyard/data';
import { fineTune } from '../fine-tune/fine-tune.js';
import { DEFAULT_TRAINING_SETTINGS } from '../train/settings.js';

function randomRow(seed: number): PackedRow {
  const rng = createRng(seed);
  const length = 8 + rng.nextInt(30);
  return {
    ids: Int32Array.from({ length }, () => 3 + rng.nextInt(90)),
    learned: Uint8Array.from({ length }, (_, i) => (i > 2 ? 1 : 0)),
    segmentLengths: [length],
  };
}

const [workDir = '', outDir = '', delay = '0'] = process.argv.slice(2);
await fineTune(
  {
    modelPath: fileURLToPath(new URL('../../test/fixtures/tiny/llama', import.meta.url)),
    method: { type: 'lora', rank: 4, alpha: 8, rslora: false, targets: ['all'] },
    baseType: 'auto',
    threads: 2,
    recompute: false,
    trainRows: Array.from({ length: 40 }, (_, i) => randomRow(i)),
    validationRows: Array.from({ length: 6 }, (_, i) => randomRow(100 + i)),
    settings: {
      ...DEFAULT_TRAINING_SETTINGS,
      perDeviceTrainBatchSize: 4,
      gradientAccumulationSteps: 2,
      numTrainEpochs: 6,
      learningRate: 5e-3,
      saveSteps: 3,
      evalStrategy: 'steps',
      evalSteps: 10,
      loggingSteps: 2,
    },
    workDir,
    onStep: async (step) => {
      process.stdout.write(`step ${step}\n`);
      await new Promise((resolve) => setTimeout(resolve, Number(delay)));
    },
  },
  { outDir },
);
process.stdout.write('done\n');

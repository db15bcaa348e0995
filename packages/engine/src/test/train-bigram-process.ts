/**
 * Trains the bigram model in a process of its own, resuming when it can: something for tests to kill.
 *
 * Arguments: the output directory. Writes one line per completed step, and at the end the digest of the state.
 */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { findLatestCheckpoint } from '../train/checkpoint-directory.js';
import { DEFAULT_TRAINING_SETTINGS } from '../train/settings.js';
import { runTraining } from '../train/trainer.js';
import { BigramModel, bigramRows } from './bigram-model.js';

const outputDir = process.argv[2] ?? '';
const model = new BigramModel(11);
await runTraining({
  model,
  rows: bigramRows(40, 11, 1),
  settings: {
    ...DEFAULT_TRAINING_SETTINGS,
    perDeviceTrainBatchSize: 2,
    maxSteps: 80,
    learningRate: 0.05,
    loggingSteps: 3,
    saveSteps: 1,
    saveTotalLimit: 2,
  },
  outputDir,
  resumeFrom: await findLatestCheckpoint(outputDir),
  // Written at once, not queued: the parent must hear of a step before the next one is saved.
  onStep: (step) => void writeSync(1, `step ${step}\n`),
});
const hash = createHash('sha256');
for (const { value, firstMoment, secondMoment } of await model.readState()) {
  for (const part of [value, firstMoment, secondMoment]) hash.update(new Uint8Array(part.buffer));
}
writeSync(1, `state ${hash.digest('hex')}\n`);

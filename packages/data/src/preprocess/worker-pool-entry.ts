/** The thread that encodes units: opens the tokenizer once, then turns each unit into a part file. */
import { parentPort, workerData } from 'node:worker_threads';
import { defined, serializeError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import type { PartTask } from './encode-crew.js';
import type { EncodeSettings } from './encode-settings.js';
import { type PartSummary, writePart } from './part-file.js';
import { UnitEncoder } from './unit-encoder.js';
import type { FromWorker, ToWorker } from './worker-pool.js';

const port = defined(parentPort, 'the port of a worker thread');

const send = (message: FromWorker<PartSummary>): void => port.postMessage(message);

try {
  const encoder = await UnitEncoder.open(workerData as EncodeSettings);
  port.on('message', ({ task }: ToWorker<PartTask>) => void run(encoder, task));
  send({ type: 'ready' });
} catch (error) {
  send({ type: 'error', error: serializeError(error, DATA_ERRORS.DATA_WORKER_FAILED) });
}

async function run(encoder: UnitEncoder, task: PartTask): Promise<void> {
  try {
    const tokens = await encoder.encode(task);
    send({ type: 'result', result: await writePart(task.partPath, tokens) });
  } catch (error) {
    send({ type: 'error', error: serializeError(error, DATA_ERRORS.DATA_WORKER_FAILED) });
  }
}

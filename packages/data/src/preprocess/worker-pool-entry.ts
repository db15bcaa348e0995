/** The thread that encodes units: opens the tokenizer once, then turns each unit into a part file. */
import { parentPort, workerData } from 'node:worker_threads';
import { defined, serializeError } from '@tuneyard/core';
import { DATA_ERRORS } from '../errors.js';
import { PartEncoder, type PartTask } from './encode-crew.js';
import type { EncodeSettings } from './encode-settings.js';
import type { OpenedFacts } from './opened-facts.js';
import type { PartSummary } from './part-file.js';
import { UnitEncoder } from './unit-encoder.js';
import type { FromWorker, ToWorker } from './worker-pool.js';

const port = defined(parentPort, 'the port of a worker thread');

const send = (message: FromWorker<PartSummary, OpenedFacts>): void => port.postMessage(message);

try {
  const unitEncoder = await UnitEncoder.open(workerData as EncodeSettings);
  const encoder = new PartEncoder(unitEncoder);
  port.on('message', (message: ToWorker<PartTask>) => void run(encoder, message));
  send({ type: 'opened', facts: unitEncoder.facts });
  send({ type: 'free' });
} catch (error) {
  send({ type: 'error', id: null, error: serializeError(error, DATA_ERRORS.DATA_WORKER_FAILED) });
}

async function run(encoder: PartEncoder, { id, task }: ToWorker<PartTask>): Promise<void> {
  const done = encoder.encode(task);
  void encoder.free.then(() => send({ type: 'free' }));
  try {
    send({ type: 'result', id, result: await done });
  } catch (error) {
    send({ type: 'error', id, error: serializeError(error, DATA_ERRORS.DATA_WORKER_FAILED) });
  }
}

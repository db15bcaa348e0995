/** A thread of a conversion: runs the batches that it is sent. */
import { parentPort, workerData } from 'node:worker_threads';
import { defined, serializeError } from '@tuneyard/core';
import { WEIGHTS_ERRORS } from '../../errors.js';
import { BatchRunner, type RunSettings } from './batch-runner.js';
import type { MoveTask } from './move-task.js';
import type { BatchMessage } from './worker-pool.js';

const port = defined(parentPort, 'the port of a worker thread');
const runner = new BatchRunner(workerData as RunSettings);

port.on('message', (tasks: readonly MoveTask[]) => port.postMessage(run(tasks)));

function run(tasks: readonly MoveTask[]): BatchMessage {
  try {
    return { type: 'result', result: runner.run(tasks) };
  } catch (error) {
    return {
      type: 'error',
      error: serializeError(error, WEIGHTS_ERRORS.WEIGHTS_CONVERT_WORKER_FAILED),
    };
  }
}

/** Stages of the executor's tests: they write, fail, hang, crash and go on as their parameters say. */
import { existsSync } from 'node:fs';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TuneyardError, throwIfAborted } from '@tuneyard/core';
import type { StageFunction, StageTable } from '../src/stages/stage.js';

/** Writes a greeting that depends on its inputs; counts its runs in `settings.counter`. */
const write: StageFunction = async (job, io) => {
  await appendFile(String(job.settings['counter']), 'x');
  io.emit({
    type: 'stage_plan',
    facts: [{ label: 'Text', value: String(job.parameters['text']) }],
  });
  io.emit({ type: 'stage_progress', done: 1, total: 1, unit: 'lines', metrics: { loss: 0.5 } });
  console.log('said to standard output');
  const inputs = await Promise.all(
    Object.values(job.inputs).map((dir) => readFile(path.join(dir, 'out.txt'), 'utf8')),
  );
  await writeFile(path.join(io.dir, 'out.txt'), [job.parameters['text'], ...inputs].join('+'));
  return { length: String(job.parameters['text']).length };
};

/** Counts to `parameters.steps`, saving each step; stops where asked: abort, crash, throw. */
const count: StageFunction = async (job, io) => {
  const saved = path.join(io.workDir, 'step');
  let step = existsSync(saved) ? Number(await readFile(saved, 'utf8')) : 0;
  await appendFile(String(job.settings['counter']), `${step} `);
  const isFirst = step === 0;
  while (step < Number(job.parameters['steps'])) {
    step++;
    await writeFile(saved, String(step));
    io.emit({ type: 'stage_progress', done: step, total: null, unit: 'steps' });
    if (isFirst && step === job.settings['crashAt']) crash(String(job.settings['how']));
    if (job.settings['isSlow'] === true) await sleep(20);
    throwIfAborted(io.signal);
  }
  await writeFile(path.join(io.dir, 'out.txt'), String(step));
  return { steps: step };
};

/** Never looks at its signal. */
const deaf: StageFunction = async (_job, io) => {
  io.emit({ type: 'stage_progress', done: 0, total: null, unit: 'steps' });
  await sleep(600_000);
  return {};
};

function crash(how: string): void {
  if (how === 'signal') {
    process.stderr.write('the native library said something\n', () => {
      process.kill(process.pid, 'SIGSEGV');
    });
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    process.kill(process.pid, 'SIGSEGV');
  }
  if (how === 'exit') process.exit(3);
  if (how === 'typed') {
    throw new TuneyardError('FAKE_BAD', 'row 7 is bad', {
      details: { row: 7 },
      hint: 'Fix row 7.',
    });
  }
  throw new TypeError('x is not a function');
}

export const stages: StageTable = { preprocess: write, train: count, evaluate: deaf };

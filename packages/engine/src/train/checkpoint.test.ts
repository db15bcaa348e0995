import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BigramModel, bigramRows } from '../test/bigram-model.js';
import { type CheckpointContent, loadCheckpoint, writeCheckpoint } from './checkpoint.js';
import {
  findLatestCheckpoint,
  planRotation,
  removeLeftovers,
  rotateCheckpoints,
} from './checkpoint-directory.js';
import { initialState } from './trainer-progress.js';
import type { TrainerState } from './trainer-state.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'checkpoint-'));
});
afterEach(() => rm(dir, { recursive: true }));

const fingerprint = { learning_rate: 0.1, seed: 7, template: null };

function stateAt(step: number): TrainerState {
  const plan = { totalSteps: 9, stepsPerEpoch: 4 } as Parameters<typeof initialState>[0];
  return {
    ...initialState(plan, { fingerprint, environment: { threads: 2, ggml: '0.23.0' } }),
    step,
    cursor: { epoch: 1, stepInEpoch: 2 },
    updates: step - 1,
    skippedSteps: [2],
    lossTotal: 0.1 + 0.2,
    window: {
      steps: 1,
      updates: 1,
      lossTotal: 1 / 3,
      gradNorm: null,
      learningRate: 1e-5,
      tokens: 5,
      trainMs: 2.5,
    },
    lastEvaluation: { step: 4, evalLoss: null },
    best: { step: 3, evalLoss: 1.25 },
    logHistory: [
      {
        current_steps: 1,
        total_steps: 9,
        loss: 2.5,
        epoch: 0.25,
        percentage: 11.11,
        elapsed_time: '0:00:01',
        remaining_time: '0:00:08',
      },
    ],
  };
}

async function trained(): Promise<BigramModel> {
  const model = new BigramModel(5);
  await model.accumulate(bigramRows(3, 5, 1));
  const adam = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 };
  await model.update({ ...adam, step: 1, learningRate: 0.3, gradientScale: 0.1 });
  return model;
}

async function content(step: number, model: BigramModel): Promise<CheckpointContent> {
  return { state: stateAt(step), trainables: model.trainables, tensors: await model.readState() };
}

async function saveAt(...steps: number[]): Promise<void> {
  const model = await trained();
  for (const step of steps) await writeCheckpoint(dir, await content(step, model));
}

describe('a checkpoint', () => {
  it('gives back every bit of the state and the tensors', async () => {
    const model = await trained();
    const path = await writeCheckpoint(dir, await content(5, model));
    const loaded = await loadCheckpoint(path, { trainables: model.trainables, fingerprint });
    expect(loaded.state).toEqual(stateAt(5));
    expect(loaded.tensors).toEqual(await model.readState());
    expect(await readdir(dir)).toEqual(['checkpoint-5']);
  });

  it('uses the names that readers of trainer_state.json know', async () => {
    await saveAt(5);
    const json: unknown = JSON.parse(
      await readFile(join(dir, 'checkpoint-5/trainer_state.json'), 'utf8'),
    );
    expect(json).toMatchObject({
      global_step: 5,
      max_steps: 9,
      epoch: 1.25,
      best_metric: 1.25,
      best_model_checkpoint: 'checkpoint-3',
      num_input_tokens_seen: 0,
      log_history: [{ loss: 2.5 }],
    });
  });

  it('replaces one of the same step and takes further files along', async () => {
    await saveAt(5);
    const model = await trained();
    await writeCheckpoint(dir, {
      ...(await content(5, model)),
      addFiles: (directory) => writeFile(join(directory, 'adapter.txt'), 'here'),
    });
    expect(await readdir(dir)).toEqual(['checkpoint-5']);
    expect((await readdir(join(dir, 'checkpoint-5'))).sort()).toEqual([
      'adapter.txt',
      'state.safetensors',
      'trainer_state.json',
    ]);
  });

  it('is refused with every difference when the configuration has changed', async () => {
    await saveAt(5);
    const { trainables } = new BigramModel(5);
    const changed = { learning_rate: 0.2, seed: 7, template: 'qwen' };
    const load = loadCheckpoint(join(dir, 'checkpoint-5'), { trainables, fingerprint: changed });
    await expect(load).rejects.toMatchObject({
      code: 'TRAIN_CHECKPOINT_MISMATCH',
      category: 'conflict',
      message: expect.stringContaining(
        'learning_rate was 0.1, is 0.2; template was null, is "qwen"',
      ) as string,
    });
  });

  it('is refused when it holds other tensors than the model trains', async () => {
    await saveAt(5);
    const path = join(dir, 'checkpoint-5');
    const { trainables } = new BigramModel(5);
    const load = (changed: typeof trainables) =>
      loadCheckpoint(path, { trainables: changed, fingerprint });
    await expect(load(new BigramModel(6).trainables)).rejects.toThrow(
      /value.weight is F32 \[5, 5\], this run needs F32 \[6, 6\]/,
    );
    await expect(load(trainables.slice(1))).rejects.toThrow(/holds .*weight, which this run/);
    const more = [...trainables, { name: 'extra', shape: [1], decay: true }];
    await expect(load(more)).rejects.toThrow(/lacks value.extra/);
  });

  it('names the field that is wrong in its state', async () => {
    await saveAt(5);
    const path = join(dir, 'checkpoint-5');
    const file = join(path, 'trainer_state.json');
    const json: unknown = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify(Object.assign({}, json, { cursor: { epoch: '1' } })));
    const load = loadCheckpoint(path, { trainables: [], fingerprint });
    await expect(load).rejects.toThrow(
      /trainer_state.json: cursor: epoch is string; it must be a number/,
    );
  });
});

describe('findLatestCheckpoint', () => {
  it('finds nothing where there is nothing', async () => {
    expect(await findLatestCheckpoint(dir)).toBeNull();
    expect(await findLatestCheckpoint(join(dir, 'absent'))).toBeNull();
  });

  it('compares steps as numbers and ignores other names', async () => {
    await saveAt(9, 10);
    await mkdir(join(dir, 'checkpoint-99x'));
    await cp(join(dir, 'checkpoint-9'), join(dir, 'checkpoint-11.partial'), { recursive: true });
    expect(await findLatestCheckpoint(dir)).toBe(join(dir, 'checkpoint-10'));
  });

  it.each([
    ['an empty directory', (path: string) => rm(path, { recursive: true }).then(() => mkdir(path))],
    ['no state', (path: string) => rm(join(path, 'trainer_state.json'))],
    ['no tensors', (path: string) => rm(join(path, 'state.safetensors'))],
    ['a state cut short', (path: string) => truncate(join(path, 'trainer_state.json'), 100)],
    ['tensors cut short', (path: string) => truncate(join(path, 'state.safetensors'), 100)],
    [
      'a plain file',
      (path: string) => rm(path, { recursive: true }).then(() => writeFile(path, '')),
    ],
  ])('passes over one with %s', async (_, damage) => {
    await saveAt(3, 6);
    const path = join(dir, 'checkpoint-6');
    await damage(path);
    expect(await findLatestCheckpoint(dir)).toBe(join(dir, 'checkpoint-3'));
    const load = loadCheckpoint(path, { trainables: [], fingerprint });
    await expect(load).rejects.toMatchObject({ code: 'TRAIN_CHECKPOINT_NOT_FOUND' });
  });

  it('falls back on the parked one when a replacement was cut between its renames', async () => {
    await saveAt(3, 6);
    await cp(join(dir, 'checkpoint-6'), join(dir, 'checkpoint-6.previous'), { recursive: true });
    await rm(join(dir, 'checkpoint-6'), { recursive: true });
    expect(await findLatestCheckpoint(dir)).toBe(join(dir, 'checkpoint-6.previous'));
    await removeLeftovers(dir);
    expect(await findLatestCheckpoint(dir)).toBe(join(dir, 'checkpoint-6'));
  });
});

describe('removeLeftovers', () => {
  it('removes half-written and superseded ones and nothing else', async () => {
    await saveAt(6);
    await mkdir(join(dir, 'checkpoint-7.partial'));
    await cp(join(dir, 'checkpoint-6'), join(dir, 'checkpoint-6.previous'), { recursive: true });
    await writeFile(join(dir, 'notes.partial'), '');
    await removeLeftovers(dir);
    expect((await readdir(dir)).sort()).toEqual(['checkpoint-6', 'notes.partial']);
  });
});

describe('rotation', () => {
  it.each([
    { limit: 2, currentStep: 40, bestStep: null, removed: [10, 20] },
    { limit: 2, currentStep: 40, bestStep: 10, removed: [20, 30] },
    { limit: 1, currentStep: 40, bestStep: 10, removed: [20, 30] },
    { limit: 1, currentStep: 40, bestStep: 40, removed: [10, 20, 30] },
    { limit: 9, currentStep: 40, bestStep: null, removed: [] },
    { limit: 1, currentStep: 20, bestStep: null, removed: [10] },
  ])('removes $removed at step $currentStep with limit $limit, best $bestStep', (c) => {
    expect(planRotation([40, 10, 30, 20], c)).toEqual(c.removed);
  });

  it('removes the directories', async () => {
    await saveAt(1, 2, 3);
    const removed = await rotateCheckpoints(dir, { limit: 1, currentStep: 3, bestStep: 2 });
    expect(removed).toEqual([join(dir, 'checkpoint-1')]);
    expect((await readdir(dir)).sort()).toEqual(['checkpoint-2', 'checkpoint-3']);
  });
});

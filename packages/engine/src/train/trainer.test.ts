import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { throwIfAborted } from '@tuneyard/core';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BigramModel, bigramRows } from '../test/bigram-model.js';
import { findLatestCheckpoint } from './checkpoint-directory.js';
import type { TrainingEvent } from './events.js';
import { DEFAULT_TRAINING_SETTINGS, type TrainingSettings } from './settings.js';
import { runTraining, type TrainingOptions } from './trainer.js';
import { type LogEntry, TIMING_FIELDS } from './training-log.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'trainer-'));
});
afterEach(() => rm(dir, { recursive: true }));

const V = 7;
const rows = bigramRows(30, V, 11);
const validation = bigramRows(9, V, 12);
const settings: TrainingSettings = {
  ...DEFAULT_TRAINING_SETTINGS,
  perDeviceTrainBatchSize: 2,
  gradientAccumulationSteps: 2,
  numTrainEpochs: 2,
  learningRate: 0.05,
  lrSchedulerType: 'cosine',
  warmupRatio: 0.1,
  weightDecay: 0.01,
  loggingSteps: 3,
  saveSteps: 4,
  evalStrategy: 'steps',
  evalSteps: 4,
};

interface Run {
  readonly options: TrainingOptions;
  readonly model: BigramModel;
  readonly events: TrainingEvent[];
}

function prepare(outputDir: string, changes: Partial<TrainingOptions> = {}): Run {
  const model = (changes.model as BigramModel | undefined) ?? new BigramModel(V);
  const events: TrainingEvent[] = [];
  const evaluate = async (signal?: AbortSignal): Promise<{ loss: number }> => {
    throwIfAborted(signal);
    const sum = await model.evaluate(validation);
    return { loss: sum.lossSum / sum.learnedTokens };
  };
  const options = {
    model,
    rows,
    settings,
    outputDir,
    evaluate,
    onEvent: (e: TrainingEvent) => events.push(e),
    ...changes,
  };
  return { model, events, options };
}

async function readLog(outputDir: string): Promise<LogEntry[]> {
  const text = await readFile(join(outputDir, 'trainer_log.jsonl'), 'utf8');
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as LogEntry);
}

const timeless = (entries: readonly LogEntry[]): unknown[] =>
  entries.map((entry) =>
    Object.fromEntries(
      Object.entries(entry).filter(([key]) => !(TIMING_FIELDS as readonly string[]).includes(key)),
    ),
  );

const kill = (at: number) => (step: number) => {
  if (step === at) throw new Error(`killed at step ${step}`);
};

describe('runTraining', () => {
  it('lowers the loss and reports what it did', async () => {
    const { options, events } = prepare(dir);
    const result = await runTraining(options);
    expect(result).toMatchObject({ steps: 16, updates: 16, skippedSteps: [], loadedStep: 16 });
    expect(result.evalLossBefore).toBeCloseTo(Math.log(V), 5);
    expect(result.evalLossAfter).toBeLessThan(result.evalLossBefore! - 0.1);
    expect(result.tokens).toBe(2 * rows.reduce((sum, row) => sum + row.ids.length, 0));
    const of = (type: TrainingEvent['type']) => events.filter((event) => event.type === type);
    expect(of('step')).toHaveLength(16);
    expect(of('evaluation').map((e) => (e as { step: number }).step)).toEqual([0, 4, 8, 12, 16]);
    expect(of('checkpoint').map((e) => (e as { step: number }).step)).toEqual([4, 8, 12, 16]);
    expect([events[0]!.type, events.at(-1)!.type]).toEqual(['started', 'finished']);
  });

  it('steps exactly as the model driven by hand over the same batches', async () => {
    const plain = {
      ...settings,
      shuffle: false,
      maxSteps: 3,
      lrSchedulerType: 'constant',
      warmupRatio: 0,
    } as const;
    const { options, model } = prepare(dir, { settings: plain });
    await runTraining(options);
    const byHand = new BigramModel(V);
    for (let step = 1; step <= 3; step++) {
      const { learnedTokens } = await byHand.accumulate(rows.slice(4 * (step - 1), 4 * step));
      const norm = (await byHand.gradientNorm()) / learnedTokens;
      const gradientScale = Math.min(1, 1 / (norm + 1e-6)) / learnedTokens;
      const adam = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 };
      await byHand.update({ ...adam, step, learningRate: 0.05, gradientScale });
    }
    expect(await model.readState()).toEqual(await byHand.readState());
  });

  it('trains alike with batch 8 and with 8 accumulated batches of one', async () => {
    const split = (perDeviceTrainBatchSize: number, gradientAccumulationSteps: number) =>
      prepare(join(dir, String(perDeviceTrainBatchSize)), {
        settings: { ...settings, perDeviceTrainBatchSize, gradientAccumulationSteps },
      });
    const [wide, deep] = [split(8, 1), split(1, 8)];
    const [a, b] = [await runTraining(wide.options), await runTraining(deep.options)];
    expect(b.steps).toBe(a.steps);
    expect(b.trainLoss).toBeCloseTo(a.trainLoss!, 9);
    const [x, y] = [await wide.model.readState(), await deep.model.readState()];
    for (const [i, tensor] of x.entries()) {
      for (const [j, value] of tensor.value.entries()) expect(y[i]!.value[j]).toBeCloseTo(value, 6);
    }
  });

  it('writes the fields of the reference, and exact positions and times', async () => {
    let now = 0;
    const { options } = prepare(dir, { clock: () => (now += 500) });
    await runTraining(options);
    const log = await readLog(dir);
    expect(log.map((entry) => [entry.current_steps, 'loss' in entry])).toEqual([
      [0, false],
      [3, true],
      [4, false],
      [6, true],
      [8, false],
      [9, true],
      [12, true],
      [12, false],
      [15, true],
      [16, true],
      [16, false],
    ]);
    const training = log.find((entry) => entry.current_steps === 12)!;
    expect(Object.keys(training)).toEqual([
      'current_steps',
      'total_steps',
      'loss',
      'lr',
      'epoch',
      'percentage',
      'elapsed_time',
      'remaining_time',
      'throughput',
      'total_tokens',
      'grad_norm',
      'learned_tokens',
      'tokens_per_second',
    ]);
    expect(training).toMatchObject({ total_steps: 16, epoch: 1.5, percentage: 75 });
    expect(training.elapsed_time).toMatch(/^\d+:\d\d:\d\d$/);
    const lr = 0.05 * 0.5 * (1 + Math.cos((Math.PI * (11 - 2)) / 14));
    expect(training.lr).toBeCloseTo(lr, 15);
    expect(Object.keys(log[0]!)).toEqual([
      'current_steps',
      'total_steps',
      'eval_loss',
      'eval_perplexity',
      'epoch',
      'percentage',
      'elapsed_time',
      'remaining_time',
    ]);
  });

  it('does not evaluate without validation rows, and says so when asked to', async () => {
    const { options } = prepare(dir, { evaluate: null });
    await expect(runTraining(options)).rejects.toThrow(/no validation rows/);
    const none = await runTraining({ ...options, settings: { ...settings, evalStrategy: 'no' } });
    expect(none.evalLossAfter).toBeNull();
  });
});

describe('resuming', () => {
  it('ends with the same weights and the same log after a kill at any step', async () => {
    const whole = prepare(join(dir, 'whole'));
    await runTraining(whole.options);
    const state = await whole.model.readState();
    const log = timeless(await readLog(join(dir, 'whole')));
    for (let step = 1; step <= 16; step++) {
      const outputDir = join(dir, `killed-${step}`);
      const killed = prepare(outputDir, { onStep: kill(step) });
      await expect(runTraining(killed.options)).rejects.toThrow(/killed/);
      const resumeFrom = await findLatestCheckpoint(outputDir);
      const resumed = prepare(outputDir, { resumeFrom });
      const result = await runTraining(resumed.options);
      expect(resumed.events[0]).toMatchObject({ type: 'started', step: step - (step % 4) });
      expect(await resumed.model.readState()).toEqual(state);
      expect(timeless(await readLog(outputDir))).toEqual(log);
      expect(result).toMatchObject({ steps: 16, updates: 16 });
    }
  });

  it('goes on from a cancelled run where it stopped, however often and wherever that was', async () => {
    const whole = prepare(join(dir, 'whole'));
    await runTraining(whole.options);
    const state = await whole.model.readState();
    const log = timeless(await readLog(join(dir, 'whole')));
    const points = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 });
    let trial = 0;
    await fc.assert(
      fc.asyncProperty(points, async (eventCounts) => {
        const outputDir = join(dir, `trial-${trial++}`);
        for (const count of eventCounts) {
          const abort = new AbortController();
          let seen = 0;
          const onEvent = (): void => {
            if (++seen === count) abort.abort();
          };
          const resumeFrom = await findLatestCheckpoint(outputDir);
          const attempt = prepare(outputDir, { resumeFrom, onEvent, signal: abort.signal });
          await runTraining(attempt.options).catch((error: unknown) => {
            expect(error).toMatchObject({ category: 'cancelled' });
          });
        }
        const last = prepare(outputDir, { resumeFrom: await findLatestCheckpoint(outputDir) });
        await runTraining(last.options);
        expect(await last.model.readState()).toEqual(state);
        expect(timeless(await readLog(outputDir))).toEqual(log);
      }),
      { numRuns: 25, seed: 5 },
    );
  });

  it('ends the running step and saves it when cancelled', async () => {
    const abort = new AbortController();
    const onEvent = (event: TrainingEvent): void => {
      if (event.type === 'step' && event.step === 6) abort.abort();
    };
    const { options } = prepare(dir, { signal: abort.signal, onEvent });
    await expect(runTraining(options)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(await findLatestCheckpoint(dir)).toBe(join(dir, 'checkpoint-6'));
  });

  it('starts nothing when cancelled beforehand', async () => {
    const { options, events } = prepare(join(dir, 'out'), { signal: AbortSignal.abort() });
    await expect(runTraining(options)).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(events).toEqual([]);
    expect(await readdir(dir)).toEqual([]);
  });

  it('drops log lines that were written after the checkpoint', async () => {
    await expect(runTraining(prepare(dir, { onStep: kill(7) }).options)).rejects.toThrow();
    expect((await readLog(dir)).at(-1)!.current_steps).toBe(6);
    const stop = prepare(dir, { resumeFrom: join(dir, 'checkpoint-4'), onStep: kill(5) });
    await expect(runTraining(stop.options)).rejects.toThrow();
    expect((await readLog(dir)).map((entry) => entry.current_steps)).toEqual([0, 3, 4]);
  });

  it('adds the time of earlier attempts to the elapsed time', async () => {
    const clock = () => {
      let now = 1e6;
      return () => (now += 1000);
    };
    await expect(
      runTraining(prepare(dir, { onStep: kill(8), clock: clock() }).options),
    ).rejects.toThrow();
    const before = (await readLog(dir)).at(-1)!.elapsed_time;
    const resumed = prepare(dir, { resumeFrom: join(dir, 'checkpoint-8'), clock: clock() });
    await runTraining(resumed.options);
    const after = (await readLog(dir)).find((entry) => entry.current_steps === 9)!.elapsed_time;
    expect(after > before).toBe(true);
  });

  it('repeats nothing when the run had already ended', async () => {
    await runTraining(prepare(dir).options);
    const again = prepare(dir, { resumeFrom: await findLatestCheckpoint(dir) });
    const result = await runTraining(again.options);
    expect(again.events.map((event) => event.type)).toEqual(['started', 'finished']);
    expect(result.evalLossAfter).not.toBeNull();
  });

  it('tells when threads or libraries differ and goes on', async () => {
    const first = prepare(dir, { environment: { threads: 1 }, onStep: kill(5) });
    await expect(runTraining(first.options)).rejects.toThrow();
    const changes = { environment: { threads: 2 }, resumeFrom: join(dir, 'checkpoint-4') };
    const second = prepare(dir, changes);
    await runTraining(second.options);
    expect(second.events[0]).toEqual({
      type: 'environment_changed',
      stored: { threads: 1 },
      current: { threads: 2 },
    });
  });

  it('refuses other settings, other data and another configuration', async () => {
    await runTraining(prepare(dir, { configuration: { lora_rank: 8 } }).options);
    const base = { resumeFrom: join(dir, 'checkpoint-8'), configuration: { lora_rank: 8 } };
    const refused = (changes: Partial<TrainingOptions>, message: RegExp) =>
      expect(runTraining(prepare(dir, { ...base, ...changes }).options)).rejects.toThrow(message);
    await refused(
      { settings: { ...settings, learningRate: 0.06 } },
      /learning_rate was 0.05, is 0.06/,
    );
    await refused({ rows: bigramRows(30, V, 99) }, /train_rows_sha256 was/);
    await refused({ configuration: { lora_rank: 16 } }, /lora_rank was 8, is 16/);
    const free = { ...settings, loggingSteps: 1, saveSteps: 2, saveTotalLimit: 1 };
    await expect(
      runTraining(prepare(dir, { ...base, settings: free }).options),
    ).resolves.toBeDefined();
  });
});

describe('the output directory', () => {
  it('is refused when an earlier run left a checkpoint, unless it may be overwritten', async () => {
    await runTraining(prepare(dir, { settings: { ...settings, maxSteps: 5 } }).options);
    const fresh = prepare(dir, { settings: { ...settings, maxSteps: 3 } });
    await expect(runTraining(fresh.options)).rejects.toMatchObject({
      code: 'TRAIN_OUTPUT_NOT_EMPTY',
      category: 'conflict',
    });
    await runTraining({ ...fresh.options, overwriteOutputDir: true });
    expect((await readdir(dir)).sort()).toEqual(['checkpoint-3', 'trainer_log.jsonl']);
  });

  it('keeps the newest checkpoints within the limit', async () => {
    await runTraining(
      prepare(dir, { settings: { ...settings, saveSteps: 3, saveTotalLimit: 2 } }).options,
    );
    expect((await readdir(dir)).sort()).toEqual([
      'checkpoint-15',
      'checkpoint-16',
      'trainer_log.jsonl',
    ]);
  });

  it('gets the files of the caller into every checkpoint', async () => {
    const addCheckpointFiles = (path: string): Promise<void> =>
      writeFile(join(path, 'adapter'), '');
    await runTraining(prepare(dir, { addCheckpointFiles }).options);
    expect(await readdir(join(dir, 'checkpoint-4'))).toContain('adapter');
  });
});

describe('the best checkpoint', () => {
  // A learning rate that overshoots: the evaluation gets worse again after a few steps.
  const best = {
    ...settings,
    learningRate: 3,
    saveSteps: 2,
    evalSteps: 2,
    saveTotalLimit: 1,
    loadBestModelAtEnd: true,
  };

  it('survives the rotation and is what the model ends with', async () => {
    const { options, model, events } = prepare(dir, { settings: best });
    const result = await runTraining(options);
    const evaluations = result.logHistory.filter(
      (e) => e.eval_loss !== undefined && e.current_steps > 0,
    );
    const lowest = Math.min(...evaluations.map((e) => e.eval_loss!));
    const expected = evaluations.find((e) => e.eval_loss === lowest)!.current_steps;
    expect(expected).toBeLessThan(16);
    expect(result).toMatchObject({ loadedStep: expected, best: { step: expected } });
    expect(events.some((event) => event.type === 'best_loaded')).toBe(true);
    expect((await readdir(dir)).sort()).toEqual(
      [`checkpoint-${expected}`, 'checkpoint-16', 'trainer_log.jsonl'].sort(),
    );
    const sum = await model.evaluate(validation);
    expect(sum.lossSum / sum.learnedTokens).toBeCloseTo(lowest, 6);
  });

  it('is the same one after a kill and a resume', async () => {
    const whole = prepare(join(dir, 'whole'), { settings: best });
    const expected = await runTraining(whole.options);
    const outputDir = join(dir, 'killed');
    await expect(
      runTraining(prepare(outputDir, { settings: best, onStep: kill(13) }).options),
    ).rejects.toThrow();
    const resumed = prepare(outputDir, {
      settings: best,
      resumeFrom: await findLatestCheckpoint(outputDir),
    });
    expect((await runTraining(resumed.options)).best).toEqual(expected.best);
    expect(await resumed.model.readState()).toEqual(await whole.model.readState());
  });
});

describe('steps that are not finite', () => {
  it('are left out, recorded, and do not count for the bias correction', async () => {
    const { options, model, events } = prepare(dir);
    model.faults.set(3, Number.NaN).set(9, Number.POSITIVE_INFINITY);
    const result = await runTraining(options);
    expect(result).toMatchObject({ steps: 16, updates: 14, skippedSteps: [2, 5] });
    expect(model.steps.map((step) => step.step)).toEqual(
      Array.from({ length: 14 }, (_, i) => i + 1),
    );
    expect(events.filter((event) => event.type === 'skipped')).toMatchObject([
      { step: 2, reason: 'non_finite_loss', consecutive: 1 },
      { step: 5, consecutive: 1 },
    ]);
    expect((await readLog(dir)).at(-2)).toMatchObject({ skipped_steps: 2 });
    expect(Number.isFinite(result.trainLoss)).toBe(true);
  });

  it('stop the run when there are too many in a row, with the last good weights saved before', async () => {
    const { options, model } = prepare(dir);
    for (let call = 11; call < 40; call++) model.faults.set(call, Number.NaN);
    await expect(runTraining(options)).rejects.toMatchObject({
      code: 'TRAIN_NON_FINITE',
      message: expect.stringContaining('3 steps in a row, up to step 8') as string,
      details: { skippedSteps: [6, 7, 8] },
    });
    expect(await findLatestCheckpoint(dir)).toBe(join(dir, 'checkpoint-4'));
  });

  it('log a line without a loss when nothing else happened since the last', async () => {
    const { options, model } = prepare(dir, { settings: { ...settings, loggingSteps: 1 } });
    model.faults.set(1, Number.NaN);
    await runTraining(options);
    const entry = (await readLog(dir)).find((line) => line.current_steps === 1)!;
    expect('loss' in entry).toBe(false);
    expect(entry.skipped_steps).toBe(1);
  });

  it('write null for an evaluation that is not finite', async () => {
    const { options } = prepare(dir, { evaluate: () => Promise.resolve({ loss: Number.NaN }) });
    const result = await runTraining(options);
    expect((await readLog(dir))[0]).toMatchObject({ eval_loss: null, eval_perplexity: null });
    expect(result.evalLossAfter).toBeNull();
  });
});

describe('settings', () => {
  it.each([
    ['learningRate', -1, /learning_rate is -1/],
    ['adamBeta2', 1, /adam_beta2 is 1/],
    ['loggingSteps', 0, /logging_steps is 0/],
    ['saveTotalLimit', 0, /save_total_limit is 0/],
    ['seed', 0.5, /seed is 0.5/],
  ] as const)('are refused before anything is touched: %s = %s', async (name, value, message) => {
    const { options } = prepare(join(dir, 'out'), { settings: { ...settings, [name]: value } });
    await expect(runTraining(options)).rejects.toThrow(message);
    expect(await readdir(dir)).toEqual([]);
  });
});

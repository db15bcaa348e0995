import { worthwhileThreads } from '@tuneyard/engine';
import { describe, expect, it } from 'vitest';
import type { StageEvent } from '../executor/run-event.js';
import { splitAnswer } from './answer-span.js';
import { defaultThreads } from './machine.js';
import { createProgressMeter } from './progress-meter.js';
import type { StageJob } from './stage.js';
import { fineTuneOptions } from './train-options.js';
import { equalStart } from './verify-gguf.js';

type Progress = Extract<StageEvent, { type: 'stage_progress' }>;

function meterAt(total: number | null): {
  report: (at: number, done: number, metrics?: { [name: string]: number }) => void;
  events: Progress[];
} {
  const events: Progress[] = [];
  let time = 0;
  const report = createProgressMeter({
    unit: 'steps',
    total,
    now: () => time,
    emit: (event) => events.push(event as Progress),
  });
  return {
    events,
    report: (at, done, metrics) => {
      time = at;
      report(done, metrics);
    },
  };
}

describe('createProgressMeter', () => {
  it('measures from its first report, and estimates what is left', () => {
    const { report, events } = meterAt(100);
    report(1000, 50);
    report(2000, 60);
    expect(events[0]).not.toHaveProperty('rate');
    expect(events[1]).toMatchObject({ done: 60, total: 100, rate: 10, etaMs: 4000 });
  });

  it('holds back what comes too often, but never numbers or the end', () => {
    const { report, events } = meterAt(10);
    report(0, 1);
    report(10, 2);
    report(20, 3, { loss: 1 });
    report(30, 10);
    expect(events.map((event) => event.done)).toEqual([1, 3, 10]);
  });

  it('estimates nothing without a total', () => {
    const { report, events } = meterAt(null);
    report(0, 1);
    report(500, 2);
    expect(events[1]).toMatchObject({ rate: 2 });
    expect(events[1]).not.toHaveProperty('etaMs');
  });
});

describe('splitAnswer', () => {
  const sample = (learned: number[]): Parameters<typeof splitAnswer>[0] => ({
    ids: Int32Array.from(learned, (_, i) => 10 + i),
    learned: Uint8Array.from(learned),
    row: 1,
  });

  it('takes the last answer and everything before it', () => {
    const span = splitAnswer(sample([0, 0, 1, 1, 0, 1, 1]))!;
    expect([...span.prompt]).toEqual([10, 11, 12, 13, 14]);
    expect([...span.answer]).toEqual([15, 16]);
    const trailing = splitAnswer(sample([0, 0, 1, 1, 0]))!;
    expect([...trailing.answer]).toEqual([12, 13]);
  });

  it('finds none where nothing is asked or nothing is learned', () => {
    expect(splitAnswer(sample([0, 1, 1]))).toBeNull();
    expect(splitAnswer(sample([0, 0, 0]))).toBeNull();
  });
});

describe('threads', () => {
  it('are one per physical core, and one for a small model', () => {
    const block = (core: number): string => `processor : 0\nphysical id\t: 0\ncore id\t\t: ${core}`;
    expect(defaultThreads([block(0), block(0)].join('\n\n'))).toBe(1);
    expect(defaultThreads('')).toBeGreaterThanOrEqual(1);
    expect(worthwhileThreads(4 * 260_000, 8)).toBe(1);
    expect(worthwhileThreads(4e9, 8)).toBe(8);
  });
});

describe('equalStart', () => {
  it('counts the tokens before two continuations part', () => {
    expect(equalStart([1, 2, 3], [1, 2, 4])).toBe(2);
    expect(equalStart([1, 2], [1, 2])).toBe(2);
    expect(equalStart([1], [1, 2])).toBe(1);
  });
});

describe('fineTuneOptions', () => {
  const job: StageJob = {
    id: 'train',
    kind: 'train',
    inputs: { model: '/m' },
    parameters: {
      'model.base_type': 'q8_0',
      'train.finetuning_type': 'lora',
      'train.lora_rank': 4,
      'train.lora_alpha': 8,
      'train.lora_target': 'q_proj, v_proj',
      'train.per_device_train_batch_size': 2,
      'train.gradient_accumulation_steps': 3,
      'train.learning_rate': 1e-4,
      'train.max_steps': 500,
      'train.lr_scheduler_type': 'cosine',
      'train.weight_decay': 0,
      'train.max_grad_norm': 1,
      'train.adam_beta1': 0.9,
      'train.adam_beta2': 0.999,
      'train.adam_epsilon': 1e-8,
      'train.seed': 7,
    },
    settings: { 'train.threads': 3, 'train.save_total_limit': 2 },
  };
  const row = { ids: new Int32Array(2), learned: new Uint8Array(2), segmentLengths: [2] };

  it('says in the terms of the engine what the recipe says', () => {
    expect(fineTuneOptions(job, { trainRows: [row], validationRows: [row] }, 500)).toMatchObject({
      modelPath: '/m',
      method: { type: 'lora', rank: 4, alpha: 8, rslora: false, targets: ['q_proj', 'v_proj'] },
      baseType: 'q8_0',
      threads: 3,
      recompute: false,
      settings: {
        perDeviceTrainBatchSize: 2,
        gradientAccumulationSteps: 3,
        maxSteps: 500,
        loggingSteps: 5,
        evalStrategy: 'steps',
        evalSteps: 0.1,
        saveSteps: 0.1,
        saveTotalLimit: 2,
        seed: 7,
      },
    });
  });

  it('evaluates nothing when nothing is held out', () => {
    const options = fineTuneOptions(job, { trainRows: [row], validationRows: [] }, null);
    expect(options.settings).toMatchObject({ evalStrategy: 'no', loggingSteps: 1 });
  });
});

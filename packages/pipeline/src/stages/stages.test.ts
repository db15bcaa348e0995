import { describe, expect, it } from 'vitest';
import type { StageEvent } from '../executor/run-event.js';
import { createProgressMeter } from './progress-meter.js';

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

import { describe, expect, it } from 'vitest';
import { planAxis } from './axis-ticks.js';
import { lossPlotData, renderLossPlot, smoothLosses } from './loss-plot.js';
import type { LogEntry } from './training-log.js';

const line = (fields: Partial<LogEntry>): LogEntry => ({
  current_steps: 1,
  total_steps: 10,
  epoch: 0,
  percentage: 0,
  elapsed_time: '0:00:00',
  remaining_time: '0:00:00',
  ...fields,
});

const curve = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ step: i + 1, loss: 4 / (1 + i / 9) + (i % 3) / 5 }));

describe('planAxis', () => {
  it.each([
    [0.13, 0.92, { intervals: 6 }, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [1.2, 5.9, { intervals: 5 }, [1, 2, 3, 4, 5, 6]],
    [0, 2500, { intervals: 8, isTight: true }, [0, 500, 1000, 1500, 2000, 2500]],
    [1, 3, { intervals: 8, isWhole: true, isTight: true }, [1, 2, 3]],
    [3, 47, { intervals: 8, isTight: true }, [10, 20, 30, 40]],
  ])('divides %d to %d into round steps', (min, max, options, ticks) => {
    expect(planAxis(min, max, options).ticks).toEqual(ticks);
  });

  it('widens a range without extent and keeps its value inside', () => {
    for (const value of [0, 2.5, -3, 1e-9, 1e6]) {
      const axis = planAxis(value, value, { intervals: 5 });
      expect(axis.low).toBeLessThan(value);
      expect(axis.high).toBeGreaterThan(value);
      expect(axis.ticks.length).toBeGreaterThan(1);
    }
  });
});

describe('smoothLosses', () => {
  it('follows the recurrence of an exponential moving average', () => {
    const losses = [4, 2, 3, 1];
    const weight = 1.8 * (1 / (1 + Math.exp(-0.2)) - 0.5);
    const second = 4 * weight + 2 * (1 - weight);
    const third = second * weight + 3 * (1 - weight);
    const smoothed = smoothLosses(losses);
    expect(smoothed[0]).toBeCloseTo(4, 14);
    expect(smoothed[1]).toBeCloseTo(second, 14);
    expect(smoothed[2]).toBeCloseTo(third, 14);
    expect(smoothLosses([])).toEqual([]);
  });
});

describe('lossPlotData', () => {
  it('takes the losses of a log and leaves out what is not a number', () => {
    const log = [
      line({ current_steps: 0, eval_loss: 5 }),
      line({ current_steps: 2, loss: 4 }),
      line({ current_steps: 3 }),
      line({ current_steps: 4, eval_loss: null }),
    ];
    expect(lossPlotData('run', log)).toEqual({
      title: 'run',
      training: [{ step: 2, loss: 4 }],
      validation: [{ step: 0, loss: 5 }],
    });
  });
});

describe('renderLossPlot', () => {
  const validation = [0, 20, 40].map((step) => ({ step, loss: 5 - step / 20 }));
  const svg = renderLossPlot({ title: 'A & B <run>', training: curve(40), validation });

  it('draws three curves, a dot per evaluation and one in the legend', () => {
    expect(svg.match(/<path /g)).toHaveLength(3);
    expect(svg.match(/<circle /g)).toHaveLength(4);
    for (const label of ['training, smoothed', 'validation 3.000', '>step<', '>loss per token<']) {
      expect(svg).toContain(label);
    }
  });

  it('puts every number inside the picture', () => {
    const numbers = [...svg.matchAll(/ (?:x|y|cx|cy|x1|x2|y1|y2)="([^"]*)"/g)].map((m) =>
      Number(m[1]),
    );
    expect(numbers.every((n) => n >= 0 && n <= 720)).toBe(true);
    for (const [, x, y] of svg.matchAll(/[ML]([\d.-]+) ([\d.-]+)/g)) {
      expect(Number(x)).toBeGreaterThanOrEqual(64);
      expect(Number(x)).toBeLessThanOrEqual(696);
      expect(Number(y)).toBeGreaterThanOrEqual(70);
      expect(Number(y)).toBeLessThanOrEqual(368);
    }
  });

  it('escapes the title and is well-formed', () => {
    expect(svg).toContain('A &amp; B &lt;run&gt;');
    const open = svg.match(/<(?!\/)[a-z]+(?:\s[^<>]*)?[^/]>/g) ?? [];
    expect(svg.match(/<\/[a-z]+>/g)).toHaveLength(open.length);
  });

  it('draws a single point, equal values, and nothing at all', () => {
    const one = renderLossPlot({ title: 'one', training: [{ step: 1, loss: 2 }], validation: [] });
    const flat = renderLossPlot({
      title: 'flat',
      training: [1, 2, 3].map((step) => ({ step, loss: 0 })),
      validation: [],
    });
    const none = renderLossPlot({ title: 'none', training: [], validation: [] });
    for (const picture of [one, flat, none]) expect(picture).not.toMatch(/NaN|Infinity|undefined/);
    expect(none).toContain('No step has been logged yet');
  });

  it('stays small on a long run and keeps its spikes', () => {
    const long = curve(200_000).map((p, i) => (i === 123_456 ? { ...p, loss: 9 } : p));
    const picture = renderLossPlot({ title: 'long', training: long, validation: [] });
    expect(picture.length).toBeLessThan(120_000);
    const top = [...picture.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map((m) => Number(m[1]));
    const axis = planAxis(0, 9, { intervals: 6 });
    expect(Math.min(...top)).toBeCloseTo(368 - (9 / axis.high) * 298, 0);
  });
});

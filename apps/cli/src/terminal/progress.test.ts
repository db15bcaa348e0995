import pc from 'picocolors';
import { describe, expect, it } from 'vitest';
import { TextBuffer } from '../testing/fake-host.js';
import { Progress } from './progress.js';

const colors = pc.createColors(false);

function createProgress(isTTY: boolean) {
  const clock = { ms: 0 };
  const sink = new TextBuffer(isTTY);
  return { clock, sink, progress: new Progress({ sink, colors, now: () => clock.ms }) };
}

describe('progress outside a terminal', () => {
  it('prints the first update, each tenth and the end, once each', () => {
    const { clock, sink, progress } = createProgress(false);
    for (let done = 1; done <= 200; done++) {
      clock.ms += 100;
      progress.update({ stage: 'train', done, total: 200, unit: 'steps' });
    }
    const lines = sink.text.trimEnd().split('\n');
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('train: 0 % · 1/200 steps');
    expect(lines[5]).toMatch(/^train: 50 % · 100\/200 steps · 10\.0 steps\/s · 10\.0 s left$/);
    expect(lines[10]).toBe('train: 100 % · 200/200 steps · 10.0 steps/s');
  });

  it('spares tenths that follow each other within a second', () => {
    const { clock, sink, progress } = createProgress(false);
    for (let done = 1; done <= 100; done++) {
      clock.ms += 15;
      progress.update({ stage: 'train', done, total: 100, unit: 'steps' });
    }
    const shares = sink.text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ·')[0]);
    expect(shares).toEqual(['train: 1 %', 'train: 68 %', 'train: 100 %']);
  });

  it('prints every five seconds when tenths take longer', () => {
    const { clock, sink, progress } = createProgress(false);
    for (let done = 0; done < 60; done++) {
      clock.ms += 1000;
      progress.update({ stage: 'train', done, total: 10_000, unit: 'steps' });
    }
    expect(sink.text.trimEnd().split('\n')).toHaveLength(12);
  });

  it('begins again with a new stage and can do without an end', () => {
    const { clock, sink, progress } = createProgress(false);
    progress.update({ stage: 'read', done: 5, unit: 'samples' });
    clock.ms += 100;
    progress.update({ stage: 'train', done: 0, total: 4, unit: 'steps', facts: ['loss 1.5'] });
    expect(sink.text).toBe('read: 5 samples\ntrain: 0 % · 0/4 steps · loss 1.5\n');
  });
});

describe('progress on a terminal', () => {
  it('redraws one line, at most ten times a second, never wider than the terminal', () => {
    const { clock, sink, progress } = createProgress(true);
    for (let done = 0; done < 100; done++) {
      clock.ms += 20;
      progress.update({ stage: 'train', done, total: 1000, unit: 'steps', facts: ['loss 2.25'] });
    }
    const draws = sink.text.split('\r\u001b[2K').slice(1);
    expect(draws.length).toBeLessThanOrEqual(21);
    expect(draws.every((line) => line.length < sink.columns && !line.includes('\n'))).toBe(true);
    expect(draws.at(-1)).toMatch(/^train █+░+ 9 % · 9\d\/1,000 steps · .*loss 2\.25/);
  });

  it('removes its line before other text and draws it again at once', () => {
    const { sink, progress } = createProgress(true);
    progress.update({ stage: 'train', done: 1, total: 10, unit: 'steps' });
    progress.clear();
    expect(sink.text.endsWith('\r\u001b[2K')).toBe(true);
    progress.update({ stage: 'train', done: 2, total: 10, unit: 'steps' });
    expect(sink.text).toContain('2/10 steps');
  });
});

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { appendLogEntry, formatClock, positionFields, rewriteLog } from './training-log.js';

describe('formatClock', () => {
  it.each([
    [0, '0:00:00'],
    [32_999, '0:00:32'],
    [39_900_000, '11:05:00'],
    [86_399_000, '23:59:59'],
    [93_784_000, '1 day, 2:03:04'],
    [2 * 86_400_000, '2 days, 0:00:00'],
    [-5, '0:00:00'],
  ])('writes %d ms as Python writes a timedelta: %s', (ms, text) => {
    expect(formatClock(ms)).toBe(text);
  });
});

describe('positionFields', () => {
  it('extrapolates the remaining time from the steps done', () => {
    const position = { step: 30, totalSteps: 90, stepsPerEpoch: 40, elapsedMs: 60_000 };
    expect(positionFields(position)).toEqual({
      epoch: 0.75,
      percentage: 33.33,
      elapsed_time: '0:01:00',
      remaining_time: '0:02:00',
    });
  });

  it('knows nothing of the remaining time before the first step', () => {
    const position = { step: 0, totalSteps: 9, stepsPerEpoch: 4, elapsedMs: 500 };
    expect(positionFields(position).remaining_time).toBe('0:00:00');
  });
});

describe('the log file', () => {
  it('is appended to line by line and replaced as a whole', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'training-log-'));
    const entry = (step: number) => ({
      current_steps: step,
      total_steps: 9,
      ...positionFields({ step, totalSteps: 9, stepsPerEpoch: 3, elapsedMs: 0 }),
    });
    await rewriteLog(dir, [entry(1)]);
    await appendLogEntry(dir, entry(2));
    const lines = async () => (await readFile(join(dir, 'trainer_log.jsonl'), 'utf8')).split('\n');
    expect((await lines()).map((line) => line.slice(0, 19))).toEqual([
      '{"current_steps":1,',
      '{"current_steps":2,',
      '',
    ]);
    await rewriteLog(dir, [entry(1)]);
    expect(await lines()).toHaveLength(2);
    await rm(dir, { recursive: true });
  });
});

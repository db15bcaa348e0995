import { describe, expect, it } from 'vitest';
import { BatchQueue, type TaskBatch } from './batch-queue.js';

const batch = (...files: number[]): TaskBatch =>
  files.map((file) => ({ moves: [{ target: { file } }] }) as unknown as TaskBatch[0]);

describe('BatchQueue', () => {
  it('gives a thread the first batch that writes no file of another thread', () => {
    const all = [batch(0), batch(0, 1), batch(1), batch(2), batch(0)];
    const queue = new BatchQueue(all.values());
    const [a, b, c] = [{}, {}, {}];
    expect(queue.take(a)).toBe(all[0]);
    expect(queue.take(b)).toBe(all[2]);
    expect(queue.take(c)).toBe(all[3]);
    expect(queue.take(b)).toBe(all[1]);
    expect(queue.take(a)).toBe(all[4]);
    expect([a, b, c].map((thread) => queue.take(thread))).toEqual([null, null, null]);
  });

  it('gives out every batch once, whoever asks when', () => {
    const all = Array.from({ length: 2000 }, (_, i) => batch(i % 3 === 0 ? 0 : i % 5));
    const queue = new BatchQueue(all.values());
    const threads = [{}, {}, {}, {}];
    const given = new Set<TaskBatch>();
    for (let i = 0; i < all.length; i++) given.add(queue.take(threads[(i * 7) % 4]!)!);
    expect(given).toEqual(new Set(all));
    expect(queue.take({})).toBeNull();
  });
});

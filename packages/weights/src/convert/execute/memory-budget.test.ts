import { describe, expect, it } from 'vitest';
import { shareMemory } from './memory-budget.js';

const MIB = 1024 * 1024;
const share = (memoryBytes: number, workers: number, residentBytes = 60e6) =>
  shareMemory(memoryBytes, { workers, isCompared: false, residentBytes });

describe('shareMemory', () => {
  it('gives each thread an equal part of what the process leaves, up to what is of use', () => {
    expect(share(250e6, 2)).toMatchObject({ workers: 2, limits: { arenaBytes: 64 * MIB } });
    expect(share(250e6, 4).limits.arenaBytes).toBe(26.5e6);
    expect(share(250e6, 0).limits.arenaBytes).toBe(64 * MIB);
  });

  it('takes fewer threads when memory is short, and none at last', () => {
    expect(share(125e6, 4).workers).toBe(2);
    expect(share(90e6, 4).workers).toBe(0);
    expect(() => share(80e6, 4)).toThrow(/too small/);
  });

  it('counts what the process holds, but not a host that is large by itself', () => {
    expect(share(250e6, 4, 100e6).limits.arenaBytes).toBe(19e6);
    expect(share(250e6, 4, 900e6).limits.arenaBytes).toBe(14e6);
  });
});

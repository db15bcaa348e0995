import { describe, expect, it } from 'vitest';
import {
  bf16ToF32,
  createRng,
  f16ToF32,
  f32ToBf16,
  f32ToF16,
  formatBytes,
  formatDuration,
  restoreRng,
} from './index.js';

describe('half precision', () => {
  it('brings every finite half back unchanged through f32', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = new Float32Array(65536);
    const back = new Uint16Array(65536);
    f16ToF32(all, wide);
    f32ToF16(wide, back);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(wide[i])) expect(back[i]! & 0x7fff).toBeGreaterThan(0x7c00);
      else expect(back[i]).toBe(i);
    }
  });

  it('brings every bf16 back unchanged through f32', () => {
    const all = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const wide = new Float32Array(65536);
    const back = new Uint16Array(65536);
    bf16ToF32(all, wide);
    f32ToBf16(wide, back);
    for (let i = 0; i < 65536; i++) {
      if (Number.isNaN(wide[i])) expect(back[i]! & 0x7fff).toBeGreaterThan(0x7f80);
      else expect(back[i]).toBe(i);
    }
  });

  it('rounds halves to nearest, ties to even, as IEEE 754 says', () => {
    // Midpoints between neighbours: 2049 lies between 2048 and 2050, 2051 between 2050 and 2052.
    const src = Float32Array.of(2049, 2051, 65519, 65520, 2 ** -25, 2 ** -25 * 1.5, -0);
    const dst = new Uint16Array(src.length);
    const back = new Float32Array(src.length);
    f32ToF16(src, dst);
    f16ToF32(dst, back);
    expect([...back]).toEqual([2048, 2052, 65504, Number.POSITIVE_INFINITY, 0, 2 ** -24, -0]);
  });
});

describe('createRng', () => {
  it('draws the same sequence again from a stored state', () => {
    const rng = createRng(7);
    for (let i = 0; i < 100; i++) rng.nextUint32();
    const again = restoreRng(rng.state());
    const first = Array.from({ length: 50 }, () => rng.nextGaussian());
    expect(Array.from({ length: 50 }, () => again.nextGaussian())).toEqual(first);
  });

  it('is uniform: 16 buckets of 64,000 draws stay within four standard deviations', () => {
    const rng = createRng(1);
    const buckets = new Array<number>(16).fill(0);
    for (let i = 0; i < 64_000; i++) buckets[rng.nextInt(16)]! += 1;
    for (const count of buckets) expect(Math.abs(count - 4000)).toBeLessThan(4 * Math.sqrt(3750));
  });

  it('draws normal deviates with mean 0 and variance 1', () => {
    const rng = createRng(3);
    let sum = 0;
    let squares = 0;
    for (let i = 0; i < 50_000; i++) {
      const x = rng.nextGaussian();
      sum += x;
      squares += x * x;
    }
    expect(Math.abs(sum / 50_000)).toBeLessThan(0.02);
    expect(Math.abs(squares / 50_000 - 1)).toBeLessThan(0.03);
  });
});

describe('units', () => {
  it('formats bytes and durations as people write them', () => {
    expect([0, 999, 1500, 250e6, 1.07e9].map(formatBytes)).toEqual([
      '0 B',
      '999 B',
      '1.50 kB',
      '250 MB',
      '1.07 GB',
    ]);
    expect([850, 12_300, 245_000, 7_620_000].map(formatDuration)).toEqual([
      '850 ms',
      '12.3 s',
      '4 min 05 s',
      '2 h 07 min',
    ]);
  });
});

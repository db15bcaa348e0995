import { describe, expect, it } from 'vitest';
import { type CandidateTurns, formatTable, median, summarise } from './bench-report.js';
import { GEMM_STEP_FLOPS } from './gemm-shape.js';
import { BENCH_SHAPES, denseFlopsPerToken, randomModel } from './random-model.js';

const turns = (
  name: string,
  threads: number,
  { ms, peak }: { ms: number[][]; peak: number },
): CandidateTurns => ({
  name,
  threads,
  turns: ms.map((step_ms) => ({ step_ms, peak_rss_mb: peak, loss: 2.5 })),
});

const WORK = { tokensPerStep: 100, denseFlopsPerToken: 1e8 };
// Turns of 100 tokens per step at 100, 50 and 200 tokens/s; the last one has two unequal steps.
const TORCH = { ms: [[1000], [2000], [250, 750]], peak: 2000 };

describe('median', () => {
  it('is the middle value, or the mean of the two middle ones', () => {
    expect(median([5, 1, 3])).toBe(3);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
  });
});

describe('summarise', () => {
  it('takes a turn as all steps over all time, and medians over turns', () => {
    const result = summarise([turns('torch_f32', 1, TORCH)], WORK);
    expect(result.torch_f32?.['1']).toMatchObject({
      tokens_per_s: 100,
      tokens_per_s_min: 50,
      tokens_per_s_max: 200,
      peak_mb: 2000,
      ratio: 1,
      memory_ratio: 1,
    });
  });

  it('compares with torch f32 of the same threads and reports the worst over thread counts', () => {
    const result = summarise(
      [
        turns('q8_0', 1, { ms: [[500]], peak: 800 }),
        turns('q4_K', 1, { ms: [[400]], peak: 600 }),
        turns('torch_f32', 1, { ms: [[1000]], peak: 2000 }),
        turns('q8_0', 2, { ms: [[250]], peak: 810 }),
        turns('q4_K', 2, { ms: [[200]], peak: 610 }),
        turns('torch_f32', 2, { ms: [[400]], peak: 2025 }),
      ],
      WORK,
    );
    expect(result.q8_0?.['1']?.ratio).toBe(2);
    expect(result.q8_0?.['2']?.ratio).toBe(1.6);
    expect(result.ratio).toBe(1.6);
    expect(result.memory_ratio).toBe(0.4);
    expect(result.targets).toEqual({ q8_0: 1.3, q4_K: 1.8, memory: 0.45, met: true });
  });

  it('misses the targets when one of them is missed', () => {
    const baseline = turns('torch_f32', 1, { ms: [[1000]], peak: 2000 });
    const met = (q8: number, q4: number, peak: number): boolean | null =>
      summarise(
        [
          turns('q8_0', 1, { ms: [[1000 / q8]], peak }),
          turns('q4_K', 1, { ms: [[1000 / q4]], peak: 100 }),
          baseline,
        ],
        WORK,
      ).targets.met;
    expect(met(1.31, 1.81, 900)).toBe(true);
    expect(met(1.29, 1.81, 900)).toBe(false);
    expect(met(1.31, 1.79, 900)).toBe(false);
    expect(met(1.31, 1.81, 920)).toBe(false);
  });

  it('judges nothing without the baseline, and still relates speed to the product rate', () => {
    // One step of products per second; one training step per second is 1e10 operations.
    const result = summarise(
      [
        turns('gemm_q8_0', 1, { ms: [[1000]], peak: 50 }),
        turns('q8_0', 1, { ms: [[1000]], peak: 800 }),
      ],
      WORK,
    );
    expect(result.ratio).toBeNull();
    expect(result.targets.met).toBeNull();
    const rate = Number((GEMM_STEP_FLOPS / 1e9).toFixed(1));
    expect(result.gemm['1']).toEqual({ q8_0: rate });
    expect(result.q8_0?.['1']?.gemm_share).toBeCloseTo(1e10 / (rate * 1e9), 3);
  });
});

describe('formatTable', () => {
  it('prints every trainer that was measured, in aligned columns', () => {
    const lines = formatTable(
      summarise([turns('q8_0', 1, { ms: [[500]], peak: 800 }), turns('torch_f32', 1, TORCH)], WORK),
    ).split('\n');
    expect(lines[2]).toMatch(/^ {2}q8_0 +200 \[200–200\] +800 +2\.00 +0\.40 +–$/);
    expect(lines[3]).toMatch(/^ {2}torch f32 +100 \[50–200\] +2000 +1\.00 +1\.00 +–$/);
    expect(lines[2]).toHaveLength(lines[3]!.length);
  });
});

describe('randomModel', () => {
  it('gives every parameter its bytes, with deviation 1/sqrt(inputs)', async () => {
    const source = randomModel(BENCH_SHAPES.tiny, 1);
    for (const p of source.parameters) {
      const values = new Float32Array((await source.read(p.name)).buffer);
      expect(values.byteLength).toBe(p.byteLength);
      const square = values.reduce((sum, v) => sum + v * v, 0) / values.length;
      expect(square * (p.role === 'norm' ? 1 : p.shape[1]!)).toBeCloseTo(1, 1);
    }
  });

  it('has the size its name says', () => {
    const weights = (role: string): number =>
      randomModel(BENCH_SHAPES['110m'], 1)
        .parameters.filter((p) => p.role === role)
        .reduce((sum, p) => sum + p.byteLength / 4, 0);
    const multiplied = weights('linear') + weights('head');
    expect(multiplied).toBe(109_510_656);
    expect(denseFlopsPerToken(BENCH_SHAPES['110m'])).toBe(4 * multiplied);
  });
});

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { BenchResult } from './bench-report.js';

const SCRIPT = fileURLToPath(new URL('./bench-train.ts', import.meta.url));

function runBench(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const nodeArgs = ['--conditions=@tuneyard/source', '--import', 'tsx', SCRIPT, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, nodeArgs, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('bench:train', () => {
  it('measures a tiny model and ends with one JSON line', async () => {
    const args = ['--quick', '--threads', '1', '--base', 'q4_K', '--shape', 'tiny'];
    const { code, stdout, stderr } = await runBench(args);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('Without PyTorch');
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as BenchResult;
    expect(result).toMatchObject({
      bench: 'train',
      ratio: null,
      memory_ratio: null,
      targets: { q8_0: 1.3, q4_K: 1.8, memory: 0.45, met: null },
    });
    expect(Object.keys(result.gemm['1']!)).toEqual(['f32', 'bf16', 'q8_0', 'q4_K']);
    for (const rate of Object.values(result.gemm['1']!)) expect(rate).toBeGreaterThan(0.1);
    const figures = result.q4_K!['1']!;
    expect(figures.tokens_per_s).toBeGreaterThan(1);
    expect(figures.peak_mb).toBeGreaterThan(20);
    // Logits of a random model have a deviation of about 1: the loss is near ln(512) + 1/2.
    expect(Math.abs(figures.loss! - (Math.log(512) + 0.5))).toBeLessThan(0.5);
  });

  it('refuses an unknown base type with exit code 2', async () => {
    const { code, stdout, stderr } = await runBench(['--base', 'q5_0']);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('allowed are bf16, q8_0, q4_K');
  });
});

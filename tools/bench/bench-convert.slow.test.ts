import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { ConvertBenchResult } from './bench-convert-report.js';

const SCRIPT = fileURLToPath(new URL('./bench-convert.ts', import.meta.url));

function runBench(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const nodeArgs = ['--conditions=@tuneyard/source', '--import', 'tsx', SCRIPT, ...args];
  // No baseline: the test is of the bench, and must not need Python.
  const env = { ...process.env, TUNEYARD_ORACLE_PYTHON: '/nonexistent/python' };
  return new Promise((resolve) => {
    execFile(process.execPath, nodeArgs, { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('bench:convert', () => {
  it('converts there, back and with a cast, and ends with one JSON line', async () => {
    const { code, stdout, stderr } = await runBench(['--quick', '--json']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const result = JSON.parse(stdout) as ConvertBenchResult;
    expect(result).toMatchObject({ bench: 'convert', ratio: null, rounds: 1, durable: false });
    expect(Object.keys(result.cases)).toEqual(['to-megatron', 'to-hf', 'cast']);
    expect(result.peak_mb).toBeLessThan(250);
    expect(result.cases.cast!.write_gb).toBeCloseTo(result.cases.cast!.read_gb / 2, 1);
  });

  it('refuses unknown cases and sizes with exit code 2', async () => {
    const unknown = await runBench(['--cases', 'sideways']);
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain('allowed are to-megatron, to-hf, cast');
    expect((await runBench(['--gb', '-1'])).code).toBe(2);
  });
});

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { TokenizerBenchResult } from './bench-tokenizer-report.js';

const SCRIPT = fileURLToPath(new URL('./bench-tokenizer.ts', import.meta.url));

function runBench(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const nodeArgs = ['--conditions=@tuneyard/source', '--import', 'tsx', SCRIPT, ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, nodeArgs, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('bench:tokenizer', () => {
  it('measures a megabyte with every candidate and ends with one JSON line', async () => {
    const { code, stdout, stderr } = await runBench(['--quick', '--vocabulary', 'qwen3,mistral']);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const result = JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as TokenizerBenchResult;
    expect(result).toMatchObject({ bench: 'tokenizer', same_ids: true });
    expect(Object.keys(result.vocabularies.qwen3!)).toEqual(['tuneyard', 'tokenizers', 'tiktoken']);
    expect(Object.keys(result.vocabularies.mistral!)).toEqual(['tuneyard', 'tokenizers']);
    expect(result.ratio).toBeGreaterThan(1);
  });

  it('refuses an unknown vocabulary with exit code 2', async () => {
    const { code, stdout, stderr } = await runBench(['--vocabulary', 'gpt9']);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain('allowed are llama3, qwen3, mistral');
  });
});

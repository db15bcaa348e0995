import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { describe, expect, it } from 'vitest';
import { TIMING_FIELDS } from './training-log.js';

const script = fileURLToPath(new URL('../test/train-bigram-process.ts', import.meta.url));
const node = ['--import', 'tsx', '--conditions=@tuneyard/source', script];

/** Runs the training; with `killAfter`, kills the process that many milliseconds after the given step. */
function train(
  outputDir: string,
  killAfter?: { readonly step: number; readonly ms: number },
): Promise<{ readonly output: string; readonly signal: string | null }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...node, outputDir], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data.toString();
    });
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (killAfter !== undefined && output.includes(`step ${killAfter.step}\n`)) {
        setTimeout(() => child.kill('SIGKILL'), killAfter.ms);
      }
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0 || signal === 'SIGKILL') resolve({ output, signal });
      else reject(new Error(`exit ${code}: ${errors}`));
    });
  });
}

async function timelessLog(outputDir: string): Promise<unknown[]> {
  const lines = (await readFile(join(outputDir, 'trainer_log.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => {
    const entry = JSON.parse(line) as Record<string, unknown>;
    for (const field of TIMING_FIELDS) delete entry[field];
    return entry;
  });
}

describe('a training process', () => {
  it('ends with the same state and log after kill -9 at random moments of steps and saves', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'killed-'));
    const whole = await train(join(dir, 'whole'));
    const rng = createRng(1);
    const killed = join(dir, 'killed');
    let done = 0;
    let kills = 0;
    for (let attempt = 0; attempt < 8; attempt++) {
      const step = done + 1 + rng.nextInt(8);
      const { output, signal } = await train(killed, { step, ms: rng.next() * 8 });
      if (signal === 'SIGKILL') kills++;
      const reached = Number(/step (\d+)\n(?!.*step)/s.exec(output)?.[1] ?? done);
      expect(reached).toBeGreaterThanOrEqual(done);
      done = Math.min(reached, 70);
    }
    const last = await train(killed);
    expect(kills).toBeGreaterThan(4);
    expect(last.output.split('\n').at(-2)).toMatch(/^state [0-9a-f]{64}$/);
    expect(last.output.split('\n').at(-2)).toBe(whole.output.split('\n').at(-2));
    expect(await timelessLog(killed)).toEqual(await timelessLog(join(dir, 'whole')));
    await rm(dir, { recursive: true });
  });
});

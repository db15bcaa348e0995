import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '@tuneyard/core';
import { expect, it } from 'vitest';

const ENTRY = fileURLToPath(new URL('../test/fine-tune-process.ts', import.meta.url));
const FLAGS = ['--conditions=@tuneyard/source', '--import', 'tsx'];

/** Runs a fine-tuning; kills it with SIGKILL some milliseconds after the given step, if one is given. */
function train(dir: string, kill: { step: number; afterMs: number } | null): Promise<boolean> {
  const args = [...FLAGS, ENTRY, join(dir, 'work'), join(dir, 'out'), kill === null ? '0' : '20'];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (data: Buffer) => {
    if (kill !== null && data.toString().includes(`step ${kill.step}\n`)) {
      setTimeout(() => child.kill('SIGKILL'), kill.afterMs);
    }
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (code === 0) resolve(true);
      else if (signal === 'SIGKILL') resolve(false);
      else reject(new Error(`the training process ended with ${code ?? signal}`));
    });
  });
}

it('a training killed at random moments ends with the bytes of one that was not', async () => {
  const whole = mkdtempSync(join(tmpdir(), 'tuneyard-whole-'));
  expect(await train(whole, null)).toBe(true);
  const rng = createRng(Date.now());
  const killed = mkdtempSync(join(tmpdir(), 'tuneyard-killed-'));
  const steps = [2 + rng.nextInt(6), 10 + rng.nextInt(6), 18 + rng.nextInt(6)];
  for (const step of steps) {
    expect(await train(killed, { step, afterMs: rng.nextInt(25) }), `kill at ${steps}`).toBe(false);
  }
  expect(await train(killed, null)).toBe(true);
  for (const file of ['adapter_model.safetensors', 'adapter_config.json']) {
    const [a, b] = [whole, killed].map((dir) => readFileSync(join(dir, 'out', file)));
    expect(Buffer.compare(a!, b!), `${file}, killed at ${steps}`).toBe(0);
  }
  const losses = (dir: string): unknown[] =>
    readFileSync(join(dir, 'out', 'trainer_log.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => {
        const { current_steps, loss, eval_loss, grad_norm } = JSON.parse(line) as Record<
          string,
          unknown
        >;
        return { current_steps, loss, eval_loss, grad_norm };
      });
  expect(losses(killed)).toEqual(losses(whole));
});

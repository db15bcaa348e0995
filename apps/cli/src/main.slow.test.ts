/** What only a process of its own can show: pipes that close, signals, exit codes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

function start(...args: string[]): ChildProcess {
  return spawn(
    process.execPath,
    ['--conditions=@tuneyard/source', '--import', 'tsx', MAIN, ...args],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
}

async function finish(child: ChildProcess) {
  let [stdout, stderr] = ['', ''];
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  const [exitCode, signal] = await once(child, 'close');
  return { exitCode, signal, stdout, stderr };
}

it('ends quietly with 141 when the reader of stdout has gone', async () => {
  const child = start('doctor');
  child.stdout?.destroy();
  const run = await finish(child);
  expect(run).toMatchObject({ exitCode: 141, stderr: '' });
});

it('writes a long help through a pipe to its end', async () => {
  const run = await finish(start('--help'));
  expect(run).toMatchObject({ exitCode: 0, stderr: '' });
  expect(run.stdout.trimEnd()).toMatch(/for examples\.$/);
});

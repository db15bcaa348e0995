/** What only a process of its own can show: pipes that close, signals, exit codes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

const RECIPE = fileURLToPath(new URL('../../../examples/quickstart.yaml', import.meta.url));

/** A training that takes about a minute when nobody stops it. */
function startTraining(workspace: string, ...more: string[]): ChildProcess {
  const changes = ['train.max_steps=60', 'train.save_steps=1', 'train.eval_steps=60', ...more];
  return start('train', RECIPE, ...changes, '--workspace', workspace);
}

/** Resolves once the process has written something to stderr. */
function whenText(child: ChildProcess, text: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let seen = '';
    child.stderr?.on('data', (chunk) => {
      seen += chunk;
      if (text.test(seen)) resolve(seen);
    });
    child.on('close', () => reject(new Error(`never saw ${text} in: ${seen}`)));
  });
}

it('stops after the step at the first Ctrl-C and resumes when it is run again', async () => {
  const workspace = await mkdtemp(join(tmpdir(), 'tuneyard-sigint-'));
  try {
    const child = startTraining(workspace);
    const ended = finish(child);
    await whenText(child, /checkpoint at step 1\b/);
    child.kill('SIGINT');
    const run = await ended;
    expect(run.exitCode).toBe(130);
    expect(run.stderr).toContain('stopping after this step; run the same command to resume\n');
    expect(run.stderr.trimEnd()).toMatch(/\nstopped$/);
    const plan = await finish(
      start('plan', RECIPE, 'train.max_steps=60', '--workspace', workspace, '--json'),
    );
    const stages = JSON.parse(plan.stdout).stages as { id: string; status: string }[];
    expect(stages.find(({ id }) => id === 'train')?.status).toBe('resume');
    expect(stages.find(({ id }) => id === 'preprocess-train')?.status).toBe('reuse');
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
});

it('ends at once at the second Ctrl-C', async () => {
  const workspace = await mkdtemp(join(tmpdir(), 'tuneyard-sigint-'));
  try {
    const child = startTraining(workspace, 'train.gradient_accumulation_steps=64');
    const ended = finish(child);
    await whenText(child, /Memory/);
    child.kill('SIGINT');
    await whenText(child, /stopping after this step/);
    child.kill('SIGINT');
    expect((await ended).exitCode).toBe(130);
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
});

it('writes nothing but JSON lines to stdout and nothing to stderr with --json', async () => {
  const workspace = await mkdtemp(join(tmpdir(), 'tuneyard-json-'));
  try {
    const child = start('train', RECIPE, 'train.max_steps=2', '--workspace', workspace, '--json');
    const run = await finish(child);
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    const events = run.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; status?: string });
    expect(events[0]?.type).toBe('run_started');
    expect(events.at(-1)).toMatchObject({ type: 'result', status: 'succeeded' });
  } finally {
    await rm(workspace, { recursive: true, force: true });
  }
});

import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { artifactDir } from '../artifacts/create-artifact.js';
import { openArtifact } from '../artifacts/open-artifact.js';
import { openWorkspace, type Workspace } from '../artifacts/workspace.js';
import { hashOf } from '../fingerprint/canonical-json.js';
import type { PlannedStage, RunPlan, StageInput } from '../plan/run-plan.js';
import { parseRecipe } from '../recipe/read-recipe.js';
import { executeRun, type RunOutcome } from './execute-run.js';
import type { Facts, RunEvent } from './run-event.js';
import { listRuns, readRunEvents } from './run-record.js';

const stageModule = new URL('../../test/fake-stages.ts', import.meta.url);

let root: string;
let workspace: Workspace;
let counter: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tuneyard-run-'));
  workspace = await openWorkspace(path.join(root, '.tuneyard'));
  counter = path.join(root, 'counter');
  await writeFile(counter, '');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const recipe = parseRecipe(
  'name: quick\nmodel: { model_name_or_path: m }\ndata: { train: a.jsonl }\n',
  'r.yaml',
);

interface FakeStage {
  readonly id: string;
  readonly kind: 'preprocess' | 'train' | 'evaluate';
  readonly parameters: Facts;
  readonly settings?: Facts;
  readonly from?: readonly string[];
}

function planOf(stages: readonly FakeStage[]): RunPlan {
  const planned: PlannedStage[] = [];
  for (const stage of stages) {
    const inputs: { [role: string]: StageInput } = {};
    for (const stageId of stage.from ?? []) {
      const { fingerprint } = planned.find((p) => p.id === stageId)!;
      inputs[stageId] = { from: 'stage', stageId, fingerprint };
    }
    const fingerprint = hashOf({ kind: stage.kind, parameters: stage.parameters, inputs });
    planned.push({
      ...stage,
      title: `Fake ${stage.id}`,
      version: 1,
      fingerprint,
      inputs,
      settings: { counter, ...stage.settings },
      status: 'run',
      reason: 'not made yet',
      artifactKind: 'fake',
      artifactPath: artifactDir(workspace, { kind: 'fake', name: 'quick', fingerprint }),
    });
  }
  return { recipe, workspace, stages: planned };
}

const report = (stages: readonly PlannedStage[]): PlannedStage => ({
  id: 'report',
  kind: 'report',
  title: 'Write the report',
  version: 1,
  fingerprint: '0'.repeat(64),
  inputs: Object.fromEntries(
    stages.map(({ id, fingerprint }) => [id, { from: 'stage', stageId: id, fingerprint }]),
  ),
  parameters: {},
  settings: {},
  status: 'run',
  reason: 'written for every run',
  artifactKind: null,
  artifactPath: null,
});

async function run(
  plan: RunPlan,
  options: {
    signal?: AbortSignal;
    onEvent?: (event: RunEvent) => void;
    abortGraceMs?: number;
  } = {},
): Promise<RunOutcome & { events: RunEvent[] }> {
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent): void => {
    events.push(event);
    options.onEvent?.(event);
  };
  const outcome = await executeRun(plan, { ...options, stageModule, onEvent });
  return { ...outcome, events };
}

const types = (events: readonly RunEvent[]): string[] => events.map((event) => event.type);
const counted = (): Promise<string> => readFile(counter, 'utf8');
const counting = (settings: Facts): RunPlan =>
  planOf([{ id: 'train', kind: 'train', parameters: { steps: 5 }, settings }]);

describe('executeRun', () => {
  it('runs stages in order, hands outputs on, and does nothing the second time', async () => {
    const stages = planOf([
      { id: 'one', kind: 'preprocess', parameters: { text: 'a' } },
      { id: 'two', kind: 'preprocess', parameters: { text: 'b' }, from: ['one'] },
    ]);
    const plan = { ...stages, stages: [...stages.stages, report(stages.stages)] };
    const first = await run(plan);
    expect(first.error).toBeNull();
    expect(first.status).toBe('succeeded');
    const two = first.artifacts['two']!;
    expect(await readFile(path.join(two.dir, 'out.txt'), 'utf8')).toBe('b+a');
    expect(two.manifest).toMatchObject({
      stage: 'two',
      name: 'quick',
      metrics: { length: 1 },
      parents: [{ role: 'one', artifact: expect.stringMatching(/^fake\/quick-/), path: null }],
      toolVersions: { node: process.versions.node },
    });
    await openArtifact(two.dir, { verify: true });
    expect(types(first.events).filter((t) => t !== 'stage_log')).toEqual([
      'run_started',
      'stage_started',
      'stage_plan',
      'stage_progress',
      'stage_finished',
      'stage_started',
      'stage_plan',
      'stage_progress',
      'stage_finished',
      'stage_finished',
      'run_finished',
    ]);

    const second = await run(plan);
    expect(second.artifacts['two']!.dir).toBe(two.dir);
    expect(types(second.events)).toEqual([
      'run_started',
      'stage_reused',
      'stage_reused',
      'stage_finished',
      'run_finished',
    ]);
    expect(await counted()).toBe('xx');
    expect(await readdir(workspace.work)).toEqual([]);
  });

  it('keeps a record of the run on disk', async () => {
    const stages = planOf([{ id: 'one', kind: 'preprocess', parameters: { text: 'a' } }]);
    const outcome = await run({ ...stages, stages: [...stages.stages, report(stages.stages)] });
    expect((await readdir(outcome.dir)).sort()).toEqual([
      'events.ndjson',
      'log.txt',
      'metrics.ndjson',
      'recipe.yaml',
      'report.html',
    ]);
    expect(await readRunEvents(workspace, outcome.runId)).toEqual(outcome.events);
    const log = await readFile(path.join(outcome.dir, 'log.txt'), 'utf8');
    expect(log).toContain('said to standard output');
    const metrics = await readFile(path.join(outcome.dir, 'metrics.ndjson'), 'utf8');
    expect(JSON.parse(metrics)).toMatchObject({ stage: 'one', done: 1, loss: 0.5 });
    expect(await readFile(outcome.report!, 'utf8')).toContain('Fake one');
    expect(await listRuns(workspace)).toMatchObject([
      { runId: outcome.runId, recipe: 'quick', status: 'succeeded', report: outcome.report },
    ]);
  });

  it('carries an error of a stage over with its code, details and hint', async () => {
    const outcome = await run(counting({ crashAt: 2, how: 'typed' }));
    expect(outcome.status).toBe('failed');
    expect(outcome.error).toMatchObject({
      code: 'FAKE_BAD',
      message: 'row 7 is bad',
      details: { row: 7 },
      hint: 'Fix row 7.',
    });
    expect(outcome.events.at(-2)).toMatchObject({ type: 'stage_failed', resumable: true });
    expect(await readdir(path.join(workspace.artifacts, 'fake'))).toEqual([]);
  });

  it('names what a stage threw that is no error of ours', async () => {
    const outcome = await run(counting({ crashAt: 2, how: 'plain' }));
    expect(outcome.error).toMatchObject({ code: 'STAGE_FAILED', category: 'internal' });
    expect(outcome.error!.stack).toContain('fake-stages');
  });

  it.each([
    ['a signal', 'signal', 'signal SIGSEGV'],
    ['an early exit', 'exit', 'code 3'],
  ])('reports %s as a crash, and the next run goes on', async (_, how, words) => {
    const plan = counting({ crashAt: 3, how });
    const outcome = await run(plan);
    expect(outcome.error).toMatchObject({ code: 'STAGE_CRASHED', category: 'internal' });
    expect(outcome.error!.message).toContain(words);
    if (how === 'signal') expect(outcome.error!.message).toContain('native library said something');

    const again = await run(plan);
    expect(again.status).toBe('succeeded');
    expect(again.events.find((e) => e.type === 'stage_started')).toMatchObject({ resumed: true });
    expect(await counted()).toBe('0 3 ');
    expect(await readFile(path.join(again.artifacts['train']!.dir, 'out.txt'), 'utf8')).toBe('5');
  });

  it('stops a stage when asked, and goes on from there the next time', async () => {
    const controller = new AbortController();
    const plan = planOf([
      { id: 'train', kind: 'train', parameters: { steps: 40 }, settings: { isSlow: true } },
    ]);
    const outcome = await run(plan, {
      signal: controller.signal,
      onEvent: (event) => {
        if (event.type === 'stage_progress' && event.done === 3) controller.abort();
      },
    });
    expect(outcome.status).toBe('cancelled');
    expect(outcome.error).toMatchObject({ code: 'CANCELLED', category: 'cancelled' });
    expect(outcome.events.at(-2)).toMatchObject({ type: 'stage_failed', resumable: true });

    const again = await run(plan);
    expect(again.status).toBe('succeeded');
    const starts = (await counted()).trim().split(' ').map(Number);
    expect(starts).toHaveLength(2);
    expect(starts[1]).toBeGreaterThanOrEqual(3);
  });

  it('kills a stage that does not stop', async () => {
    const controller = new AbortController();
    const plan = planOf([{ id: 'evaluate', kind: 'evaluate', parameters: {} }]);
    const outcome = await run(plan, {
      signal: controller.signal,
      abortGraceMs: 100,
      onEvent: (event) => {
        if (event.type === 'stage_progress') controller.abort();
      },
    });
    expect(outcome.status).toBe('cancelled');
    expect(outcome.error!.message).toContain('did not stop in time');
  });

  it('goes on after the process of a stage was killed from outside', async () => {
    const plan = planOf([
      { id: 'train', kind: 'train', parameters: { steps: 40 }, settings: { isSlow: true } },
    ]);
    const lock = path.join(
      workspace.work,
      `train-${plan.stages[0]!.fingerprint.slice(0, 12)}/lock`,
    );
    let isKilled = false;
    const outcome = await run(plan, {
      onEvent: (event) => {
        if (event.type !== 'stage_progress' || event.done < 3 || isKilled) return;
        isKilled = true;
        void readFile(lock, 'utf8').then((text) =>
          process.kill(JSON.parse(text).pids[1], 'SIGKILL'),
        );
      },
    });
    expect(outcome.error).toMatchObject({ code: 'STAGE_CRASHED', details: { signal: 'SIGKILL' } });
    expect(outcome.error!.hint).toContain('memory');
    expect((await run(plan)).status).toBe('succeeded');
    expect((await counted()).trim().split(' ')).toHaveLength(2);
  });

  it('does a stage once when two runs want it at the same time', async () => {
    const plan = planOf([
      { id: 'train', kind: 'train', parameters: { steps: 30 }, settings: { isSlow: true } },
    ]);
    const [one, two] = await Promise.all([run(plan), run(plan)]);
    expect([one.status, two.status]).toEqual(['succeeded', 'succeeded']);
    expect(one.artifacts['train']!.dir).toBe(two.artifacts['train']!.dir);
    expect(await counted()).toBe('0 ');
    const both = [...one.events, ...two.events];
    expect(both.filter((event) => event.type === 'stage_reused')).toHaveLength(1);
    expect(both.some((e) => e.type === 'stage_log' && e.message.includes('waiting'))).toBe(true);
  });

  it.each([
    ['killed', 'SIGKILL'],
    ['interrupted with its whole process group, as a terminal does', 'SIGINT'],
  ] as const)('goes on after the run itself was %s', async (_, signal) => {
    const plan = planOf([
      { id: 'train', kind: 'train', parameters: { steps: 40 }, settings: { isSlow: true } },
    ]);
    const file = path.join(root, 'plan.json');
    await writeFile(file, JSON.stringify(plan));
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const driver = fileURLToPath(new URL('../../test/run-driver.ts', import.meta.url));
    const child = spawn(
      process.execPath,
      ['--conditions=@tuneyard/source', '--import', tsx, driver, file],
      { detached: true, stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let isKilled = false;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const event = JSON.parse(line) as RunEvent;
      if (event.type !== 'stage_progress' || event.done < 3 || isKilled) return;
      isKilled = true;
      process.kill(signal === 'SIGINT' ? -child.pid! : child.pid!, signal);
    });
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(signal === 'SIGINT' ? 130 : null);

    const again = await run(plan);
    expect(again.status).toBe('succeeded');
    const starts = (await counted()).trim().split(' ').map(Number);
    expect(starts).toHaveLength(2);
    expect(starts[1]).toBeGreaterThanOrEqual(3);
    expect(await readdir(path.join(workspace.artifacts, 'fake'))).toHaveLength(1);
    if (signal === 'SIGKILL') {
      const statuses = (await listRuns(workspace)).map((summary) => summary.status);
      expect(statuses.sort()).toEqual(['succeeded', 'unfinished']);
    }
  });

  it('refuses a kind that no stage has', async () => {
    const plan = planOf([{ id: 'x', kind: 'merge' as 'train', parameters: {} }]);
    expect((await run(plan)).error).toMatchObject({ code: 'STAGE_UNKNOWN' });
  });
});

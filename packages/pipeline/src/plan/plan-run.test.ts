import { cp, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { beginArtifact, commitArtifact } from '../artifacts/create-artifact.js';
import { workDirOf } from '../artifacts/work-dir.js';
import { openWorkspace, type Workspace } from '../artifacts/workspace.js';
import { parseRecipe } from '../recipe/read-recipe.js';
import { planRun } from './plan-run.js';
import type { PlannedStage, RunPlan } from './run-plan.js';

let root: string;
let workspace: Workspace;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tuneyard-plan-'));
  workspace = await openWorkspace(path.join(root, '.tuneyard'));
  await mkdir(path.join(root, 'model'));
  await writeFile(path.join(root, 'model', 'config.json'), '{}');
  await writeFile(path.join(root, 'model', 'tokenizer.json'), '{}');
  await writeFile(path.join(root, 'model', 'model.safetensors'), 'weights');
  await writeFile(path.join(root, 'a.jsonl'), '{"instruction":"q","output":"a"}\n');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const RECIPE = `name: quick
model: { model_name_or_path: model }
data: { train: a.jsonl, val_size: 0.1 }
train: { learning_rate: 1e-4, max_steps: 3 }
`;

const plan = (text = RECIPE): Promise<RunPlan> =>
  planRun(parseRecipe(text, path.join(root, 'recipe.yaml')), workspace);

/** Makes the artifacts of a plan as a run would. */
async function fulfil({ stages, recipe }: RunPlan): Promise<void> {
  for (const stage of stages) {
    if (stage.artifactPath === null) continue;
    const draft = await beginArtifact(stage.artifactPath);
    await writeFile(path.join(draft.dir, 'out'), 'x');
    await commitArtifact(draft, {
      kind: stage.artifactKind ?? '',
      name: recipe.name,
      fingerprint: stage.fingerprint,
      stage: stage.id,
      stageVersion: stage.version,
      parents: Object.entries(stage.inputs).map(([role, { fingerprint }]) => ({
        role,
        fingerprint,
        artifact: null,
        path: null,
      })),
      parameters: { ...stage.parameters },
      metrics: {},
      toolVersions: {},
      createdAt: '2026-11-25T10:00:00.000Z',
      durationMs: 1,
    });
  }
}

const shown = ({ stages }: RunPlan): string[] =>
  stages.map(({ id, status, reason }) => `${id}: ${status}: ${reason}`);
const find = ({ stages }: RunPlan, id: string): PlannedStage =>
  stages.find((stage) => stage.id === id)!;

describe('planRun', () => {
  it('plans everything at first and nothing once it is made', async () => {
    const first = await plan();
    expect(shown(first)).toEqual([
      'preprocess-train: run: not made yet',
      'preprocess-validation: run: not made yet',
      'train: run: not made yet',
      'report: run: written for every run',
    ]);
    await fulfil(first);
    expect(shown(await plan())).toEqual([
      'preprocess-train: reuse: unchanged since 2026-11-25 10:00 UTC',
      'preprocess-validation: reuse: unchanged since 2026-11-25 10:00 UTC',
      'train: reuse: unchanged since 2026-11-25 10:00 UTC',
      'report: run: written for every run',
    ]);
  });

  it('says which parameter or file made a stage run again', async () => {
    await fulfil(await plan());
    expect(find(await plan(RECIPE.replace('1e-4', '2e-4')), 'train')).toMatchObject({
      status: 'run',
      reason: 'changed: train.learning_rate 1e-4 → 2e-4',
    });
    await writeFile(path.join(root, 'a.jsonl'), '{"instruction":"q","output":"b"}\n');
    const changed = await plan();
    expect(find(changed, 'preprocess-train').reason).toBe(
      `changed: content of ${path.join(root, 'a.jsonl')}`,
    );
    expect(find(changed, 'train').reason).toBe(
      'changed: result of preprocess-train, result of preprocess-validation',
    );
  });

  it('does not tokenize again for other weights with the same tokenizer', async () => {
    await fulfil(await plan());
    await writeFile(path.join(root, 'model', 'model.safetensors'), 'WEIGHTS');
    const changed = await plan();
    expect(find(changed, 'preprocess-train').status).toBe('reuse');
    expect(find(changed, 'train').reason).toBe(`changed: content of ${path.join(root, 'model')}`);
  });

  it('takes what another recipe made, and a moved workspace of data', async () => {
    await fulfil(await plan());
    const other = await plan(RECIPE.replace('quick', 'other'));
    expect(find(other, 'train').reason).toBe('unchanged since 2026-11-25 10:00 UTC, made by quick');
    await cp(root, `${root}-moved`, { recursive: true });
    try {
      const moved = await planRun(
        parseRecipe(RECIPE, path.join(`${root}-moved`, 'recipe.yaml')),
        workspace,
      );
      expect(find(moved, 'train').status).toBe('reuse');
    } finally {
      await rm(`${root}-moved`, { recursive: true });
    }
  });

  it('goes on with what was interrupted, and makes again what is damaged', async () => {
    const first = await plan();
    const { fingerprint } = find(first, 'train');
    const workDir = workDirOf(workspace, 'train', fingerprint);
    await mkdir(path.join(workDir, 'checkpoint-2'), { recursive: true });
    expect(find(await plan(), 'train')).toMatchObject({
      status: 'resume',
      reason: 'an earlier run was interrupted',
    });
    await rm(workDir, { recursive: true });
    await fulfil(first);
    await truncate(path.join(find(first, 'train').artifactPath!, 'out'), 0);
    expect(find(await plan(), 'train')).toMatchObject({
      status: 'run',
      reason: 'its artifact is damaged',
    });
  });

  it('names a model or a data set that is not there', async () => {
    await expect(plan(RECIPE.replace('path: model', 'path: org/name'))).rejects.toMatchObject({
      code: 'RECIPE_PATH_NOT_FOUND',
      category: 'not_found',
      hint: expect.stringContaining('nothing is downloaded'),
    });
    await expect(plan(RECIPE.replace('a.jsonl', 'b.jsonl'))).rejects.toMatchObject({
      category: 'not_found',
    });
  });
});

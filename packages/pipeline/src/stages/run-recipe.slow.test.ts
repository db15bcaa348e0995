/** Whole recipes through the real stages with the bundled model: a few steps, every kind of output. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel, readPeftAdapter } from '@tuneyard/weights';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorkspace, type Workspace } from '../artifacts/workspace.js';
import { executeRun, type RunOutcome } from '../executor/execute-run.js';
import { planRun } from '../plan/plan-run.js';
import { parseRecipe } from '../recipe/read-recipe.js';

const repository = fileURLToPath(new URL('../../../../', import.meta.url));
const model = path.join(repository, 'assets/models/stories260k-hf');

let root: string;
let workspace: Workspace;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'tuneyard-recipe-'));
  workspace = await openWorkspace(path.join(root, '.tuneyard'));
  const animals = ['cat', 'dog', 'bird', 'fish'];
  const rows = Array.from({ length: 40 }, (_, i) => {
    const animal = animals[i % animals.length];
    return {
      instruction: `Tom had a ${animal}. What did Tom have?`,
      input: '',
      output: `a ${animal}`,
    };
  });
  const lines = [...rows.map((row) => JSON.stringify(row)), '{"instruction": "no answer"}'];
  await writeFile(path.join(root, 'rows.jsonl'), lines.join('\n'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

function recipeText(changes: { readonly [key: string]: string } = {}): string {
  const lines = {
    name: 'tiny',
    model: `{ model_name_or_path: ${model} }`,
    data: '{ train: rows.jsonl, val_size: 8, template: plain, cutoff_len: 64, packing: true }',
    train:
      '{ lora_rank: 4, learning_rate: 5e-3, max_steps: 4, per_device_train_batch_size: 2, threads: 1 }',
    evaluate: '{ samples: 4, max_new_tokens: 4 }',
    merge: '{ dtype: f32 }',
    export: '{ gguf: [f16], peft: true }',
    ...changes,
  };
  return Object.entries(lines)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}: ${value}`)
    .join('\n');
}

async function run(text: string): Promise<RunOutcome & { readonly statuses: string[] }> {
  const plan = await planRun(parseRecipe(text, path.join(root, 'recipe.yaml')), workspace);
  const outcome = await executeRun(plan);
  if (outcome.error !== null) throw outcome.error;
  return { ...outcome, statuses: plan.stages.map((stage) => stage.status) };
}

describe('a recipe', () => {
  it('goes from rows to a tuned, merged, exported and verified model', async () => {
    const { artifacts, report } = await run(recipeText());
    const metrics = (id: string): { [key: string]: unknown } => artifacts[id]!.manifest.metrics;

    expect(metrics('preprocess-train')).toMatchObject({
      rows: 41,
      samples: 32,
      buckets: { missing_field: 1, truncated: 0 },
    });
    expect(metrics('preprocess-validation')).toMatchObject({ samples: 8 });
    expect(metrics('train')).toMatchObject({ steps: 4, skippedSteps: 0 });
    expect(metrics('train')['heldOutLossAfter']).toBeLessThan(
      metrics('train')['heldOutLossBefore'] as number,
    );
    // Two ways to the same number: the trainer's own evaluation and the evaluate stage.
    expect(metrics('evaluate-before')['loss']).toBeCloseTo(
      metrics('train')['heldOutLossBefore'] as number,
      3,
    );
    expect(metrics('evaluate-after')['loss']).toBeCloseTo(
      metrics('train')['heldOutLossAfter'] as number,
      3,
    );
    expect(metrics('evaluate-after')['exactMatch']).toMatchObject({ asked: 4 });
    expect(metrics('export-gguf-f16')).toMatchObject({ verifiedPrompts: 4 });

    const adapter = await readPeftAdapter(artifacts['export-peft']!.dir);
    expect(adapter.config).toMatchObject({ rank: 4, alpha: 8, baseModel: model });
    const source = await openModel(artifacts['merge']!.dir);
    expect(source.parameters.every((parameter) => parameter.type === 'f32')).toBe(true);
    await source.close();

    const page = await readFile(report!, 'utf8');
    expect(page).toContain('Held-out loss');
    expect(page).toContain('missing field');
    expect(page).toContain('What did Tom have?');
    expect(page).toContain('<svg');
    expect(page).toContain('llama-cli -m');
  });

  it('does only what a change asks for', async () => {
    expect((await run(recipeText())).statuses.filter((status) => status !== 'reuse')).toEqual([
      'run',
    ]);
    const more = await run(recipeText({ export: '{ gguf: [f16, q8_0], peft: true }' }));
    expect(more.statuses.filter((status) => status !== 'reuse')).toHaveLength(2);
    expect(await readdir(more.artifacts['export-gguf-q8_0']!.dir)).toContain('tiny-q8_0.gguf');
  });

  it('trains all weights from a GGUF base and gives a directory with a tokenizer', async () => {
    const first = await run(recipeText());
    const gguf = path.join(first.artifacts['export-gguf-f16']!.dir, 'tiny-f16.gguf');
    const { artifacts } = await run(
      recipeText({
        name: 'full',
        model: `{ model_name_or_path: ${gguf} }`,
        train:
          '{ finetuning_type: full, max_steps: 2, per_device_train_batch_size: 2, threads: 1 }',
        export: '{ gguf: [f16] }',
      }),
    );
    expect(await readdir(artifacts['train']!.dir)).toEqual(
      expect.arrayContaining(['config.json', 'model.safetensors', 'tokenizer.json']),
    );
    expect(artifacts['evaluate-after']!.manifest.metrics['loss']).toBeTypeOf('number');
    expect(artifacts['export-gguf-f16']!.manifest.metrics).toMatchObject({ verifiedPrompts: 4 });
  });

  it('learns raw text', async () => {
    await writeFile(
      path.join(root, 'text.jsonl'),
      Array.from({ length: 20 }, (_, i) => JSON.stringify({ text: `Tom saw ${i} birds.` })).join(
        '\n',
      ),
    );
    const { artifacts } = await run(
      recipeText({
        name: 'raw',
        data: '{ train: text.jsonl, cutoff_len: 64 }',
        train: '{ stage: pt, max_steps: 2, threads: 1 }',
        evaluate: '',
        merge: '',
        export: '',
      }),
    );
    const { samples, tokens, learnedTokens } = artifacts['preprocess-train']!.manifest
      .metrics as unknown as { samples: number; tokens: number; learnedTokens: number };
    expect(samples).toBe(20);
    expect(learnedTokens).toBe(tokens - samples);
  });
});

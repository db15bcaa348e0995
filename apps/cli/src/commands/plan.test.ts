import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BUNDLED_MODEL } from '../testing/bundled.js';
import { runFake } from '../testing/fake-host.js';

const RECIPE = fileURLToPath(new URL('../../../../examples/quickstart.yaml', import.meta.url));

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tuneyard-plan-'));
  await cp(
    fileURLToPath(new URL('../../../../examples/data', import.meta.url)),
    join(dir, 'data'),
    {
      recursive: true,
    },
  );
  await writeFile(
    join(dir, 'factory.yaml'),
    [
      `model_name_or_path: ${BUNDLED_MODEL}`,
      'stage: sft',
      'do_train: true',
      'finetuning_type: lora',
      'lora_rank: 4',
      'dataset: data/stories-qa-train.jsonl',
      'template: alpaca',
      'learning_rate: 1.0e-4',
      'report_to: none',
      '',
    ].join('\n'),
  );
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function planJson(argv: readonly string[]) {
  const run = await runFake([...argv, '--json', '--workspace', 'ws'], { cwd: dir });
  return JSON.parse(run.stdout);
}

describe('tuneyard plan', () => {
  it('shows every stage with what happens to it and the settings of training', async () => {
    const run = await runFake(['plan', RECIPE], { cwd: dir });
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(run.stdout).toMatch(
      /^Plan of stories-qa\n {2}run {2}Tokenize training data +not made yet\n/,
    );
    expect(run.stdout).toMatch(/Training\n {2}samples per step +8\n/);
    expect(run.stdout).toMatch(/ {2}lora_rank +32\n/);
  });

  it('takes changes from the command line, and changes only what they touch', async () => {
    const [before, after] = [
      await planJson(['plan', RECIPE]),
      await planJson(['plan', RECIPE, 'train.learning_rate=1e-4']),
    ];
    const changed = before.stages
      .filter((stage: { fingerprint: string }, i: number) => {
        return stage.fingerprint !== after.stages[i].fingerprint;
      })
      .map(({ id }: { id: string }) => id);
    expect(changed).toContain('train');
    expect(changed).not.toContain('preprocess-train');
    expect(changed).not.toContain('evaluate-before');
  });

  it('reads a LLaMA-Factory YAML, says what it left out, and finds paths from here', async () => {
    const argv = ['plan', 'factory.yaml', 'lora_rank=16', '--workspace', 'ws'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toMatch(/ {2}lora_rank +16\n/);
    expect(run.stderr).toMatch(/^report_to: ignored, /m);
  });

  it('names the place of an unknown key and the nearest known one', async () => {
    const run = await runFake(['plan', RECIPE, 'train.learning_rat=1'], { cwd: dir });
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toMatch(/^error\[RECIPE_UNKNOWN_KEY\]: .*quickstart\.yaml:\d+:\d+: /);
    expect(run.stderr).toContain('learning_rate');
  });

  it('explains a change that is none', async () => {
    const run = await runFake(['plan', RECIPE, 'learning_rate'], { cwd: dir });
    expect(run.exitCode).toBe(2);
    expect(run.stderr).toContain('hint: Write changes as key=value');
  });

  it('explains a recipe that is not there', async () => {
    const run = await runFake(['plan', 'missing.yaml'], { cwd: dir });
    expect(run.stderr).toMatch(/^error\[CLI_FILE_NOT_FOUND\]: .*missing\.yaml/);
  });
});

describe('tuneyard run --dry-run', () => {
  it('prints the plan and makes nothing', async () => {
    const argv = ['run', RECIPE, '--dry-run', '--workspace', 'dry'];
    const run = await runFake(argv, { cwd: dir });
    expect(run.exitCode).toBe(0);
    expect(run.stdout).toContain('Plan of stories-qa');
    expect(await readdir(join(dir, 'dry', 'artifacts'))).toEqual([]);
  });
});

describe('tuneyard artifacts', () => {
  it('is empty before the first run, and takes the workspace from TUNEYARD_HOME', async () => {
    expect((await runFake(['artifacts'], { cwd: dir })).stdout).toBe('nothing yet\n');
    const env = { TUNEYARD_HOME: join(dir, 'home') };
    const run = await runFake(['artifacts', '--json'], { cwd: dir, env });
    expect(JSON.parse(run.stdout)).toEqual({ workspace: join(dir, 'home'), artifacts: [] });
  });
});

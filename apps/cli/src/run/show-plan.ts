/** Prints a plan: what will run, what is taken from the workspace, why, and with which settings. */
import type { PlannedStage, RunPlan } from '@tuneyard/pipeline';
import type { Cli } from '../cli.js';
import type { Colors } from '../terminal/color.js';
import { formatFacts, formatTable, truncateText } from '../terminal/table.js';

const REASON_LENGTH_MAX = 100;

/** One line per stage, then the settings of training. */
export function formatPlan(plan: RunPlan, colors: Colors): string[] {
  const rows = plan.stages.map((stage) => [
    `  ${showStatus(stage, colors)}`,
    stage.title,
    colors.dim(truncateText(stage.reason, REASON_LENGTH_MAX)),
  ]);
  const columns = [{ title: '' }, { title: '' }, { title: '' }];
  return [
    colors.bold(`Plan of ${plan.recipe.name}`),
    ...formatTable(columns, rows),
    '',
    colors.bold('Training'),
    ...formatFacts(trainingFacts(plan)),
  ];
}

/** The plan for programs. */
export function planDocument(plan: RunPlan): object {
  const stages = plan.stages.map(({ settings: _settings, version: _version, ...stage }) => stage);
  return {
    recipe: plan.recipe.name,
    file: plan.recipe.file,
    workspace: plan.workspace.root,
    stages,
    samplesPerStep: samplesPerStep(plan),
  };
}

/** Prints the plan as the result of a command. */
export function showPlan(cli: Cli, plan: RunPlan): void {
  cli.result(planDocument(plan), () => formatPlan(plan, cli.out));
}

const STATUS_WORDS = { reuse: 'reuse', run: 'run', resume: 'resume' } as const;

function showStatus({ status }: PlannedStage, colors: Colors): string {
  const paint = { reuse: colors.green, run: colors.cyan, resume: colors.yellow }[status];
  return paint(STATUS_WORDS[status]);
}

function samplesPerStep({ recipe: { train } }: RunPlan): number {
  return train.per_device_train_batch_size * train.gradient_accumulation_steps;
}

function trainingFacts(plan: RunPlan): (readonly [string, string])[] {
  const stage = plan.stages.find(({ id }) => id === 'train');
  const parameters = Object.entries(stage?.parameters ?? {}).map(([key, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return [key.replace(/^(train|data|model)\./, ''), text] as const;
  });
  return [['samples per step', String(samplesPerStep(plan))], ...parameters];
}

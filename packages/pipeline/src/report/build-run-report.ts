/** Gathers what a report shows from the artifacts and events of a run, and renders it. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { formatCount, formatDuration } from '@tuneyard/core';
import type { z } from 'zod';
import type { Artifact } from '../artifacts/manifest.js';
import type { RunEvent } from '../executor/run-event.js';
import type { RunPlan } from '../plan/run-plan.js';
import {
  EVALUATION_FILE,
  type EvaluateMetrics,
  type EvaluationFile,
  evaluationSchema,
  HISTORY_FILE,
  historySchema,
  type PreprocessMetrics,
  type TrainMetrics,
} from '../stages/stage-outputs.js';
import { renderReport } from './render-report.js';
import type {
  ReportArtifact,
  ReportData,
  ReportDataPart,
  ReportFigure,
  ReportSample,
  ReportStage,
} from './report-data.js';
import { useCommands } from './use-commands.js';

/** What a report is made from. */
export interface RunReportInput {
  readonly plan: RunPlan;
  readonly runId: string;
  readonly artifacts: { readonly [stageId: string]: Artifact };
  readonly events: readonly RunEvent[];
}

/** Samples that a report shows side by side. */
const SAMPLES_SHOWN = 12;

/** Reads the artifacts of a finished run and renders its report. */
export async function buildRunReport(input: RunReportInput): Promise<string> {
  return renderReport(await gatherReport(input));
}

/** The data of a run's report. */
export async function gatherReport(input: RunReportInput): Promise<ReportData> {
  const { plan, runId, artifacts, events } = input;
  const history = await readOutput(artifacts['train'], HISTORY_FILE, historySchema);
  return {
    title: plan.recipe.report.title ?? `Fine-tuning ${plan.recipe.name}`,
    recipe: plan.recipe.name,
    runId,
    startedAt: events[0]?.at ?? '',
    figures: figuresOf(input),
    stages: stagesOf(input),
    dataParts: dataPartsOf(artifacts),
    curve: history ?? { train: [], heldOut: [] },
    samples: await samplesOf(artifacts),
    artifacts: artifactsOf(input),
    commands: useCommands(plan, artifacts),
    versions: versionsOf(artifacts),
    recipeText: plan.recipe.text,
  };
}

function figuresOf({ artifacts, events }: RunReportInput): ReportFigure[] {
  const before = metricsOf<EvaluateMetrics>(artifacts['evaluate-before']);
  const after = metricsOf<EvaluateMetrics>(artifacts['evaluate-after']);
  const train = metricsOf<TrainMetrics>(artifacts['train']);
  const lossBefore = before.loss ?? train.heldOutLossBefore ?? null;
  const lossAfter = after.loss ?? train.heldOutLossAfter ?? null;
  const figures: ReportFigure[] = [];
  if (lossAfter !== null) {
    const note = lossBefore === null ? {} : { note: `perplexity ${perplexity(lossAfter)}` };
    figures.push({ label: 'Held-out loss', value: arrow(lossBefore, lossAfter, loss), ...note });
  }
  const match = exactMatchFigure(before, after);
  if (match !== null) figures.push(match);
  if (train.tokensPerSecond !== undefined) {
    figures.push({
      label: 'Training speed',
      value: `${formatCount(Math.round(train.tokensPerSecond))} tokens/s`,
      ...(train.steps === undefined ? {} : { note: `${formatCount(train.steps)} steps` }),
    });
  }
  if (train.trainedParameters !== undefined) {
    figures.push({ label: 'Trained parameters', value: formatCount(train.trainedParameters) });
  }
  figures.push({ label: 'Time of this run', value: formatDuration(elapsedMs(events)) });
  return figures;
}

function exactMatchFigure(
  before: Partial<EvaluateMetrics>,
  after: Partial<EvaluateMetrics>,
): ReportFigure | null {
  const match = after.exactMatch ?? null;
  if (match === null) return null;
  const share = (m: { right: number; asked: number }): string => `${m.right} of ${m.asked}`;
  const first = before.exactMatch ?? null;
  const interval = after.exactMatchInterval ?? null;
  const percent = (value: number): string => `${(100 * value).toFixed(1)} %`;
  return {
    label: 'Exact match',
    value: first === null ? share(match) : `${share(first)} → ${share(match)}`,
    ...(interval === null
      ? {}
      : { note: `after: 95 % interval ${percent(interval.low)} to ${percent(interval.high)}` }),
  };
}

function stagesOf({ plan, artifacts, events }: RunReportInput): ReportStage[] {
  return plan.stages.flatMap((stage): ReportStage[] => {
    const artifact = artifacts[stage.id];
    if (artifact === undefined) return [];
    const reused = events.find((e) => e.type === 'stage_reused' && e.stage === stage.id);
    const started = events.find((e) => e.type === 'stage_started' && e.stage === stage.id);
    const finished = events.find((e) => e.type === 'stage_finished' && e.stage === stage.id);
    const hasResumed = started?.type === 'stage_started' && started.resumed;
    return [
      {
        title: stage.title,
        outcome: reused !== undefined ? 'reused' : hasResumed ? 'resumed' : 'ran',
        reason: reused?.type === 'stage_reused' ? reused.reason : stage.reason,
        durationMs: finished?.type === 'stage_finished' ? finished.durationMs : null,
        bytes: sizeOf(artifact),
      },
    ];
  });
}

function dataPartsOf(artifacts: RunReportInput['artifacts']): ReportDataPart[] {
  const parts = [
    ['Training', artifacts['preprocess-train']],
    ['Held-out', artifacts['preprocess-validation']],
  ] as const;
  return parts.flatMap(([title, artifact]): ReportDataPart[] => {
    if (artifact === undefined) return [];
    const metrics = metricsOf<PreprocessMetrics>(artifact);
    const buckets = Object.entries(metrics.buckets ?? {}).filter(([, rows]) => rows > 0);
    return [
      {
        title,
        samples: metrics.samples ?? 0,
        tokens: metrics.tokens ?? 0,
        learnedTokens: metrics.learnedTokens ?? 0,
        buckets: buckets.map(([name, rows]) => ({ name: name.replaceAll('_', ' '), rows })),
      },
    ];
  });
}

async function samplesOf(artifacts: RunReportInput['artifacts']): Promise<ReportSample[]> {
  const before = await readOutput(artifacts['evaluate-before'], EVALUATION_FILE, evaluationSchema);
  const after = await readOutput(artifacts['evaluate-after'], EVALUATION_FILE, evaluationSchema);
  return (after?.samples ?? []).slice(0, SAMPLES_SHOWN).map((sample, i) => {
    // Both evaluations ask the same samples in the same order.
    const earlier = before?.samples[i];
    return {
      prompt: sample.prompt,
      expected: sample.expected,
      before: earlier === undefined ? null : answerOf(earlier),
      after: answerOf(sample),
    };
  });
}

function answerOf(sample: EvaluationFile['samples'][number]): { text: string; isRight: boolean } {
  return { text: sample.answer, isRight: sample.isMatch };
}

function artifactsOf({ plan, artifacts }: RunReportInput): ReportArtifact[] {
  return plan.stages.flatMap((stage): ReportArtifact[] => {
    const artifact = artifacts[stage.id];
    if (artifact === undefined) return [];
    const { kind, fingerprint, parents } = artifact.manifest;
    return [
      {
        title: stage.title,
        kind,
        path: artifact.dir,
        bytes: sizeOf(artifact),
        fingerprint,
        parents: parents.map(({ role, artifact: from, path: file }) => `${role}: ${from ?? file}`),
      },
    ];
  });
}

function versionsOf(artifacts: RunReportInput['artifacts']): ReportData['versions'] {
  const merged = Object.assign({}, ...Object.values(artifacts).map((a) => a.manifest.toolVersions));
  return Object.entries(merged as { [tool: string]: string }).map(([tool, version]) => ({
    tool,
    version,
  }));
}

/** An output file of a stage; null when the stage did not run or wrote none. */
async function readOutput<T>(
  artifact: Artifact | undefined,
  name: string,
  schema: z.ZodType<T>,
): Promise<T | null> {
  if (!artifact?.manifest.files.some((file) => file.path === name)) return null;
  return schema.parse(JSON.parse(await readFile(path.join(artifact.dir, name), 'utf8')));
}

/** A stage's own numbers; partial, since an older version may have written fewer. */
function metricsOf<T>(artifact: Artifact | undefined): Partial<T> {
  return (artifact?.manifest.metrics ?? {}) as Partial<T>;
}

function sizeOf(artifact: Artifact): number {
  return artifact.manifest.files.reduce((sum, file) => sum + file.size, 0);
}

function elapsedMs(events: readonly RunEvent[]): number {
  const [first, last] = [events[0], events.at(-1)];
  return first === undefined || last === undefined ? 0 : Date.parse(last.at) - Date.parse(first.at);
}

function arrow(before: number | null, after: number, show: (value: number) => string): string {
  return before === null ? show(after) : `${show(before)} → ${show(after)}`;
}

function loss(value: number): string {
  return value.toFixed(3);
}

function perplexity(value: number): string {
  return Math.exp(value).toPrecision(3);
}
